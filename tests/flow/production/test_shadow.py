"""A candidate in the champion's shadow: what it answers, what is kept of it, and who was right."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray
from scipy.stats import binom

from pellucid import Project
from pellucid.errors import IntegrityError, NotFoundError, UsageError
from pellucid.evaluate.intervals import wilson
from pellucid.features.pipeline import embed_stream
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.live import LiveModel
from pellucid.flow.production import shadow as module
from pellucid.flow.production.prune import prune
from pellucid.flow.production.shadow import answer_in_shadow, begin_shadow, end_shadow, is_drawn, shadow_report
from pellucid.flow.training.predict import open_predictor
from pellucid.store.live_vectors import vectors_of
from pellucid.store.schema import prediction, shadow_answer
from pellucid.store.shadows import Shadow, running_shadow
from pellucid.types import Answer, Role

from ...conftest import picture_bytes
from ..conftest import Pets

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.fixture(scope="module")
def shadow_folder(tmp_path_factory: pytest.TempPathFactory, live_folder: Path) -> Path:
    """A copy of `live_folder` with pets@2, which takes cats for dogs and dogs for cats."""
    folder = tmp_path_factory.mktemp("shadow") / "project"
    shutil.copytree(live_folder, folder)
    with pytest.MonkeyPatch.context() as patch, Project(folder) as made:
        patch.setattr("pellucid.flow.training.job._try_to_complete", lambda workspace, model: False)
        made.corrupt("pets", labels="pair", rate=1.0)
        made.train("pets", models="ridge")
        made.revert("pets@1")
    return folder


@pytest.fixture
def pets(make_project: Callable[..., Project], shadow_folder: Path) -> Pets:
    """A copy of `shadow_folder`, with its champion live."""
    project = make_project(of=shadow_folder)
    return Pets(project, LiveModel(project.workspace, project.model("pets")))


def ask(pets: Pets, label: str, *numbers: int) -> list[Answer]:
    """The champion's answers on pictures of the class's colour."""
    asked = [Asked(picture_bytes(label, 1000 + number)) for number in numbers]
    found = answer(pets.project.workspace, pets.live.answerer, asked)
    return [item for item in found if isinstance(item, Answer)]


def follow(pets: Pets, shadow: Shadow, answers: list[Answer]) -> int:
    """Lets the candidate answer too."""
    workspace = pets.project.workspace
    return answer_in_shadow(workspace, shadow, open_predictor(workspace, pets.project.model(shadow.ref)), answers)


def test_one_candidate_at_a_time_and_never_the_champion_itself(pets: Pets) -> None:
    workspace = pets.project.workspace
    assert begin_shadow(workspace, "pets@2", dry_run=True).id == 0
    begun = begin_shadow(workspace, "pets@2", share=0.25, actor="ann")
    assert (begun.ref, begun.share, begun.actor, begun.ended_at) == ("pets@2", 0.25, "ann", None)
    for dry_run in (False, True):
        with pytest.raises(UsageError, match=r"already.*`pellucid models shadow --end pets` ends that"):
            begin_shadow(workspace, "pets@2", dry_run=dry_run)
    assert end_shadow(workspace, "pets", dry_run=True) == begun
    ended = end_shadow(workspace, "pets")
    assert ended.ended_at is not None
    assert replace(ended, ended_at=None) == begun
    with pytest.raises(NotFoundError, match=r"nothing is in the shadow.*`pellucid models shadow pets@VERSION` begins"):
        end_shadow(workspace, "pets")
    with pytest.raises(UsageError, match="pets@1 is the champion itself"):
        begin_shadow(workspace, "pets@1")
    for share in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(UsageError, match="above 0 and at most 1"):
            begin_shadow(workspace, "pets@2", share=share)
    with pytest.raises(NotFoundError):
        begin_shadow(workspace, "pets@7")


def test_without_a_champion_there_is_no_shadow(make_project: Callable[..., Project], trained_folder: Path) -> None:
    project = make_project(of=trained_folder)
    with pytest.raises(NotFoundError, match="no champion yet; `pellucid models promote pets@1` makes one"):
        begin_shadow(project.workspace, "pets@1")


def test_a_damaged_candidate_does_not_begin(pets: Pets) -> None:
    name = pets.project.model("pets@2").id
    for path in list((pets.project.workspace.root / ".pellucid").rglob(f"{name}/head.safetensors")):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError):
        begin_shadow(pets.project.workspace, "pets@2")
    with pets.project.workspace.database.read() as connection:
        assert running_shadow(connection, "pets") is None


def test_the_report_by_hand(pets: Pets) -> None:
    """Champion and candidate differ on every image; people say of five of them who is right."""
    begun = begin_shadow(pets.project.workspace, "pets@2")
    nothing = shadow_report(pets.project.workspace, "pets")
    assert (nothing.images, nothing.agreement, nothing.confidence, nothing.differing) == (0, None, None, ())
    assert nothing.voted == nothing.trusted
    assert (nothing.voted.images, nothing.voted.p_value) == (0, 1.0)
    cats, dogs = ask(pets, "cat", 0, 1, 2, 3, 4), ask(pets, "dog", 0, 1)
    assert follow(pets, begun, cats) == 5
    assert follow(pets, begun, dogs) == 2
    pets.say(cats[0].sample, "cat")
    pets.say(cats[1].sample, "cat", "bob")
    pets.say(cats[2].sample, "dog", "eve")
    pets.say(cats[2].sample, "cat", "judge", role=Role.GROUND_TRUTH)  # outweighs eve
    pets.say(cats[3].sample, "dog")
    pets.say(dogs[0].sample, "eel", "judge", role=Role.GROUND_TRUTH, new_class=True)
    pets.say(dogs[1].sample, "cat")
    pets.say(dogs[1].sample, "dog", "bob")  # a tie says nothing
    found = shadow_report(pets.project.workspace, "pets", most=4)
    assert found.shadow == begun
    assert (found.images, found.champions, found.labelled_before) == (7, ("pets@1",), 0)
    assert found.agreement == wilson(0, 7)
    assert [(row.champion_label, row.label, row.images) for row in found.confusion] == [
        ("cat", "dog", 5),
        ("dog", "cat", 2),
    ]
    voted, trusted = found.voted, found.trusted
    assert (voted.images, voted.champion, voted.candidate, voted.neither) == (5, 3, 1, 1)
    assert voted.p_value == pytest.approx(2 * binom.cdf(1, 4, 0.5))
    assert (trusted.images, trusted.champion, trusted.candidate, trusted.neither) == (2, 1, 0, 1)
    assert trusted.p_value == 1.0
    answers = {item.sample: item for item in (*cats, *dogs)}
    assert len(found.differing) == 4
    assert {item.sample for item in found.differing[:2]} == {item.sample for item in dogs}, "the newest first"
    for row in found.differing:
        mine = answers[row.sample]
        assert (row.prediction, row.champion, row.at) == (mine.uid, mine.model, mine.at)
        assert row.champion_label == mine.label
        assert row.champion_confidence == pytest.approx(mine.confidence)
        assert row.label != row.champion_label
    assert found.champion_confidence == pytest.approx(sum(item.confidence for item in answers.values()) / 7)
    assert {row.sample: row.said for row in found.differing}[dogs[1].sample] is None


def test_the_candidate_answers_as_it_does_alone(pets: Pets) -> None:
    begun = begin_shadow(pets.project.workspace, "pets@2")
    asked = ask(pets, "cat", 0, 1)
    follow(pets, begun, asked)
    predictor = open_predictor(pets.project.workspace, pets.project.model("pets@2"))
    with pets.project.workspace.database.read() as connection:
        vectors = vectors_of(connection, predictor.extractor.fingerprint, [item.sample for item in asked])
    for row in shadow_report(pets.project.workspace, "pets").differing:
        (shares,) = predictor.predict_vectors(vectors[row.sample][None])
        assert row.label == predictor.classes[shares.argmax()]
        assert row.confidence == pytest.approx(shares.max())


def test_each_image_counts_once_as_it_was_answered_first(pets: Pets) -> None:
    begun = begin_shadow(pets.project.workspace, "pets@2")
    first = ask(pets, "cat", 0, 0)
    assert follow(pets, begun, first) == 1
    assert follow(pets, begun, ask(pets, "cat", 0)) == 0
    assert follow(pets, begun, []) == 0
    (row,) = shadow_report(pets.project.workspace, "pets").differing
    assert row.prediction == first[0].uid


def test_what_somebody_had_labelled_before_is_not_judged(pets: Pets) -> None:
    """The champion has learnt it by then, so that it would be right by heart."""
    (sample,) = pets.show("cat", 0)
    pets.say(sample, "cat")
    begun = begin_shadow(pets.project.workspace, "pets@2")
    follow(pets, begun, ask(pets, "cat", 0, 1))
    pets.say(sample, "cat", "bob")
    found = shadow_report(pets.project.workspace, "pets")
    assert (found.images, found.voted.images, found.labelled_before) == (2, 0, 1)
    assert {row.said for row in found.differing} == {None}


def test_a_vote_that_is_taken_back_judges_nobody(pets: Pets) -> None:
    begun = begin_shadow(pets.project.workspace, "pets@2")
    (one,) = ask(pets, "cat", 0)
    follow(pets, begun, [one])
    pets.say(one.sample, "dog", "eve")
    assert shadow_report(pets.project.workspace, "pets").voted.candidate == 1
    pets.project.forget("pets", voter="eve")
    assert shadow_report(pets.project.workspace, "pets").voted.images == 0


def test_vectors_are_computed_once_for_an_extractor(pets: Pets, monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion's serve a candidate with the same extractor; another one's are its own, and kept."""
    embedded: list[str] = []

    def watched(extractor: object, items: object, **options: object) -> object:
        listed = list(items)  # type: ignore[call-overload]
        embedded.extend(name for name, _ in listed)
        return embed_stream(extractor, listed, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "embed_stream", watched)
    workspace = pets.project.workspace
    begun = begin_shadow(workspace, "pets@2")
    asked = ask(pets, "cat", 0, 1)
    assert follow(pets, begun, asked) == 2
    assert embedded == []
    (third,) = ask(pets, "cat", 2)
    predictor = open_predictor(workspace, pets.project.model("pets@2"))
    alone = predictor.predict_vectors(look_again(pets, third.sample))
    with workspace.database.write() as connection:
        connection.execute(sa.text("DELETE FROM live_vector"))  # as where the champion has another extractor
    assert follow(pets, begun, [third]) == 1
    assert embedded == [third.sample]
    with workspace.database.read() as connection:
        kept = vectors_of(connection, predictor.extractor.fingerprint, [third.sample])
    assert alone == pytest.approx(predictor.predict_vectors(kept[third.sample][None]), abs=1e-6)


