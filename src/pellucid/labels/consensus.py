"""What a sample's votes say together: its label, how far it is to be believed, and whether they contradict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pellucid.types import TRUST_SCALE, Role, Status, Vote

_HEARD = (Role.ANNOTATOR, Role.USER)  # a model's own answer is evidence about the model, not about the image


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
    A tie is a conflict and has no label.

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
    current = _last_words(votes)
    truth = [vote for vote in current if vote.role is Role.GROUND_TRUTH]
    heard = truth or [vote for vote in current if vote.role in _HEARD]
    if not heard:
        return Consensus(None, 0, Status.UNLABELLED, "")
    shares: dict[str, float] = defaultdict(float)
    for voter in {vote.voter for vote in heard}:
        labels = {vote.label for vote in heard if vote.voter == voter}
        for label in labels:
            shares[label] += 1 / len(labels)
    (label, most), *others = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    if others and others[0][1] > most - 1e-9:
        return Consensus(None, 0, Status.CONFLICT, _against(heard))
    trust = round(TRUST_SCALE * most / sum(shares.values()))
    return Consensus(label, trust, Status.OK, _against(heard) if others else "")


def _last_words(votes: Iterable[Vote]) -> list[Vote]:
    last: dict[str, list[Vote]] = {}
    for vote in votes:
        said = last.get(vote.voter)
        if said and vote.import_id is not None and said[0].import_id == vote.import_id:
            said.append(vote)
        else:
            last[vote.voter] = [vote]
    return [vote for said in last.values() for vote in said]


def _against(votes: Iterable[Vote]) -> str:
    voters: dict[str, set[str]] = {}
    for vote in votes:
        voters.setdefault(vote.label, set()).add(vote.voter)
    return " against ".join(f"{label} ({', '.join(sorted(voters[label]))})" for label in sorted(voters))
