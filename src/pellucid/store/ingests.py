"""Ingests: what was read from where. Nothing that an ingest wrote counts before it is finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.store.samples import chunked
from pellucid.store.schema import ingest, set_aside, sighting, vote
from pellucid.types import Split


@dataclass(frozen=True, slots=True)
class Sighting:
    """One file that held a sample."""

    path: str  # as the source names it
    sample: str  # Sample.id
    split: Split | None  # where the source gives one
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """One file that could not be used."""

    path: str
    reason: str  # short, to be counted by
    detail: str


def begin_ingest(
    connection: sa.Connection, dataset: str, location: str, layout: str, options: Mapping[str, Any]
) -> int:
    """Opens an ingest and returns its id."""
    values = {"dataset": dataset, "location": location, "layout": layout, "options": dict(options)}
    query = sa.insert(ingest).values(**values, started_at=datetime.now(UTC)).returning(ingest.c.id)
    return int(connection.execute(query).scalar_one())


def add_sightings(connection: sa.Connection, ingest_id: int, sightings: Sequence[Sighting]) -> None:
    """Records the files that held the samples."""
    if sightings:
        connection.execute(
            sa.insert(sighting),
            [
                {
                    "ingest_id": ingest_id,
                    "path": item.path,
                    "sample_id": item.sample,
                    "split": item.split,
                    "metadata": dict(item.metadata) or None,
                }
                for item in sightings
            ],
        )


def add_rejected(connection: sa.Connection, ingest_id: int, rejected: Sequence[Rejected]) -> None:
    """Records the files that were set aside, with their reasons."""
    if rejected:
        connection.execute(
            sa.insert(set_aside),
            [
                {"ingest_id": ingest_id, "path": item.path, "reason": item.reason, "detail": item.detail}
                for item in rejected
            ],
        )


def finish_ingest(connection: sa.Connection, ingest_id: int) -> None:
    """Makes all that the ingest wrote count, from the commit of this transaction on.

    Raises:
        ConcurrencyError: it is finished already, or was taken for abandoned.
    """
    unfinished = sa.and_(ingest.c.id == ingest_id, ingest.c.finished_at.is_(None))
    found = connection.execute(sa.update(ingest).where(unfinished).values(finished_at=datetime.now(UTC)))
    if not found.rowcount:
        raise ConcurrencyError(f"the records of ingest {ingest_id} were removed meanwhile; run the same command again")


def forget_ingest(connection: sa.Connection, ingest_id: int) -> None:
    """Removes an unfinished ingest and all that it wrote but the samples, which are shared; a finished one stays."""
    unfinished = sa.select(ingest.c.id).where(ingest.c.id == ingest_id, ingest.c.finished_at.is_(None))
    for table in (vote, sighting, set_aside):
        connection.execute(sa.delete(table).where(table.c.ingest_id.in_(unfinished)))
    connection.execute(sa.delete(ingest).where(ingest.c.id.in_(unfinished)))


def forget_abandoned(connection: sa.Connection, moment: datetime) -> None:
    """Removes what unfinished ingests wrote that began before the moment: they were killed, and nobody sees it."""
    query = sa.select(ingest.c.id).where(ingest.c.finished_at.is_(None), ingest.c.started_at < moment)
    for ingest_id in connection.execute(query).scalars().all():
        forget_ingest(connection, ingest_id)


def sightings_of(connection: sa.Connection, dataset: str, ids: Sequence[str]) -> dict[str, list[Sighting]]:
    """The files that held each sample, oldest first, over the dataset's finished ingests."""
    found: dict[str, list[Sighting]] = defaultdict(list)
    for chunk in chunked(ids):
        query = (
            sa.select(sighting.c.path, sighting.c.sample_id, sighting.c.split, sighting.c.metadata)
            .join(ingest, ingest.c.id == sighting.c.ingest_id)
            .where(
                ingest.c.dataset == dataset,
                ingest.c.finished_at.is_not(None),
                sighting.c.sample_id.in_(chunk),
            )
            .order_by(sighting.c.id)
        )
        for row in connection.execute(query).all():
            split = Split(row.split) if row.split else None
            found[row.sample_id].append(Sighting(row.path, row.sample_id, split, row.metadata or {}))
    return dict(found)


def metadata_of(connection: sa.Connection, dataset: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The free metadata of each sample; where two files disagree, the later one is believed."""
    merged: dict[str, dict[str, Any]] = {}
    for name, sightings in sightings_of(connection, dataset, ids).items():
        merged[name] = {key: value for item in sightings for key, value in item.metadata.items()}
    return merged


def rejected_in(connection: sa.Connection, dataset: str) -> list[tuple[int, Rejected]]:
    """The files that the dataset's finished ingests set aside, each with the ingest's id."""
    query = (
        sa.select(set_aside)
        .join(ingest, ingest.c.id == set_aside.c.ingest_id)
        .where(ingest.c.dataset == dataset, ingest.c.finished_at.is_not(None))
        .order_by(set_aside.c.id)
    )
    return [(row.ingest_id, Rejected(row.path, row.reason, row.detail)) for row in connection.execute(query)]


def ingests_of(connection: sa.Connection, dataset: str) -> list[dict[str, Any]]:
    """The dataset's finished ingests, oldest first."""
    query = sa.select(ingest).where(ingest.c.dataset == dataset, ingest.c.finished_at.is_not(None))
    return [dict(row._mapping) for row in connection.execute(query.order_by(ingest.c.id))]


def count_ingests(connection: sa.Connection, dataset: str) -> int:
    """How many ingests of the dataset are finished."""
    query = sa.select(sa.func.count()).where(ingest.c.dataset == dataset, ingest.c.finished_at.is_not(None))
    return int(connection.execute(query).scalar_one())
