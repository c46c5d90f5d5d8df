"""Ballots: what columns say is what going through the votes one by one says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pellucid.labels.ballots import ROLES, Ballots
from pellucid.labels.consensus import last_words
from pellucid.types import Role, Vote

NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)
VOTES = st.builds(
    lambda sample, label, role, voter, imported: Vote(
        "pets", sample, label, role, voter, NOON, import_id=imported, support=None if imported else 0.25
    ),
    st.sampled_from(["s", "t"]),
    st.sampled_from(["cat", "dog", "eel"]),
    st.sampled_from(Role),
    st.sampled_from(["ann", "bob", "eve"]),
    st.sampled_from([None, 1, 2]),
)


def rows(votes: Sequence[Vote]) -> list[tuple[Any, ...]]:
    return [(item.sample, item.voter, item.label, item.role, item.at, item.import_id, item.support) for item in votes]


def names(ballots: Ballots) -> list[tuple[str, str, str, str]]:
    columns = zip(ballots.sample, ballots.voter, ballots.label, ballots.role, strict=True)
    return [(ballots.samples[s], ballots.voters[v], ballots.labels[k], ROLES[r]) for s, v, k, r in columns]


def words_of(votes: Sequence[Vote]) -> list[Vote]:
    by_sample: dict[str, list[Vote]] = defaultdict(list)
    for item in votes:
        by_sample[item.sample].append(item)
    return [word for said in by_sample.values() for word in last_words(said)]


@given(st.lists(VOTES, max_size=14))
def test_words_are_those_of_going_through_them(votes: list[Vote]) -> None:
    ballots = Ballots.of([rows(votes[:5]), [], rows(votes[5:])])
    expected = [(item.sample, item.voter, item.label, item.role) for item in words_of(votes)]
    assert sorted(names(ballots.words())) == sorted(expected)


@given(st.lists(VOTES, max_size=14))
def test_agreement_is_that_of_counting_others(votes: list[Vote]) -> None:
    words = words_of(votes)
    expected: Counter[tuple[object, ...]] = Counter()
    for mine in words:
        others = Counter(
            item.label
            for item in words
            if item.sample == mine.sample and item.voter != mine.voter and item.role is not Role.MODEL
        ).most_common()
        if mine.role is not Role.MODEL and others and (len(others) == 1 or others[0][1] > others[1][1]):
            expected[mine.sample, mine.voter, mine.label, str(mine.role), others[0][0] == mine.label] += 1
    ballots = Ballots.of([rows(votes)]).words()
    places, agree = ballots.agreements()
    told = zip(names(ballots.only(places)), agree.tolist(), strict=True)
    assert Counter((*name, is_most) for name, is_most in told) == expected


def test_two_labels_of_one_import_do_not_contradict_each_other() -> None:
    twice = [Vote("pets", "s", label, Role.USER, "bob", NOON, import_id=1) for label in ("cat", "dog")]
    assert Ballots.of([rows(twice)]).words().agreements()[0].tolist() == []
    ballots = Ballots.of([rows([*twice, Vote("pets", "s", "cat", Role.USER, "ann", NOON)])]).words()
    places, agree = ballots.agreements()
    assert [names(ballots)[place][1] for place in places] == ["bob", "bob"], "what ann's others say is a tie"
    assert agree.tolist() == [True, False]


def test_what_is_in_the_columns() -> None:
    later = NOON + timedelta(milliseconds=1500)
    said = [
        Vote("pets", "s", "cat", Role.USER, "ann", NOON, support=0.5),
        Vote("pets", "s", "cat", Role.MODEL, "m", later),
    ]
    ballots = Ballots.of([rows(said)])
    assert np.diff(ballots.at).tolist() == [1.5]
    assert ballots.support.tolist()[:1] == [0.5]
    assert np.isnan(ballots.support[1])
    assert [places.tolist() for places in ballots.per_voter()] == [[0], [1]]
    assert len(Ballots.of([])) == len(Ballots.of([]).words()) == 0