def look_again(pets: Pets, sample: str) -> NDArray[np.float32]:
    with pets.project.workspace.database.read() as connection:
        return pets.live.look_up(connection, [sample]).X


def test_once_it_has_ended_nothing_is_kept(pets: Pets) -> None:
    begun = begin_shadow(pets.project.workspace, "pets@2")
    end_shadow(pets.project.workspace, "pets")
    assert follow(pets, begun, ask(pets, "cat", 0)) == 0
    begin_shadow(pets.project.workspace, "pets@2")
    assert follow(pets, begun, ask(pets, "cat", 0)) == 0, "another one is not the same one"
    assert shadow_report(pets.project.workspace, "pets").images == 0


def test_it_ends_where_the_candidate_is_promoted_and_only_there(pets: Pets) -> None:
    workspace = pets.project.workspace
    pets.project.train("pets", models="kernel")
    begun = begin_shadow(workspace, "pets@2")
    follow(pets, begun, ask(pets, "cat", 0))
    pets.project.promote("pets@2", alias="candidate")
    pets.project.promote("pets@3", force=True)
    assert shadow_report(workspace, "pets").shadow.ended_at is None
    other = LiveModel(workspace, pets.project.model("pets"))
    follow(pets, begun, ask(Pets(pets.project, other), "cat", 1))
    pets.project.promote("pets@2", force=True)
    found = shadow_report(workspace, "pets")
    assert found.shadow.ended_at is not None
    assert found.champions == ("pets@1", "pets@3")
    begin_shadow(workspace, "pets@3")
    assert shadow_report(workspace, "pets").shadow.ref == "pets@3"
    assert shadow_report(workspace, "pets@2") == found
    with pytest.raises(NotFoundError, match="pets@1 was never in a champion's shadow"):
        shadow_report(workspace, "pets@1")


