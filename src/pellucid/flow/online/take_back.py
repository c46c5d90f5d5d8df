"""Take back: the vote that somebody has just said counts no longer, and the live model unlearns what followed."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.errors import NotFoundError
from pellucid.flow.online.draft import drafting
from pellucid.flow.online.judging import differ, judge
from pellucid.flow.online.live import LiveModel
from pellucid.store.retractions import retract
from pellucid.store.votes import find_votes


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What became of it."""

    vote: int
    sample: str
    label: str  # that had been said
    weight: float  # 0..1: how much of its label the model has now learnt of the sample, weight times strength
    ledger: int  # the newest entry that the model then held


def take_back(live: LiveModel, sample: str, vote: int, voter: str) -> TakenBack:
    """Takes one vote back; the sample stands in the model where the other votes, or the training, put it.

    Vote and ledger change in one transaction; where it fails, the model stands as before.

    Args:
        sample: that the vote is on.
        vote: its number.
        voter: who said it; nobody takes back what another one said.

    Raises:
        NotFoundError: the voter has no such vote that counts.
        ConcurrencyError: somebody else took it back meanwhile; nothing was changed.
    """
    dataset = live.model.name
    with drafting(live) as draft:
        with live.workspace.database.write() as connection:
            draft.hold(connection)
            said = find_votes(connection, dataset, voter=voter, sample=sample).get(vote)
            if said is None or said.sample != sample:
                raise NotFoundError(
                    f"{voter!r} has no vote {vote} on this image that counts; it was taken back already"
                )
            retract(connection, dataset, [vote], actor=voter, reason="taken back by who said it")
            if live.learns:
                intact = live.vectors.intact(connection, [sample])
                moved = differ(live, judge(live, connection, *intact, action="unlearn", reason="taken back"))
                draft.learn(moved.entries, live.view(moved.X))
                draft.record(connection, moved.entries)
        return TakenBack(vote, sample, said.label, live.stands(sample).credit, draft.ledger)
