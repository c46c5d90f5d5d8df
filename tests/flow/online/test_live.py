"""One state after another, and the same for all who follow the ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pellucid.errors import StorageError
from pellucid.flow.online import live as module
from pellucid.flow.online.judging import Judged, differ
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.place import NOWHERE, Place
from pellucid.flow.training.grid import Grid, expand
from pellucid.flow.training.replay import REPLAY
from pellucid.flow.training.worker import work
from pellucid.heads.running import NeverLearntError
from pellucid.store.jobs import enqueue
from pellucid.store.ledger import Entry, add_entries
from pellucid.store.manifests import read_manifest
from pellucid.types import TRUST_SCALE, Role, Split

from ..conftest import Pets, refit

pytestmark = pytest.mark.usefixtures("no_reports")


def test_it_begins_as_it_was_trained(pets: Pets) -> None:
    live = pets.live
    assert live.learns
    assert live.ledger == 0
    assert live.known() == live.classes == ("cat", "dog")
    train = pets.rows(Split.TRAIN)
    assert {row.sample for row in train} == set(live.learnt())
    assert all(live.stands(row.sample) == live.trained(row.sample) for row in train)
    with pets.project.workspace.database.read() as connection:
        views = live.look_up(connection, [row.sample for row in train])
    np.testing.assert_allclose(
        live.answerer.probabilities_of(views), live.predictor.predict_vectors(views.X), atol=1e-6
    )
    np.testing.assert_allclose(live.answerer.reply(views.X)[0], live.answerer.probabilities_of(views), atol=1e-5)
    assert live.guard is not None
    assert live.best == live.guarded() == 1.0


def test_an_answerer_never_changes_and_the_next_one_knows_more(pets: Pets) -> None:
    (sample,) = pets.show("eel", 0)
    with pets.project.workspace.database.read() as connection:
        view = pets.live.look_up(connection, [sample])
    before = pets.live.answerer
    shares = before.probabilities_of(view)
    pets.say(sample, "eel", role=Role.GROUND_TRUTH, new_class=True)
    np.testing.assert_array_equal(before.probabilities_of(view), shares)
    assert before.classes == ("cat", "dog")
    assert pets.live.answerer.classes == ("cat", "dog", "eel")
    assert pets.live.answerer.sets(pets.live.answerer.probabilities_of(view)).shape == (1, 3)
    novelty = before.reply(view.X)[1]
    assert novelty is not None
    assert 0 <= float(novelty[0]) <= 1


def test_a_step_can_be_undone_and_one_that_fails_changes_nothing(pets: Pets) -> None:
    live = pets.live
    names = [*pets.show("cat", 0, 1), pets.rows(Split.TRAIN)[0].sample]
    with pets.project.workspace.database.read() as connection:
        views = live.look_up(connection, names)
    before, stands = pets.weights(), dict(live.learnt())
    entries = [Entry(name, "eel", 0.5, "learn", "") for name in names]
    undo = live.apply(entries, views)
    assert live.known() == ("cat", "dog", "eel")
    live.restore(undo)
    assert (live.classes, dict(live.learnt())) == (("cat", "dog"), stands)
    np.testing.assert_allclose(pets.weights(), before, atol=1e-8)
    live._stands[names[0]] = Place(5, 0.3, 1.0)  # as if it had been learnt so, which it was not
    with pytest.raises(NeverLearntError, match="class 5 was never learnt"):
        live.apply([Entry(names[0], "eel", 0.5, "learn", ""), entries[1]], views.only(np.array([True, True, False])))
    assert (live.classes, live.stands(names[1])) == (("cat", "dog"), NOWHERE)
    np.testing.assert_allclose(pets.weights(), before, atol=1e-8)


def test_two_models_in_two_threads_end_equal_with_classes_in_one_order(pets: Pets) -> None:
    other = pets.again()
    samples = {label: pets.show(label, *range(6)) for label in ("eel", "fox")}
    together = threading.Barrier(2)

    def learn(live: LiveModel, label: str) -> None:
        mine = Pets(pets.project, live)
        together.wait()
        for sample in samples[label]:
            mine.say(sample, label, voter=label, role=Role.GROUND_TRUTH, new_class=True)

    threads = [threading.Thread(target=learn, args=pair) for pair in ((pets.live, "eel"), (other, "fox"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pets.say(samples["eel"][0], "cat", role=Role.GROUND_TRUTH)  # another label than the class came with
    third = pets.again()
    with pets.project.workspace.database.read() as connection:
        for live in (pets.live, other):
            live.follow(connection)
    for live in (other, third):
        assert live.classes == pets.live.classes
        assert dict(live.learnt()) == dict(pets.live.learnt())
        assert live.ledger == pets.live.ledger
        np.testing.assert_allclose(live.newest().snapshot.weights, pets.weights(), atol=1e-8)  # type: ignore[union-attr]
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)


def test_a_head_that_cannot_learn_single_rows_answers_and_hears(pets: Pets) -> None:
    pets.project.train("pets", models="logistic")
    mine = Pets(pets.project, LiveModel(pets.project.workspace, pets.project.model("pets@2")))
    assert not mine.live.learns
    with pytest.raises(StorageError, match="train `kernel` or `ridge`"):
        _ = mine.live.online
    heard = mine.say(mine.show("cat", 0)[0], "cat")
    assert (heard.action, heard.weight) == ("recorded", 0)
    assert "learns with the next training" in heard.reason
    with pets.project.workspace.database.read() as connection:
        assert mine.live.follow(connection) == 0


def test_a_model_that_was_trained_on_a_part_of_its_version_goes_on_too(pets: Pets, class_folders: object) -> None:
    project = pets.project
    root = class_folders(project.workspace.root / "more", {"cat": 6, "dog": 6}, start=500)  # type: ignore[operator]
    project.ingest(root, "pets", test_fraction=0.0, trusted_fraction=0.0)
    (spec,) = expand(project.workspace, Grid(("pets@2",), models=("ridge",)))
    memory = {"share": 0.5, "since": "pets@1"}
    with project.workspace.database.write() as connection:
        ids = [
            job.id
            for job in enqueue(project.workspace.database, connection, [replace(spec, settings={REPLAY: memory})])
        ]
    work(project.workspace, only=ids)
    model = next(model for model in project.models() if REPLAY in model.settings)
    live = LiveModel(project.workspace, model)
    train = [row for row in project.inspect("pets@2").rows if row.split is Split.TRAIN]
    assert 12 <= len(live.learnt()) < len(train)


@pytest.mark.parametrize("head", ["ridge", "kernel"])
def test_labels_that_training_did_not_quite_believe_come_and_go_exactly(
    pets: Pets, head: str, manifest: Callable[..., Path], picture: Callable[..., bytes]
) -> None:
    project, truth = pets.project, {f"{n}.png": "cat" if n % 2 else "dog" for n in range(30)}
    rows = [{"file_name": name, "label": label, "annotator": who} for name, label in truth.items() for who in "ab"]
    rows += [{"file_name": f"{n}.png", "label": "dog" if n % 2 else "cat", "annotator": "c"} for n in range(8)]
    source = manifest({name: picture(label, int(name[:-4])) for name, label in truth.items()}, rows)
    (model,) = project.train(project.ingest(source, "votes", test_fraction=0.3).version.ref, models=head)
    live = LiveModel(project.workspace, model)
    version = project.datasets("votes")[-1]
    trusts = {row.sample: row.trust / TRUST_SCALE for row in read_manifest(project.workspace.blobs, version.content_id)}
    doubted = [name for name in live.learnt() if trusts[name] < 1]
    assert doubted
    _, weights, strengths = live.taught(doubted)
    np.testing.assert_array_equal(weights, 1.0)
    np.testing.assert_allclose(strengths, [max(0.0, 2 * trusts[name] - 1) for name in doubted])
    before, names = weights_of(live), [*doubted[:2], *pets.show("cat", 0)]
    np.testing.assert_allclose(before, refit(live), atol=1e-6)
    with project.workspace.database.read() as connection:
        views = live.look_up(connection, names)
    places = [live.trained(name) for name in names[:2]]
    back = [
        Entry(name, live.classes[place.number], place.weight, "forget", "", strength=place.strength)
        for name, place in zip(names, places, strict=False)
    ]
    seen = views.X[:2]
    for weight, strength, differs in ((1.0, 0.999, False), (1.0, 0.5, True), (0.8, 1 / 0.8, True)):
        moved = Judged(tuple(replace(e, weight=e.weight * weight, strength=e.strength * strength) for e in back), seen)
        assert differ(live, moved, 0.1).entries == (moved.entries if differs else ())
    live.apply([Entry(name, "dog", 0.5, "learn", "", strength=0.7) for name in names], views)
    dog = live.classes.index("dog")
    assert [array.tolist() for array in live.taught(names)] == [[dog] * 3, [0.5] * 3, [0.7] * 3]
    np.testing.assert_allclose(weights_of(live), refit(live), atol=1e-6)
    live.apply([*back, Entry(names[2], None, 0.0, "forget", "")], views)
    assert dict(live.learnt()) == {name: live.trained(name) for name in live.learnt()}
    assert not differ(live, Judged(tuple(back), seen)).entries
    np.testing.assert_allclose(weights_of(live), before, atol=1e-8)


def test_a_long_ledger_and_many_votes_are_taken_in_by_blocks(pets: Pets, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last cats go, and others come: in blocks of two a class must not run empty on the way."""
    live, train = pets.live, pets.rows(Split.TRAIN)
    gone, come = [row.sample for row in train if row.label == "cat"], pets.show("cat", *range(5))
    with pets.project.workspace.database.write() as connection:
        entries = [Entry(name, None, 0.0, "forget", "") for name in gone]
        entries += [Entry(name, "cat", 1.0, "learn", "", strength=0.9) for name in come]
        add_entries(connection, live.model, entries)
    monkeypatch.setattr(module, "_BLOCK", 2)
    with pets.project.workspace.database.read() as connection:
        assert live.follow(connection) == len(entries)
        whole = live.look_up(connection, come)
    assert set(live.learnt()) == {row.sample for row in train if row.label == "dog"} | set(come)
    np.testing.assert_allclose(weights_of(live), refit(live), atol=1e-8)
    rests: list[int] = []
    blocks = list(live.in_blocks(whole.X, lambda: rests.append(1)))
    assert [len(block.X) for block in blocks] == [2, 2, 1]
    assert len(rests) == 3
    np.testing.assert_allclose(np.vstack([block.rows for block in blocks]), whole.rows, rtol=1e-5, atol=1e-6)


def weights_of(live: LiveModel) -> NDArray[np.float64]:
    snapshot = live.newest().snapshot
    assert snapshot is not None
    return snapshot.weights