def test_old_answers_go_with_the_champion_s(pets: Pets) -> None:
    workspace = pets.project.workspace
    begun = begin_shadow(workspace, "pets@2")
    old, voted, young = asked = ask(pets, "cat", 0, 1, 2)
    follow(pets, begun, asked)
    pets.say(voted.sample, "cat", prediction=voted.uid)
    then = datetime.now(UTC) - timedelta(days=40)
    with workspace.database.write() as connection:
        for uid in (old.uid, voted.uid):
            connection.execute(sa.update(prediction).where(prediction.c.uid == uid).values(at=then))
            mine = shadow_answer.c.prediction == uid
            connection.execute(sa.update(shadow_answer).where(mine).values(at=then))
    foretold, done = prune(workspace, 30, dry_run=True), prune(workspace, 30)
    assert (foretold.answers, foretold.shadow_answers) == (done.answers, done.shadow_answers) == (1, 1)
    left = {row.sample for row in shadow_report(workspace, "pets").differing}
    assert left == {voted.sample, young.sample}


def test_the_draw_follows_the_digest_alone() -> None:
    names = [f"{number * 7919 % 65536:04x}".ljust(64, "5") for number in range(65536)]
    for share in (0.01, 0.1, 0.5):
        drawn = {name for name in names if is_drawn(name, share)}
        assert len(drawn) == pytest.approx(share * len(names), abs=2)
        assert drawn <= {name for name in names if is_drawn(name, 2 * share)}
    assert all(is_drawn(name, 1.0) for name in ("f" * 64, "0" * 64))
    assert not is_drawn("f" * 64, 1 - 1e-12)
