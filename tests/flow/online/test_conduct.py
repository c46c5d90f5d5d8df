"""Conduct: who is suspected and why; honest voters are not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pellucid.evaluate.evaluation import Estimate
from pellucid.flow.online.conduct import BURST, Conduct, believed_labels, conduct_of, usual_shares
from pellucid.flow.online.voters import list_voters
from pellucid.flow.online.votes import newest_votes
from pellucid.labels.ballots import Ballots
from pellucid.types import Role, Row, Split, Status, Vote

from ..conftest import Pets

NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)
USUAL = {"cat": 0.4, "dog": 0.3, "eel": 0.3}


def vote(place: int, label: str = "cat", *, seconds: float | None = None, support: float | None = 0.9) -> Vote:
    at = NOON + timedelta(seconds=20 * place if seconds is None else seconds)
    return Vote("pets", f"{place:064x}", label, Role.USER, "ann", at, support=support)


def row(place: int, label: str | None, trust: int = 900, status: Status = Status.OK) -> Row:
    return Row(f"{place:064x}", label, trust, Split.TRAIN, status, "", f"{place:064x}")


def votes_as_ballots(said: Sequence[Vote]) -> Ballots:
    return Ballots.of(
        [[(item.sample, item.voter, item.label, item.role, item.at, item.import_id, item.support) for item in said]]
    )


def look(said: Sequence[Vote], rows: Sequence[Row] = (), **more: Any) -> Conduct:
    ballots = votes_as_ballots(said)
    options = {"made_at": NOON + timedelta(days=1), "usual": USUAL, "reliability": Estimate(0.9, 0.8, 0.95), **more}
    return conduct_of(ballots, ballots.words(), believed=believed_labels(ballots, rows), **options)


def test_an_honest_voter_is_suspected_of_nothing() -> None:
    said = [vote(n, ("cat", "dog", "eel")[n % 3], support=0.2 if n % 10 == 0 else 0.9) for n in range(60)]
    found = look(said, [row(n, ("cat", "dog", "eel")[n % 3]) for n in range(60)])
    assert found.suspicions == ()
    assert (found.wavers, found.burst, found.believed, found.judged) == (0, 3, 1.0, 60)
    assert (found.doubted, found.supported) == (6, 60)


def test_few_votes_are_no_ground_for_suspicion() -> None:
    said = [vote(n, support=0.01) for n in range(9)]
    found = look(said, [row(n, "dog") for n in range(9)], reliability=Estimate(0.1, 0.05, 0.2))
    assert found.suspicions == ()


@pytest.mark.parametrize(
    ("said", "rows", "reliability", "words"),
    [
        ([vote(n) for n in range(12)], [], Estimate(0.1, 0.05, 0.2), "rather wrong than right: at most 20%"),
        ([vote(n) for n in range(12)], [row(n, "dog") for n in range(12)], None, "not believed: 0% of 12"),
        ([vote(n) for n in range(12)], [row(n, "cat", 300) for n in range(12)], None, "not believed: 0% of 12"),
        ([vote(n // 2, "cat" if n % 2 else "dog") for n in range(24)], [], None, "two labels to 12 of 12 images"),
        ([vote(n, seconds=n / 10) for n in range(BURST)], [], None, f"{BURST} labels within one minute"),
        ([vote(n, support=0.1) for n in range(20)], [], None, "aims at 'cat': 20 of the 20"),
    ],
)
def test_bad_conduct_is_told(said: list[Vote], rows: list[Row], reliability: Estimate | None, words: str) -> None:
    found = look(said, rows, reliability=reliability)
    assert len(found.suspicions) == 1
    assert words in found.suspicions[0]


def test_words_after_the_version_are_not_asked_about() -> None:
    found = look([vote(n) for n in range(12)], [row(n, "dog") for n in range(12)], made_at=NOON - timedelta(days=1))
    assert (found.judged, found.believed, found.suspicions) == (0, None, ())


def test_repeating_is_no_wavering() -> None:
    found = look([vote(1), vote(1), vote(2), vote(2, "dog"), vote(2)])
    assert found.wavers == 1


def test_an_import_is_no_burst() -> None:
    said = [Vote("pets", f"{n:064x}", "cat", Role.ANNOTATOR, "folder", NOON, import_id=1) for n in range(500)]
    assert look(said).burst == 0
    assert usual_shares(votes_as_ballots(said)) == {"cat": 1.0}


def test_a_liar_among_the_voters(pets: Pets) -> None:
    samples = pets.show("cat", *range(12))
    for sample in samples:
        pets.say(sample, "dog", voter="<i>eve</i>")
    pets.say(samples[0], "cat")
    found = {voter.name: voter for voter in list_voters(pets.project.workspace, "pets")}
    assert "rather wrong than right" in " ".join(found["<i>eve</i>"].conduct.suspicions)
    assert found["ann"].conduct.suspicions == ()
    pets.project.forget("pets", voter="<i>eve</i>")
    words = newest_votes(pets.project.workspace, "pets", "<i>eve</i>", most=5)
    assert [word.sample for word in words] == samples[:-6:-1]
    assert {word.counts for word in words} == {False}
    (more,) = newest_votes(pets.project.workspace, "pets", "ann", before=10**6)
    assert (more.label, more.believed, more.agrees, more.counts) == ("cat", "cat", True, True)
    assert len(newest_votes(pets.project.workspace, "pets", "<i>eve</i>", before=words[-1].number)) == 7
