"""Votes: who said which label of which sample. They are only ever added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from pellucid.store.samples import chunked
from pellucid.store.schema import ingest, vote
from pellucid.types import Role, Vote


def add_votes(connection: sa.Connection, votes: Sequence[Vote]) -> None:
    """Records the votes."""
    if votes:
        connection.execute(
            sa.insert(vote),
            [
                {
                    "dataset": item.dataset,
                    "sample_id": item.sample,
                    "label": item.label,
                    "role": item.role,
                    "voter": item.voter,
                    "at": item.at,
                    "ingest_id": item.import_id,
                    "model": item.model,
                    "confidence": item.confidence,
                }
                for item in votes
            ],
        )


def said_so_far(connection: sa.Connection, dataset: str) -> tuple[int, int]:
    """How many ingests of the dataset are finished, and the newest vote that was said directly: what votes count."""
    finished = sa.select(sa.func.count()).where(ingest.c.dataset == dataset, ingest.c.finished_at.is_not(None))
    directly = sa.select(sa.func.max(vote.c.id)).where(vote.c.dataset == dataset, vote.c.ingest_id.is_(None))
    return int(connection.execute(finished).scalar_one()), int(connection.execute(directly).scalar() or 0)


def votes_of(connection: sa.Connection, dataset: str, ids: Sequence[str]) -> dict[str, list[Vote]]:
    """The votes on each sample, oldest first: those of finished ingests, and those said directly."""
    found: dict[str, list[Vote]] = defaultdict(list)
    counts = sa.or_(vote.c.ingest_id.is_(None), ingest.c.finished_at.is_not(None))
    for chunk in chunked(ids):
        query = (
            sa.select(vote)
            .outerjoin(ingest, ingest.c.id == vote.c.ingest_id)
            .where(vote.c.dataset == dataset, vote.c.sample_id.in_(chunk), counts)
            .order_by(vote.c.id)
        )
        for row in connection.execute(query).all():  # at once: row by row takes twice as long
            found[row.sample_id].append(
                Vote(
                    dataset=row.dataset,
                    sample=row.sample_id,
                    label=row.label,
                    role=Role(row.role),
                    voter=row.voter,
                    at=row.at,
                    import_id=row.ingest_id,
                    model=row.model,
                    confidence=row.confidence,
                )
            )
    return dict(found)
