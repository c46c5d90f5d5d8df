"""What is said of a sample: which of its votes touch its label in a version, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pellucid.labels.consensus import Consensus, derive, last_words
from pellucid.types import KEEPER, Role, Row, Split, Status, Vote

USERS = "users: "  # how the reason of a label begins that was settled out of what users say
COPY = f"{USERS}one of several near-copies that they sent, of which one is trained on"
Standing = frozenset[tuple[str, str, Role]]  # voter, label and role of each vote that stands


@dataclass(frozen=True, slots=True)
class Settled:
    """What was made of words of which some are a user's."""

    label: Consensus
    words: Standing  # that it rests on; where others stand by now it says nothing


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is to be made of images that users have labelled."""

    settled: Mapping[str, Settled] = field(default_factory=dict)  # by sample
    copies: Mapping[str, str] = field(default_factory=dict)  # near-copies of one another have one mark, by sample


UNSPOKEN = Spoken()  # users have said nothing, or nobody was asked about it


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


def set_copies_aside(rows: Sequence[Row], copies: Mapping[str, str], before: Mapping[str, Row]) -> list[Row]:
    """The rows with one row for training of those that share a mark: nobody gains by repeating a picture.

    Rather one that was judged than one that nobody could judge, rather the one that was trained on before, and else the
    one that is surest.

    Args:
        copies: the mark of each sample that has one.
        before: the rows of the version before, by sample.
    """

    def rank(row: Row) -> tuple[bool, bool, int, str]:
        earlier = before.get(row.sample)
        return not rests_on_users(row), earlier is None or earlier.status is not Status.OK, -row.trust, row.sample

    usable = [row for row in rows if row.sample in copies and row.status is Status.OK and row.split is Split.TRAIN]
    kept: dict[str, str] = {}
    for row in sorted(usable, key=rank):
        kept.setdefault(copies[row.sample], row.sample)
    aside = {row.sample for row in usable} - set(kept.values())
    return [replace(row, trust=0, status=Status.SET_ASIDE, reason=COPY) if row.sample in aside else row for row in rows]


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
