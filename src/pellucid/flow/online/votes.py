"""Votes: the newest ones of one voter, beside what is believed of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.datasets import get_version
from pellucid.store.ledger import entries_of
from pellucid.store.manifests import read_manifest
from pellucid.store.models import get_model
from pellucid.store.votes import votes_by
from pellucid.types import Role, Status


@dataclass(frozen=True, slots=True)
class CastVote:
    """One vote."""

    number: int  # later ones have higher ones
    sample: str
    label: str
    at: datetime  # UTC
    role: Role
    support: float | None  # 0..1: what others gave the label when it was said; None where nobody could tell
    believed: str | None  # the label under which the image stands now; None where it stands under none
    counts: bool  # whether it has not been taken back
    note: str | None

    @property
    def agrees(self) -> bool | None:
        """Whether the image stands under the label that was said; None where it stands under none."""
        return None if self.believed is None else self.believed == self.label


def newest_votes(
    workspace: Workspace, dataset: str, voter: str, *, most: int = 24, before: int | None = None
) -> list[CastVote]:
    """The voter's newest votes, newest first; those that were taken back too.

    An image stands under the label with which the champion has learnt it, else under that of the newest version.

    Args:
        before: only votes with a lower number than this one.

    Raises:
        NotFoundError: there is no such dataset.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, dataset)
        found = votes_by(connection, version.dataset, voter, most, before=before)
        samples = {vote.sample for _, vote, _ in found}
        crowned = alias_state(connection, version.dataset, CHAMPION).version
        stands: dict[str, str | None] = {}
        if crowned is not None:
            model = get_model(connection, f"{version.dataset}@{crowned}")
            entries = {name: entries_of(connection, model, name) for name in sorted(samples)}
            stands = {name: said[-1].label for name, said in entries.items() if said and said[-1].weight > 0}
    rows = {
        row.sample: row.label if row.status is Status.OK else None
        for row in read_manifest(workspace.blobs, version.content_id)
        if row.sample in samples
    }
    return [
        CastVote(
            number=number,
            sample=vote.sample,
            label=vote.label,
            at=vote.at,
            role=vote.role,
            support=vote.support,
            believed=stands.get(vote.sample, rows.get(vote.sample)),
            counts=counts,
            note=vote.note,
        )
        for number, vote, counts in found
    ]
