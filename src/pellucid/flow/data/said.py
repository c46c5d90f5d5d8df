"""What is said of a sample: which of its votes touch its label in a version, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pellucid.labels.consensus import Consensus, derive, last_words
from pellucid.types import KEEPER, Role, Row, Split, Status, Vote

USERS = "users: "  # how the reason of a label begins that was settled out of what users say
COPY = f"{USERS}a near-copy of another image that they sent, which is trained on in its place"
Standing = frozenset[tuple[str, str, Role]]  # voter, label and role of each vote that stands


@dataclass(frozen=True, slots=True)
class Settled:
    """What was made of words of which some are a user's."""

    label: Consensus
    words: Standing  # that it rests on; where others stand by now it says nothing


def derive_label(votes: Sequence[Vote], settled: Settled | None = None) -> Consensus:
    """The label of a sample's votes, oldest first.

    Where a user is among those who said something, it is what was settled about just these words. Where nothing was
    and a user contradicts somebody, numbers decide nothing, because anybody may have many names: it is what all but
    the users say; users alone leave a conflict.

    >>> from datetime import UTC, datetime
    >>> def say(voter, label, role):
    ...     return Vote("trash", "ab" * 32, label, role, voter, datetime.now(UTC))
    >>> lies = [say(f"eve{number}", "metal", Role.USER) for number in range(3)]
    >>> derive_label([say("ann", "glass", Role.ANNOTATOR), *lies]).label
    'glass'
    >>> str(derive_label([say("eve", "metal", Role.USER), say("bob", "glass", Role.USER)]).status)
    'conflict'
    """
    heard = [vote for vote in votes if vote.voter != KEEPER]
    said = derive(heard)
    if not any(map(is_users, last_words(heard))):
        return said
    if settled is not None and settled.words == standing(heard):
        return settled.label
    if not said.reason:
        return said
    others = derive([vote for vote in heard if not is_users(vote)])
    if others.status is Status.UNLABELLED:
        return Consensus(None, 0, Status.CONFLICT, said.reason)
    return Consensus(others.label, others.trust, others.status, said.reason)


def standing(votes: Iterable[Vote]) -> Standing:
    """The last words."""
    return frozenset((vote.voter, vote.label, vote.role) for vote in last_words(votes))


def that_touch(row: Row | None, votes: Sequence[Vote]) -> list[Vote]:
    """The votes that may change the row's label: on what is measured on, none of users."""
    measured = row is not None and row.split is not Split.TRAIN and row.status is not Status.UNLABELLED
    return [vote for vote in votes if not (measured and is_users(vote))]


def is_users(vote: Vote) -> bool:
    """Whether a user has said it, and not somebody who brought a file of users' words and vouches for it."""
    return vote.role is Role.USER and vote.import_id is None


def rests_on_users(row: Row) -> bool:
    """Whether the row is as it was settled out of what users say, and nobody has judged it since."""
    return row.reason.startswith(USERS)


def any_truth(votes: Iterable[Vote]) -> bool:
    """Whether one of them is ground truth."""
    return any(vote.role is Role.GROUND_TRUTH for vote in votes)
