"""What one voter said is taken back as if it had never been said."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from pellucid import Project
from pellucid.errors import DataError, NotFoundError, UsageError
from pellucid.flow.data.version import commit_votes, rules_of
from pellucid.flow.online import ahead, draft
from pellucid.flow.online import forget as module
from pellucid.flow.online.effect import find_yardstick
from pellucid.flow.online.forget import forget
from pellucid.flow.online.judging import judge
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.place import NOWHERE
from pellucid.flow.online.reaudit import reaudit
from pellucid.store.ledger import Entry
from pellucid.store.votes import find_votes, newest_vote
from pellucid.types import Role, Split, Status

from ...conftest import WriteFolders
from ..conftest import Pets, refit

pytestmark = pytest.mark.usefixtures("no_reports")


def follow(pets: Pets) -> None:
    with pets.project.workspace.database.read() as connection:
        pets.live.follow(connection)


def count_votes(pets: Pets) -> int:
    with pets.project.workspace.database.read() as connection:
        return len(find_votes(connection, "pets"))


def votes_on(project: Project, sample: str) -> int:
    with project.workspace.database.read() as connection:
        return len(find_votes(connection, "pets", sample=sample))


def test_a_voter_taken_back_equals_one_never_heard(pets: Pets) -> None:
    """Bob speaks as ground truth, so that what is believed of his words does not hang on the model of the moment."""
    mine, his = pets.show("cat", *range(4)), pets.show("dog", *range(4))
    both = next(row for row in pets.rows(Split.TRAIN) if row.label == "dog").sample
    for sample in his:
        pets.say(sample, "dog", voter="bob", role=Role.GROUND_TRUTH)
    never, stands = pets.weights(), dict(pets.live.learnt())
    for sample in (*mine, both):
        pets.say(sample, "cat", voter="ann", role=Role.GROUND_TRUTH)
    pets.say(his[0], "eel", voter="ann", new_class=True)
    assert np.abs(pets.weights() - never).max() > 1e-3
    votes = count_votes(pets)
    foretold = pets.project.forget("pets", voter="ann", dry_run=True)
    assert (count_votes(pets), foretold.retraction, foretold.dry_run) == (votes, None, True)
    done = pets.project.forget("pets", voter="ann", reason="left")
    assert (done.votes, done.samples, done.voters, done.model) == (6, 6, ("ann",), "pets@1")
    assert (done.unlearnt, done.changed) == (4, 1)
    assert (done.guard, done.test, done.answers_changed) == (foretold.guard, foretold.test, foretold.answers_changed)
    assert done.test is not None
    assert done.test.n == len(pets.rows(Split.TEST))
    assert (
        done.test.comparison.difference.low
        <= done.test.after - done.test.before
        <= done.test.comparison.difference.high
    )
    assert done.answers == 8
    follow(pets)
    assert dict(pets.live.learnt()) == stands
    np.testing.assert_allclose(pets.weights(), never, atol=1e-8)
    assert list(pets.live.answerer.known.values()) == ["cat", "dog"], "no answer names the class any more"
    assert count_votes(pets) == votes - 6
    with pytest.raises(NotFoundError, match="no vote that counts and fits"):
        pets.project.forget("pets", voter="ann")


def test_criteria_combine_and_remaining_votes_decide(pets: Pets) -> None:
    one, two = pets.show("cat", 0, 1)
    pets.say(one, "dog", voter="ann", role=Role.GROUND_TRUTH)
    then = datetime.now(UTC)
    pets.say(two, "dog", voter="ann", role=Role.GROUND_TRUTH)
    pets.say(one, "cat", voter="bob")
    report = pets.project.forget("pets", voter="ann", since=then)
    assert (report.votes, report.unlearnt) == (1, 1)
    assert pets.project.forget("pets", voter="ann", sample=one[:12]).votes == 1
    follow(pets)
    place = pets.live.stands(one)
    assert (pets.live.classes[place.number], place.credit > 0.9) == ("cat", True)  # bob's word is what remains
    assert pets.live.stands(two) == NOWHERE
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)
    refused: list[tuple[dict[str, Any], type[Exception]]] = [
        ({}, UsageError),
        ({"sample": "ab"}, UsageError),
        ({"voter": "nobody"}, NotFoundError),
        ({"since": datetime.now(UTC) + timedelta(days=1)}, NotFoundError),
    ]
    for options, error in refused:
        with pytest.raises(error):
            pets.project.forget("pets", **options)


def test_a_failure_changes_nothing(pets: Pets, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = pets.show("cat", 0)
    pets.say(sample, "cat")
    before, votes = pets.weights(), count_votes(pets)

    def broken(*words: Any) -> int:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(draft, "add_entries", broken)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        forget(pets.project.workspace, "pets", voter="ann", live=pets.live)
    assert count_votes(pets) == votes
    assert pets.live.stands(sample).weight > 0
    np.testing.assert_allclose(pets.weights(), before, atol=1e-8)


def test_an_ingest_is_a_voter_too_and_the_model_keeps_two_classes(pets: Pets) -> None:
    (source,) = {vote.voter for vote in _votes(pets)}
    row = next(row for row in pets.rows(Split.TRAIN) if row.label == "cat")
    report = pets.project.forget("pets", voter=source, sample=row.sample)
    assert (report.votes, report.unlearnt) == (1, 1)
    follow(pets)
    assert pets.live.stands(row.sample) == NOWHERE
    with pytest.raises(DataError, match="left with 0 images of 0 classes"):
        pets.project.forget("pets", voter=source)
    assert pets.project.voters("pets")[0].retracted == 1


def test_the_next_version_follows(pets: Pets) -> None:
    (source,) = {vote.voter for vote in _votes(pets)}
    row = next(row for row in pets.rows(Split.TRAIN) if row.label == "cat")
    pets.say(row.sample, "dog", voter="bob", role=Role.ANNOTATOR)
    _freeze(pets)
    frozen = next(item for item in pets.rows(Split.TRAIN) if item.sample == row.sample)
    assert (frozen.status, frozen.label) == (Status.CONFLICT, None)
    pets.project.forget("pets", voter="bob")
    _freeze(pets)
    frozen = next(item for item in pets.rows(Split.TRAIN) if item.sample == row.sample)
    assert (frozen.status, frozen.label) == (Status.OK, "cat")
    pets.project.forget("pets", voter=source, sample=row.sample)
    number = _freeze(pets)
    frozen = next(item for item in pets.project.inspect("pets").rows if item.sample == row.sample)
    assert (frozen.status, frozen.label) == (Status.UNLABELLED, None)
    assert _freeze(pets) == number  # nothing more to follow


def test_a_folder_that_is_ingested_again_says_its_labels_again(project: Project, class_folders: WriteFolders) -> None:
    folder = class_folders(project.workspace.root / "in", {"cat": 6, "dog": 6})
    project.ingest(folder, "pets")
    sample = project.inspect("pets").rows[0].sample
    assert project.forget("pets", voter="in", sample=sample).imported == 1
    assert votes_on(project, sample) == 0
    project.ingest(folder, "pets")
    assert votes_on(project, sample) == 1
    row = next(row for row in project.inspect("pets").rows if row.sample == sample)
    assert (row.status, row.label is not None) == (Status.OK, True)


def test_going_back_to_a_version_brings_nothing_back_that_was_taken_back(pets: Pets) -> None:
    project = pets.project
    (source,) = {vote.voter for vote in _votes(pets)}
    cats = [row.sample for row in pets.rows(Split.TRAIN) if row.label == "cat"][:3]
    for sample in cats[:2]:
        pets.say(sample, "dog", voter="bob", role=Role.ANNOTATOR)
    number = _freeze(pets)
    assert project.outlook("pets").taken_back == 0
    project.forget("pets", voter="bob", sample=cats[0])
    assert project.outlook("pets").taken_back == 1, "told before it is done"
    pets.say(cats[2], "dog", voter="carl")  # which that version has never known, and does not come to know
    assert project.outlook("pets").taken_back == 1
    after = _freeze(pets)
    assert (after, project.outlook("pets").taken_back) == (number + 1, 0)
    back = project.revert(f"pets@{number}")
    assert (back.number, back.recipe["taken_back"]) == (number + 2, 1)
    assert labels_of(pets, *cats) == [("cat", Status.OK), (None, Status.CONFLICT), ("cat", Status.OK)]
    assert project.outlook("pets").taken_back == 0
    assert _freeze(pets) == back.number, "nothing more to follow"
    project.forget("pets", voter=source, sample=cats[2])
    back = project.revert("pets@1")
    assert back.recipe["taken_back"] == 1
    assert labels_of(pets, *cats) == [("cat", Status.OK), ("cat", Status.OK), (None, Status.UNLABELLED)]


def labels_of(pets: Pets, *samples: str) -> list[tuple[str | None, Status]]:
    rows = {row.sample: row for row in pets.project.inspect("pets").rows}
    return [(rows[name].label, rows[name].status) for name in samples]


def test_without_a_champion_and_with_one_that_cannot_learn_votes_go_all_the_same(pets: Pets) -> None:
    pets.say(pets.show("cat", 0)[0], "cat")
    pets.project.train("pets", models="logistic")
    pets.project.promote("pets@2", force=True)
    report = pets.project.forget("pets", voter="ann")
    assert (report.votes, report.unlearnt, report.model) == (1, 0, "pets@2")
    assert "the next retraining follows" in report.note


def test_votes_that_turn_out_wrong_are_unlearnt_exactly(pets: Pets) -> None:
    """Some lie before anyone knows them; when others contradict them, all that they said loses its weight."""
    lies, checked = pets.show("cat", *range(6)), pets.rows(Split.TRUSTED)[:12]
    liars = ("eve", "kim", "lee", "moe")
    for liar in liars:
        for sample in lies:
            pets.say(sample, "dog", voter=liar, role=Role.ANNOTATOR)
    for liar in liars:
        for row in checked:
            pets.say(row.sample, "dog" if row.label == "cat" else "cat", voter=liar, role=Role.ANNOTATOR)
    before = sum(pets.live.stands(name).credit for name in lies)
    for sample in lies[:3]:
        for voter in ("ann", "bob"):
            pets.say(sample, "cat", voter=voter)
    report = reaudit(pets.live)
    assert report.judged == len(lies) + len(checked)
    places = [pets.live.stands(name) for name in lies]
    assert [pets.live.classes[place.number] for place in places[:3]] == ["cat"] * 3
    assert sum(place.credit for place in places[3:]) < 0.2 < before
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=3e-8)  # the rounding of a hundred steps
    again = [reaudit(pets.live) for _ in range(3)][-1]  # what is unlearnt changes what is thought of the rest
    assert again.unlearnt + again.relabelled + again.reweighed + again.added == 0, "it comes to rest"
    assert dict(pets.again().learnt()) == dict(pets.live.learnt())


def test_voters_are_listed_with_their_records(pets: Pets) -> None:
    cats = pets.show("cat", *range(5))
    for sample in cats:
        for voter, label in (("ann", "cat"), ("bob", "cat"), ("eve", "dog")):
            pets.say(sample, label, voter=voter)
    pets.project.forget("pets", voter="bob", sample=cats[0])
    found = {voter.name: voter for voter in pets.project.voters("pets")}
    ann, bob, eve = found["ann"], found["bob"], found["eve"]
    assert (ann.votes, bob.votes, bob.retracted, eve.images) == (5, 4, 1, 5)
    for one in (ann, bob, eve):
        assert one.reliability is not None
        assert 0 <= one.reliability.low < one.reliability.value < one.reliability.high <= 1
    assert ann.reliability is not None
    assert eve.reliability is not None
    assert ann.reliability.value > 0.6 > 0.4 > eve.reliability.value
    follow(pets)
    learnt = pets.live.learnt()
    assert ann.weight == pytest.approx(np.mean([learnt[sample].credit for sample in cats]), abs=1e-6)
    assert bob.weight == pytest.approx(np.mean([learnt[sample].credit for sample in cats[1:]]))
    assert eve.weight == 0.0
    (importer,) = set(found) - {"ann", "bob", "eve"}
    assert found[importer].images > len(pets.rows(Split.TRAIN))
    assert found[importer].weight == 1.0, "test and trusted images, from which nothing is learnt, are left out"
    assert eve.agreement == 0
    assert ann.agreement == 0  # where bob's word still stands the others tie, and elsewhere only eve spoke


def _votes(pets: Pets) -> list[Any]:
    with pets.project.workspace.database.read() as connection:
        return list(find_votes(connection, "pets").values())


def _freeze(pets: Pets) -> int:
    """A version of all that was said, as a retraining makes it."""
    project: Project = pets.project
    newest = project.datasets("pets")[-1]
    with project.workspace.database.write() as connection:
        upto = newest_vote(connection, "pets")
    after = max(int(item.recipe.get("votes_upto", 0)) for item in project.datasets("pets"))
    rules = rules_of(newest)
    recipe = {"verb": "retrain", "votes_upto": upto, **rules.to_dict()}
    return commit_votes(project.workspace, "pets", rules=rules, recipe=recipe, said=(after, upto))[0].number


def test_a_dry_run_keeps_nobody_from_voting(pets: Pets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the database nor the live model is held while it computes, and it sees neither what comes meanwhile."""
    one, two = pets.show("cat", 0, 1)
    pets.say(one, "dog", role=Role.GROUND_TRUTH)
    stands = dict(pets.live.learnt())
    heard: list[float] = []

    def vote_meanwhile(*words: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:  # the lock of the model lets its own thread in
            heard.append(pool.submit(pets.say, two, "cat", "bob", role=Role.GROUND_TRUTH).result(60).weight)
        return find_yardstick(*words)

    with monkeypatch.context() as patch:
        patch.setattr(module, "find_yardstick", vote_meanwhile)
        report = module.forget(pets.project.workspace, "pets", voter="ann", dry_run=True, live=pets.live)
    assert heard == [1.0]
    assert (report.votes, report.unlearnt, report.dry_run) == (1, 1, True)
    assert dict(pets.live.learnt()) == stands | {two: pets.live.stands(two)}
    assert dict(pets.again().learnt()) == dict(pets.live.learnt())


def test_who_speaks_while_all_is_judged_is_not_held_up_and_is_believed(
    pets: Pets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sample that was judged already, of another one, and by the voter who is taken back."""
    same, other, more, late = pets.show("cat", *range(4))
    for sample in (same, other):
        pets.say(sample, "dog", voter="ann", role=Role.GROUND_TRUTH)
    asked: list[list[str]] = []

    def speak() -> None:
        pets.say(other, "cat", voter="bob", role=Role.GROUND_TRUTH)
        pets.say(late, "cat", voter="bob", role=Role.GROUND_TRUTH)
        pets.say(more, "dog", voter="ann", role=Role.GROUND_TRUTH)

    def judge_slowly(live: LiveModel, connection: Any, names: list[str], *words: Any, **options: Any) -> Any:
        asked.append(sorted(names))
        judged = judge(live, connection, names, *words, **options)
        if len(asked) == 1:
            with ThreadPoolExecutor(1) as pool:  # with the transaction of a judge who writes it would wait for ever
                pool.submit(speak).result(timeout=60)
        return judged

    for place in (ahead, module):
        monkeypatch.setattr(place, "judge", judge_slowly)
    done = forget(pets.project.workspace, "pets", voter="ann", live=pets.live)
    assert asked == [sorted((same, other)), sorted((other, more))]
    assert (done.votes, done.samples, done.unlearnt, done.changed) == (3, 3, 2, 1)
    stands = {name: pets.live.label_at(pets.live.stands(name)) for name in (same, other, more, late)}
    assert stands == {same: None, other: "cat", more: None, late: "cat"}
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)
    assert dict(pets.again().learnt()) == dict(pets.live.learnt())
    assert votes_on(pets.project, more) == 0


def test_what_is_learnt_otherwise_meanwhile_is_judged_anew(pets: Pets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nobody spoke: another process has judged all anew, or its guard has undone a step."""
    one, two = pets.show("cat", 0, 1)
    for sample in (one, two):
        pets.say(sample, "cat", voter="bob")
        pets.say(sample, "cat", voter="ann")
    other = pets.again()
    asked: list[list[str]] = []

    def judge_slowly(live: LiveModel, connection: Any, names: list[str], *words: Any, **options: Any) -> Any:
        asked.append(sorted(names))
        judged = judge(live, connection, names, *words, **options)
        if len(asked) == 1:
            place = replace(other.stands(two), weight=0.5)
            with draft.drafting(other) as step, other.workspace.database.write() as writing:
                step.hold(writing)
                step.record(writing, [Entry(two, "cat", place.weight, "audit", "", strength=place.strength)])
        return judged

    for place in (ahead, module):
        monkeypatch.setattr(place, "judge", judge_slowly)
    forget(pets.project.workspace, "pets", voter="ann", live=pets.live)
    assert asked == [sorted((one, two)), [two]]
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)
    assert dict(pets.again().learnt()) == dict(pets.live.learnt())
