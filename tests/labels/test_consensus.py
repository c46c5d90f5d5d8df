from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.labels.consensus import derive, last_words
from pellucid.types import Role, Status, Vote

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def vote(voter: str, label: str, role: Role = Role.ANNOTATOR, source: int | None = None) -> Vote:
    return Vote("pets", "ab" * 32, label, role, voter, NOW, source)


def test_nobody_said_anything() -> None:
    said = derive([])
    assert (said.label, said.trust, said.status) == (None, 0, Status.UNLABELLED)


def test_majority_and_its_share() -> None:
    said = derive([vote("ann", "cat"), vote("bob", "cat"), vote("eve", "dog")])
    assert (said.label, said.trust, said.status) == ("cat", 667, Status.OK)
    assert said.reason == "cat (ann, bob) against dog (eve)"


def test_unanimous_has_full_trust_and_no_reason() -> None:
    said = derive([vote("ann", "cat"), vote("bob", "cat")])
    assert (said.label, said.trust, said.reason) == ("cat", 1000, "")


def test_tie_is_a_conflict_in_any_order() -> None:
    votes = [vote("ann", "cat"), vote("bob", "dog"), vote("eve", "eel")]
    for order in permutations(votes):
        said = derive(order)
        assert (said.label, said.status) == (None, Status.CONFLICT)
        assert said.reason == "cat (ann) against dog (bob) against eel (eve)"


def test_last_word_of_a_voter_replaces_what_went_before() -> None:
    assert derive([vote("ann", "cat", source=1), vote("ann", "dog", source=2)]).label == "dog"
    assert derive([vote("ann", "cat"), vote("ann", "dog")]).label == "dog"


def test_one_import_that_contradicts_itself_is_a_conflict() -> None:
    said = derive([vote("folder", "cat", source=1), vote("folder", "dog", source=1)])
    assert (said.status, said.reason) == (Status.CONFLICT, "cat (folder) against dog (folder)")
    assert derive([vote("folder", "cat", source=1), vote("folder", "cat", source=1)]).label == "cat"


def test_a_voter_who_contradicts_himself_shares_his_voice() -> None:
    said = derive([vote("folder", "cat", source=1), vote("folder", "dog", source=1), vote("ann", "dog")])
    assert (said.label, said.trust) == ("dog", 750)


def test_ground_truth_before_any_majority_and_only_replaced_by_ground_truth() -> None:
    truth = vote("eve", "cat", Role.GROUND_TRUTH)
    crowd = [vote(name, "dog", Role.USER) for name in "abcd"]
    assert derive([truth, *crowd]).label == "cat"
    assert derive([truth, vote("eve", "dog")]).label == "cat"  # the same person, later, as annotator
    assert derive([truth, vote("eve", "dog", Role.GROUND_TRUTH)]).label == "dog"
    assert derive([truth, vote("bob", "dog", Role.GROUND_TRUTH)]).status is Status.CONFLICT


def test_a_model_says_nothing_about_an_image() -> None:
    said = derive([vote("m", "cat", Role.MODEL)])
    assert said.status is Status.UNLABELLED
    assert derive([vote("ann", "dog"), vote("ann", "cat", Role.MODEL)]).label == "dog"


VOTES = st.lists(
    st.builds(
        vote,
        st.sampled_from(["ann", "bob", "eve"]),
        st.sampled_from(["cat", "dog"]),
        st.sampled_from([Role.ANNOTATOR, Role.USER, Role.GROUND_TRUTH]),
        st.sampled_from([None, 1, 2]),
    ),
    max_size=8,
)


@given(VOTES)
def test_trust_is_a_share_and_only_a_label_has_it(votes: list[Vote]) -> None:
    said = derive(votes)
    assert (said.label is None) == (said.trust == 0) == (said.status is not Status.OK)
    assert 0 <= said.trust <= 1000


@given(VOTES)
def test_what_no_longer_stands_does_not_count(votes: list[Vote]) -> None:
    assert derive(last_words(votes)) == derive(votes)


@given(VOTES)
def test_repeating_what_was_said_last_changes_nothing(votes: list[Vote]) -> None:
    again = [*votes, *(vote(item.voter, item.label, item.role) for item in last_words(votes) if item.import_id is None)]
    assert derive(again) == derive(votes)
