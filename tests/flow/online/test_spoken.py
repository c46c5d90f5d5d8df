"""What is believed of what users say: by model and records, by annotators, or by nobody yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest

from pellucid.flow.online.belief import believe_all
from pellucid.flow.online.spoken import settle_spoken
from pellucid.heads.statistic import strength
from pellucid.labels.consensus import Consensus
from pellucid.store.votes import add_votes, votes_of
from pellucid.types import Role, Split, Status, Vote

from ..conftest import Pets

pytestmark = pytest.mark.usefixtures("no_reports")

_MOMENTS = count()
Word = tuple[str, str, Role]  # label, voter, role


def settled(pets: Pets, sample: str, *words: Word) -> Consensus | None:
    start = datetime(2026, 2, 3, tzinfo=UTC)
    votes = [
        Vote("pets", sample, label, role, voter, start + timedelta(seconds=next(_MOMENTS)))
        for label, voter, role in words
    ]
    with pets.project.workspace.database.write() as connection:
        add_votes(connection, votes)
    found = settle_spoken(pets.project.workspace, pets.live.model).settled.get(sample)
    return None if found is None else found.label


def known(pets: Pets, label: str) -> str:
    """A training image that an import has labelled so."""
    return next(row.sample for row in pets.rows(Split.TRAIN) if row.label == label)


@pytest.mark.parametrize("names", [1, 2])
def test_model_and_import_are_believed_against_strangers(pets: Pets, names: int) -> None:
    found = settled(pets, known(pets, "cat"), *(("dog", f"eve{number}", Role.USER) for number in range(names)))
    assert found is not None
    assert (found.label, found.status) == ("cat", Status.OK)
    assert 500 < found.trust <= 1000
    assert "dog (eve0" in found.reason


def test_users_who_contradict_each_other_leave_it_to_the_model(pets: Pets) -> None:
    (cat,) = pets.show("cat", 0)
    found = settled(pets, cat, ("dog", "eve", Role.USER), ("cat", "ann", Role.USER))
    assert found is not None
    assert found.label == "cat"


@pytest.mark.parametrize(
    "words",
    [
        [("cat", "ann", Role.USER)],  # who repeats what is said already
        [("dog", "ann", Role.ANNOTATOR)],  # two people who were asked
        [("dog", "eve", Role.USER), ("dog", "judge", Role.GROUND_TRUTH)],
        [("dog", "eve", Role.USER), ("cat", "eve", Role.USER)],  # who has come to another mind
        [("dog", "resnet", Role.MODEL)],
    ],
)
def test_where_no_user_says_anything_of_his_own_nothing_is_settled(pets: Pets, words: Sequence[Word]) -> None:
    assert settled(pets, known(pets, "cat"), *words) is None


def test_a_user_alone_is_believed_as_far_as_model_and_record_go(pets: Pets) -> None:
    cats = pets.show("cat", 0, 1, 2)
    right, wrong = (settled(pets, cats[at], (label, "eve", Role.USER)) for at, label in enumerate(("cat", "dog")))
    assert right is not None
    assert (right.label, right.status) == ("cat", Status.OK)
    assert right.trust > 900
    assert re.fullmatch(r"users: \d+\.\d% likely right, by \d+\.\d% ahead", right.reason)
    assert wrong is not None
    assert (wrong.label, wrong.status) == ("dog", Status.SUSPECT)
    assert wrong.trust < 100


def test_many_who_agree_on_an_image_are_no_more_than_their_records(pets: Pets) -> None:
    (cat,) = pets.show("cat", 0)
    found = settled(pets, cat, *(("dog", f"eve{number}", Role.USER) for number in range(5)))
    assert found is not None
    assert (found.label, found.status) == ("dog", Status.SUSPECT)


def test_invented_classes_make_no_word_weigh_more(pets: Pets) -> None:
    cat, other = pets.show("cat", 0, 1)
    for number in range(40):
        settled(pets, other, (f"junk {number}", f"sock {number}", Role.USER))
    found = settled(pets, cat, ("dog", "eve", Role.USER))
    assert found is not None
    assert (found.label, found.status) == ("dog", Status.SUSPECT)
    assert found.trust < 100


def test_a_class_that_the_model_was_not_trained_on_is_left_to_the_audit(pets: Pets) -> None:
    (cat,) = pets.show("cat", 0)
    assert settled(pets, cat, ("eel", "eve", Role.USER)) is None


def test_trust_is_learnt_as_the_lead_that_the_live_model_learns(pets: Pets) -> None:
    (cat,) = pets.show("cat", 0)
    found = settled(pets, cat, ("cat", "eve", Role.USER))
    assert found is not None
    with pets.project.workspace.database.read() as connection:
        votes = votes_of(connection, "pets", [cat])
        believed = believe_all(pets.live, votes, [pets.live.look_up(connection, [cat])])[cat]
    assert strength(np.array(found.trust / 1000), 2) == pytest.approx(believed.weight * believed.strength, abs=2e-3)


def test_what_nobody_can_believe_waits_for_a_person(pets: Pets) -> None:
    (cat,) = pets.show("cat", 0)
    found = settled(pets, cat, ("eel", "eve", Role.USER), ("fox", "ann", Role.USER))
    assert found == Consensus(None, 0, Status.CONFLICT, "eel (eve) against fox (ann)")


def test_where_an_annotator_has_looked_users_are_not_heard(pets: Pets) -> None:
    lies: list[Word] = [("dog", f"eve{number}", Role.USER) for number in range(5)]
    agreed = settled(pets, known(pets, "cat"), *lies, ("cat", "ann", Role.ANNOTATOR))
    assert agreed is not None
    assert (agreed.label, agreed.trust, agreed.status) == ("cat", 1000, Status.OK)
    other = next(row.sample for row in pets.rows(Split.TRAIN) if row.label == "dog")
    torn = settled(pets, other, ("dog", "eve", Role.USER), ("cat", "ann", Role.ANNOTATOR))
    assert torn is not None
    assert (torn.label, torn.status) == (None, Status.CONFLICT)
