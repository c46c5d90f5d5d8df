"""What becomes of one vote, and of many who vote at once, fail and are killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid import Project
from pellucid.errors import NotFoundError, UsageError
from pellucid.flow.online import draft as module
from pellucid.flow.online import feedback as feedback_module
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.belief import Belief, believe_votes, dose
from pellucid.flow.online.feedback import Said, hear
from pellucid.flow.online.guard import Guard
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.place import NOWHERE
from pellucid.flow.online.reaudit import reaudit
from pellucid.flow.online.take_back import take_back
from pellucid.store.ledger import entries_after
from pellucid.store.votes import find_votes
from pellucid.types import Answer, Role, Split

from ...conftest import picture_bytes
from ..conftest import Pets, refit


def ledger(pets: Pets) -> list[tuple[str, str | None]]:
    with pets.project.workspace.database.read() as connection:
        return [(item.action, item.label) for item in entries_after(connection, pets.live.model, 0)]


def count_votes(pets: Pets) -> int:
    with pets.project.workspace.database.read() as connection:
        return sum(vote.import_id is None for vote in find_votes(connection, "pets").values())


def test_a_vote_is_learnt_at_once_and_exactly(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    before = pets.live.answerer
    heard = pets.say(sample, "cat", note="sure")
    assert (heard.action, heard.label, heard.model, heard.ledger) == ("learnt", "cat", "pets@1", pets.live.ledger)
    assert 0.9 < heard.trust <= 1
    assert heard.weight == pytest.approx(2 * heard.trust - 1, abs=1e-3), "there is one other class"
    assert abs(heard.after - heard.trust) < abs(heard.before - heard.trust), "it is believed as far as the vote is"
    assert before.ledger == 0
    assert pets.live.answerer.ledger == heard.ledger > 0
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)
    again = pets.again()
    assert again.stands(sample) == pets.live.stands(sample)


def test_the_same_key_counts_once_and_another_source_has_its_own(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    first = hear(pets.live, Said(sample, "cat", "ann", key="1"), source="phone")
    again = hear(pets.live, Said(sample, "dog", "ann", key="1"), source="phone")
    assert again == first
    assert (first.again, again.again) == (False, True)
    assert (count_votes(pets), len(ledger(pets))) == (1, 1)
    assert hear(pets.live, Said(sample, "cat", "ann", key="1"), source="web").vote != first.vote
    assert count_votes(pets) == 2


def test_the_same_key_from_many_at_once_counts_once(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    models = [pets.live, pets.again(), pets.again()]
    together, found = threading.Barrier(len(models)), []

    def run(live: LiveModel) -> None:
        together.wait()
        found.append(hear(live, Said(sample, "cat", "ann", key="k")))

    threads = [threading.Thread(target=run, args=(live,)) for live in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(models)
    assert len({item.vote for item in found}) == count_votes(pets) == 1


def test_what_cannot_be_a_vote_is_refused_and_leaves_nothing(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    for said, error, message in [
        (Said(sample, " ", "ann"), UsageError, "blank"),
        (Said(sample, "eel", "ann"), UsageError, "'eel' is none of the classes cat, dog; .* new_class"),
        (Said("0" * 64, "cat", "ann"), NotFoundError, "no image '000000000000'"),
    ]:
        with pytest.raises(error, match=message):
            hear(pets.live, said)
    assert (count_votes(pets), ledger(pets), pets.live.known()) == (0, [], ("cat", "dog"))


def test_users_of_a_token_name_so_many_new_classes_and_no_more(
    make_project: Callable[..., Project], live_folder: Path
) -> None:
    project = make_project(of=live_folder, new_classes=2)
    pets = Pets(project, LiveModel(project.workspace, project.model("pets")))
    samples = pets.show("cat", *range(4))
    for label in ("ant", "bee", "cod"):
        pets.say(samples[0], label, "judge", role=Role.ANNOTATOR, new_class=True)
    first = pets.say(samples[1], "eel", "app/ann", new_class=True).vote
    for label in ("ant", "bee", "eel", "cat", "newt"):  # named by another one, by her, trained, and her second
        pets.say(samples[2], label, "app/ann", new_class=True)
    take_back(pets.live, samples[1], first, "app/ann")  # it has been named all the same
    for voter in ("app/ann", "app/eve", "app"):
        with pytest.raises(UsageError, match=r"'app' has named 2 new classes since pets@1 .* 'owl'"):
            pets.say(samples[3], "owl", voter, new_class=True)
    pets.say(samples[3], "elk", "bob", new_class=True)
    pets.say(samples[3], "elk", "app/ann", new_class=True)
    assert count_votes(pets) == 10
    none = make_project("strict", of=live_folder, new_classes=0)
    sample = pets.rows(Split.TRAIN)[0].sample
    with pytest.raises(UsageError, match="named 0 new classes"):
        hear(LiveModel(none.workspace, none.model("pets")), Said(sample, "owl", "ann", new_class=True))


def test_a_new_class_is_learnt_and_gone_with_its_last_vote(pets: Pets) -> None:
    before = pets.weights()
    samples = pets.show("eel", 0, 1, 2)
    for sample in samples:
        pets.say(sample, "eel", role=Role.GROUND_TRUTH, new_class=True)
    assert pets.live.known() == ("cat", "dog", "eel")
    (more,) = pets.show("eel", 9)
    with pets.project.workspace.database.read() as connection:
        shares = pets.live.answerer.probabilities_of(pets.live.look_up(connection, [more]))
    assert pets.live.answerer.classes[int(shares.argmax())] == "eel"
    assert pets.say(more, "eel").action == "learnt"  # known by now
    pets.project.forget("pets", voter="ann")
    with pets.project.workspace.database.read() as connection:
        pets.live.follow(connection)
    assert pets.live.known() == ("cat", "dog")
    np.testing.assert_allclose(pets.weights(), before, atol=1e-8)
    with pytest.raises(UsageError, match="none of the classes cat, dog"):
        pets.say(more, "eel")


@pytest.mark.parametrize("split", [Split.TEST, Split.TRUSTED])
def test_what_is_measured_on_is_recorded_and_not_learnt(pets: Pets, split: Split) -> None:
    before = pets.weights()
    row = pets.rows(split)[0]
    heard = pets.say(row.sample, "cat")
    assert (heard.action, heard.weight) == ("recorded", 0)
    assert f"in the {split} split" in heard.reason
    assert (count_votes(pets), ledger(pets)) == (1, [])
    np.testing.assert_array_equal(pets.weights(), before)


def test_what_has_become_trusted_since_is_not_learnt_either(pets: Pets, picture: Any, manifest: Any) -> None:
    (sample,) = pets.show("cat", 0)
    rows = [{"path": "a.png", "label": "cat", "split": "trusted"}]
    pets.project.ingest(manifest({"a.png": picture("cat", 1000)}, rows), "pets")
    assert pets.say(sample, "dog").action == "recorded"


def test_a_step_that_hurts_the_guard_is_undone_and_the_vote_stays(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    with pets.project.workspace.database.read() as connection:
        views = pets.live.look_up(connection, [sample] * 3)
    pets.live.guard, pets.live.best = Guard(views.rows, np.zeros(3, np.intp)), 1.0
    before = pets.weights()
    row = next(row for row in pets.rows(Split.TRAIN) if row.label == "cat")
    pets.live.guard = Guard(pets.live.guard.rows, np.ones(3, np.intp))  # the guard says dog, and the model so far cat
    assert (
        pets.say(row.sample, "cat", role=Role.GROUND_TRUTH).action == "learnt"
    )  # what was bad before is not its fault
    pets.live.guard = Guard(pets.live.guard.rows, np.zeros(3, np.intp))
    heard = None
    for number in range(1, 60):
        heard = pets.say(pets.show("cat", number)[0], "dog", role=Role.GROUND_TRUTH)
        if heard.action == "undone":
            break
    assert heard is not None
    assert heard.action == "undone"
    assert "the accuracy on 3 trusted images would fall from 1.000 to 0.000" in heard.reason
    assert pets.live.stands(heard.sample) == NOWHERE
    assert pets.live.guarded() == 1.0
    assert ledger(pets)[-1] == ("guard", None)
    assert np.abs(pets.weights() - before).max() > 0
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)


def test_what_is_probably_wrong_is_not_learnt_at_all(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    before = pets.weights()
    heard = pets.say(sample, "dog")
    assert (heard.action, heard.weight, ledger(pets)) == ("recorded", 0.0, [])
    assert 0 < heard.trust < 0.5
    assert "another class" in heard.reason
    np.testing.assert_array_equal(pets.weights(), before)


def test_what_has_become_doubtful_is_unlearnt(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    before = pets.weights()
    assert pets.say(sample, "dog", voter="ann", role=Role.GROUND_TRUTH).action == "learnt"
    assert pets.live.stands(sample).weight == 1
    heard = pets.say(sample, "cat", voter="bob", role=Role.GROUND_TRUTH)  # two truths: nothing is known any more
    assert (heard.action, heard.weight) == ("unlearnt", 0.0)
    assert ledger(pets)[-1] == ("unlearn", None)
    np.testing.assert_allclose(pets.weights(), before, atol=1e-8)
    assert dict(pets.again().learnt()) == dict(pets.live.learnt())


def test_near_copies_together_have_the_weight_of_one_image(pets: Pets) -> None:
    asked = [Asked(picture_bytes("cat", 1000, compress_level=level)) for level in range(10)]  # other bytes, one picture
    found = answer(pets.project.workspace, pets.live.answerer, asked)
    samples = sorted({item.sample for item in found if isinstance(item, Answer)})
    assert len(samples) >= 4
    heard = [pets.say(name, "cat", voter=f"u{place}", role=Role.ANNOTATOR) for place, name in enumerate(samples)]
    assert heard[0].action == "learnt"
    assert sum(pets.live.stands(name).credit for name in samples) <= 1 + 1e-6
    truth = [pets.say(name, "dog", role=Role.GROUND_TRUTH) for name in samples]
    assert sum(pets.live.stands(name).credit for name in samples) == pytest.approx(1)
    assert any("near-copies" in item.reason for item in truth)
    reaudit(pets.live)
    assert [pets.live.stands(name).weight for name in samples] == pytest.approx([1 / len(samples)] * len(samples))


@pytest.mark.parametrize(("ahead", "weight", "at_least"), [(1e-9, 0.0, 0.99), (0.004, 0.02, 0.9), (0.1, 0.5, 0.79)])
def test_a_word_that_is_hardly_believed_stands_in_nobodys_way(
    pets: Pets, monkeypatch: pytest.MonkeyPatch, ahead: float, weight: float, at_least: float
) -> None:
    asked = [Asked(picture_bytes("cat", 1000, compress_level=level)) for level in range(10)]
    found = answer(pets.project.workspace, pets.live.answerer, asked)
    one, two = sorted({item.sample for item in found if isinstance(item, Answer)})[:2]
    others, before = pets.show("cat", *range(8)), pets.weights()

    def hardly(*given: Any) -> Belief:
        counts, learnt = dose(ahead)
        return replace(believe_votes(*given), weight=counts, strength=learnt)

    with monkeypatch.context() as patch:
        patch.setattr(feedback_module, "believe_votes", hardly)
        heard = [pets.say(name, "dog", voter="eve") for name in (one, *others)]
    assert [pets.live.stands(name).weight for name in (one, *others)] == [weight] * 9
    assert all(item.weight == pytest.approx(ahead, abs=1e-4) for item in heard)
    assert (np.abs(pets.weights() - before).max() == 0) == (weight == 0)
    assert pets.say(two, "cat", voter="judge", role=Role.GROUND_TRUTH).weight >= at_least
    reaudit(pets.live)
    assert pets.live.stands(two).credit >= at_least
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)


def test_a_transaction_that_fails_leaves_the_model_as_it_was(pets: Pets, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = pets.show("cat", 0, 1)
    pets.say(kept[0], "cat")
    before, classes, number = pets.weights(), pets.live.classes, pets.live.ledger

    def broken(*words: Any) -> int:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(module, "add_entries", broken)
    for sample, label in ((kept[0], "dog"), (kept[1], "eel")):
        with pytest.raises(RuntimeError, match="the disk is gone"):
            pets.say(sample, label, role=Role.GROUND_TRUTH, new_class=True)
    monkeypatch.undo()
    assert (pets.live.classes, pets.live.ledger, count_votes(pets)) == (classes, number, 1)
    np.testing.assert_allclose(pets.weights(), before, atol=1e-8)
    assert pets.say(kept[1], "cat").action == "learnt"
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)


_SAY = """
import sys
from pellucid import Project
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.feedback import Said, hear
from pellucid.flow.online.live import LiveModel
with Project({folder!r}) as project:
    live = LiveModel(project.workspace, project.model("pets"))
    print("ready", flush=True)
    for number, sample in enumerate({samples!r}):
        hear(live, Said(sample, {label!r}, {voter!r}, key=f"{{number}}"), source={voter!r})
        print("said", flush=True)
