"""What may be forgotten: answers, vectors and images that nobody has said anything of for long enough."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from pellucid.store.schema import (
    ingest,
    ledger,
    live_vector,
    prediction,
    receipt,
    sample,
    shadow_answer,
    sighting,
    vote,
)

LASTING = ("carry", "bridge:", "waits:")  # beginnings of receipts' sources that say how far something is, or what waits
CHUNK = 2000  # rows that are deleted in one transaction, so that nobody waits long


def prune_answers(connection: sa.Connection, before: datetime, *, dry_run: bool = False) -> int:
    """Deletes answers older than that which no vote names, at most a chunk of them; returns how many."""
    named = sa.exists().where(vote.c.prediction == prediction.c.uid)
    old = sa.select(prediction.c.id).where(prediction.c.at < before, ~named)
    return _delete(connection, prediction, prediction.c.id, old, dry_run=dry_run)


def prune_shadows(connection: sa.Connection, before: datetime, *, dry_run: bool = False) -> int:
    """Deletes what candidates said beside answers that `prune_answers` deletes, at most a chunk; returns how many."""
    named = sa.exists().where(vote.c.prediction == shadow_answer.c.prediction)
    keys = (shadow_answer.c.shadow_id, shadow_answer.c.sample_id)
    old = sa.select(*keys).where(shadow_answer.c.at < before, ~named)
    if dry_run:
        return int(connection.execute(sa.select(sa.func.count()).select_from(old.subquery())).scalar_one())
    rows = [tuple(row) for row in connection.execute(old.limit(CHUNK))]
    if rows:
        connection.execute(sa.delete(shadow_answer).where(sa.tuple_(*keys).in_(rows)))
    return len(rows)


def prune_receipts(connection: sa.Connection, before: datetime, *, dry_run: bool = False) -> int:
    """Deletes receipts older than that, at most a chunk of them: what comes again after so long counts again.

    Places that somebody has come to stay, and so does feedback that waits: the consumer sets it aside in its time.
    """
    lasting = [receipt.c.source.startswith(beginning, autoescape=True) for beginning in LASTING]
    old = sa.and_(receipt.c.at < before, ~sa.or_(*lasting))
    if dry_run:
        return int(connection.execute(sa.select(sa.func.count()).select_from(receipt).where(old)).scalar_one())
    rows = connection.execute(sa.select(receipt.c.source, receipt.c.key).where(old).limit(CHUNK)).all()
    for row in rows:
        mine = sa.and_(receipt.c.source == row.source, receipt.c.key == row.key)
        connection.execute(sa.delete(receipt).where(mine))
    return len(rows)


def prune_vectors(connection: sa.Connection, before: datetime, *, dry_run: bool = False) -> int:
    """Deletes vectors older than that of samples without answer, vote and ledger entry; returns how many."""
    wanted = [sa.exists().where(table.c.sample_id == live_vector.c.sample_id) for table in (prediction, vote, ledger)]
    old = sa.select(live_vector.c.sample_id).where(live_vector.c.at < before, ~sa.or_(*wanted)).distinct()
    return _delete(connection, live_vector, live_vector.c.sample_id, old, dry_run=dry_run)


def prune_samples(connection: sa.Connection, *, dry_run: bool = False) -> tuple[int, set[str]]:
    """Deletes samples that nothing refers to any more, at most a chunk; returns how many, and their packs."""
    tables = (sighting, vote, ledger, prediction, live_vector)
    wanted = [sa.exists().where(table.c.sample_id == sample.c.id) for table in tables]
    rows = connection.execute(sa.select(sample.c.id, sample.c.pack).where(~sa.or_(*wanted)).limit(CHUNK)).all()
    if rows and not dry_run:
        connection.execute(sa.delete(sample).where(sample.c.id.in_([row.id for row in rows])))
    return len(rows), {row.pack for row in rows}


def unused_packs(connection: sa.Connection, packs: set[str]) -> set[str]:
    """Those of the packs in which no sample lies any more."""
    used = sa.select(sample.c.pack).where(sample.c.pack.in_(packs)).distinct()
    return packs - set(connection.execute(used).scalars())


def is_ingesting(connection: sa.Connection, since: datetime) -> bool:
    """Whether an ingest began since then and has not ended: its images may not be referred to yet."""
    query = sa.select(sa.func.count()).where(ingest.c.finished_at.is_(None), ingest.c.started_at > since)
    return int(connection.execute(query).scalar_one()) > 0


def _delete(
    connection: sa.Connection, table: sa.Table, key: sa.Column[object], old: sa.Select[object], *, dry_run: bool
) -> int:
    if dry_run:
        return int(connection.execute(sa.select(sa.func.count()).select_from(old.subquery())).scalar_one())
    names = list(connection.execute(old.limit(CHUNK)).scalars())
    if names:
        connection.execute(sa.delete(table).where(key.in_(names)))
    return len(names)
