"""What a sample's votes say together: its label, how far it is to be believed, and whether they contradict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pellucid.types import TRUST_SCALE, Role, Status, Vote

AGAINST = " against "  # in the reason of a label that somebody contradicts
HEARD = (Role.ANNOTATOR, Role.USER)  # a model's own answer is evidence about the model, not about the image


@dataclass(frozen=True, slots=True)
class Consensus:
    """The label that a sample's votes derive."""

    label: str | None
    trust: int  # thousandths: the share of voters who say so
    status: Status  # ok, conflict or unlabelled
    reason: str  # what contradicts, where something does


def derive(votes: Sequence[Vote]) -> Consensus:
    """The label by majority of the voters, ground truth before all others.

    A voter has one say: what they said last replaces what they said before. Only the labels of one and the same
    import stand side by side, because neither is later: a file that lies in two class folders contradicts itself.
    What somebody said as ground truth is replaced by ground truth only. A tie is a conflict and has no label.

    Args:
        votes: all votes on one sample, oldest first.

    >>> from datetime import UTC, datetime
    >>> def say(voter, label, role=Role.ANNOTATOR):
    ...     return Vote("trash", "ab" * 32, label, role, voter, datetime.now(UTC))
    >>> derive([say("ann", "glass"), say("bob", "metal"), say("ann", "metal")]).label
    'metal'
    >>> derive([say("ann", "glass"), say("bob", "metal")]).reason
    'glass (ann) against metal (bob)'
    >>> derive([say("ann", "glass"), say("eve", "metal", Role.GROUND_TRUTH)]).label
    'metal'
    """
    if len(votes) == 1 and votes[0].role is not Role.MODEL:
        return Consensus(votes[0].label, TRUST_SCALE, Status.OK, "")
    current = last_words(votes)
    truth = [vote for vote in current if vote.role is Role.GROUND_TRUTH]
    heard = truth or [vote for vote in current if vote.role in HEARD]
    if not heard:
        return Consensus(None, 0, Status.UNLABELLED, "")
    said: dict[str, set[str]] = defaultdict(set)
    for vote in heard:
        said[vote.voter].add(vote.label)
    shares: dict[str, Fraction] = defaultdict(Fraction)  # exact: a tie is a tie, in whatever order votes came
    for labels in said.values():
        for label in labels:
            shares[label] += Fraction(1, len(labels))
    (label, most), *others = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    if others and others[0][1] == most:
        return Consensus(None, 0, Status.CONFLICT, _against(heard))
    trust = round(TRUST_SCALE * most / len(said))
    return Consensus(label, trust, Status.OK, _against(heard) if others else "")


def last_words(votes: Iterable[Vote]) -> list[Vote]:
    """The votes that stand, of one sample's votes, oldest first; see ``derive``.

    A voter stands once as ground truth, once as annotator or user, and once as model.
    """
    last: dict[tuple[str, str], list[Vote]] = {}
    for vote in votes:
        key = vote.voter, "heard" if vote.role in HEARD else str(vote.role)
        said = last.get(key)
        if said and vote.import_id is not None and said[0].import_id == vote.import_id:
            said.append(vote)
        else:
            last[key] = [vote]
    return [vote for said in last.values() for vote in said]


def _against(votes: Iterable[Vote]) -> str:
    voters: dict[str, set[str]] = {}
    for vote in votes:
        voters.setdefault(vote.label, set()).add(vote.voter)
    return AGAINST.join(f"{label} ({', '.join(sorted(voters[label]))})" for label in sorted(voters))