"""


def test_two_processes_that_learn_at_once_and_a_third_end_equal(pets: Pets, child_environ: Mapping[str, str]) -> None:
    samples = [*pets.show("cat", *range(6)), *pets.show("dog", *range(6))]
    folder = str(pets.project.workspace.root)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _SAY.format(folder=folder, samples=samples, label=label, voter=voter)],
            env=child_environ,
        )
        for label, voter in (("cat", "ann"), ("dog", "bob"))
    ]
    assert [process.wait(240) for process in started] == [0, 0]
    with pets.project.workspace.database.read() as connection:
        assert pets.live.follow(connection) >= len(samples)
    again = pets.again()
    assert dict(again.learnt()) == dict(pets.live.learnt())
    np.testing.assert_allclose(pets.weights(), Pets(pets.project, again).weights(), atol=1e-8)
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)


def test_killed_in_the_middle_and_sent_again_counts_once(pets: Pets, kill_after: Callable[..., int]) -> None:
    samples = pets.show("cat", *range(5))
    code = _SAY.format(folder=str(pets.project.workspace.root), samples=samples, label="cat", voter="ann")
    assert kill_after(code, "said", then=0.005) == -9
    with pets.project.workspace.database.read() as connection:
        pets.live.follow(connection)
    for number, sample in enumerate(samples):
        hear(pets.live, Said(sample, "cat", "ann", key=f"{number}"), source="ann")
    assert count_votes(pets) == len(samples)
    assert len(ledger(pets)) == len(samples)
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)
    again = pets.again()
    assert dict(again.learnt()) == dict(pets.live.learnt())


def test_what_the_guard_undoes_at_every_judging_is_written_down_once(
    pets: Pets, monkeypatch: pytest.MonkeyPatch
) -> None:
    lies = pets.show("cat", 0, 1)
    with monkeypatch.context() as patch:
        believed = Belief("dog", 1.0, 1.0, 1.0, {})
        patch.setattr(feedback_module, "believe_votes", lambda *given: believed)
        for sample in lies:
            pets.say(sample, "dog", voter="eve")
    with pets.project.workspace.database.read() as connection:
        views = pets.live.look_up(connection, lies)
    pets.live.guard, pets.live.best = Guard(views.rows, np.ones(2, np.intp)), 1.0  # which says dog
    assert pets.live.guarded() == 1.0
    found = [(reaudit(pets.live).undone, len(ledger(pets))) for _ in range(3)]
    assert found == [(found[0][0], found[0][1])] * 3
    assert found[0][0] >= 1
    assert ledger(pets)[-1] == ("guard", "dog")
