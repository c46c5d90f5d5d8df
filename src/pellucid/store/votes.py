"""Votes: who said which label of which sample. They are only ever added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.samples import chunked
from pellucid.store.schema import ingest, retracted_vote, retraction, vote
from pellucid.types import Role, Vote

_STANDS = ~sa.exists().where(retracted_vote.c.vote_id == vote.c.id)


def add_votes(connection: sa.Connection, votes: Sequence[Vote]) -> None:
    """Records the votes."""
    if votes:
        connection.execute(sa.insert(vote), [_values(item) for item in votes])


def add_vote(connection: sa.Connection, item: Vote) -> int:
    """Records one vote, and returns its number."""
    key = connection.execute(sa.insert(vote).values(**_values(item))).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has a key
    return int(key[0])


def said_so_far(connection: sa.Connection, dataset: str) -> tuple[int, int, int]:
    """Finished ingests, the newest vote that was said directly, and the newest retraction: what votes count."""
    finished = sa.select(sa.func.count()).where(ingest.c.dataset == dataset, ingest.c.finished_at.is_not(None))
    directly = sa.select(sa.func.max(vote.c.id)).where(vote.c.dataset == dataset, vote.c.ingest_id.is_(None))
    taken_back = sa.select(sa.func.max(retraction.c.id)).where(retraction.c.dataset == dataset)
    found = (connection.execute(query).scalar() or 0 for query in (finished, directly, taken_back))
    ingests, newest, retractions = map(int, found)
    return ingests, newest, retractions


def votes_of(connection: sa.Connection, dataset: str, ids: Sequence[str]) -> dict[str, list[Vote]]:
    """The votes on each sample that count, oldest first: of finished ingests, and said directly; none taken back."""
    found: dict[str, list[Vote]] = defaultdict(list)
    for chunk in chunked(ids):
        fits = (vote.c.dataset == dataset, vote.c.sample_id.in_(chunk), _counts(), _STANDS)
        query = _with_ingest().where(*fits).order_by(vote.c.id)
        for row in connection.execute(query).all():  # at once: row by row takes twice as long
            found[row.sample_id].append(_vote(row))
    return dict(found)


def supports_of(connection: sa.Connection, dataset: str, voter: str, newest: int) -> list[float]:
    """What others gave the labels of the voter's newest votes when they were said, 0..1; those that count only."""
    query = (
        sa.select(vote.c.support)
        .where(vote.c.dataset == dataset, vote.c.voter == voter, vote.c.support.is_not(None), _STANDS)
        .order_by(vote.c.id.desc())
        .limit(newest)
    )
    return [float(value) for value in connection.execute(query).scalars()]


def find_votes(
    connection: sa.Connection,
    dataset: str,
    *,
    voter: str | None = None,
    sample: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[int, Vote]:
    """The votes that count and that all of what is named fits, by their numbers."""
    fits = [vote.c.dataset == dataset, _STANDS, _counts()]
    fits += [vote.c.voter == voter] if voter is not None else []
    fits += [vote.c.sample_id == sample] if sample is not None else []
    fits += [vote.c.at >= since] if since is not None else []
    fits += [vote.c.at <= until] if until is not None else []
    rows = connection.execute(_with_ingest().where(*fits).order_by(vote.c.id)).all()
    return {row.id: _vote(row) for row in rows}


def retract(connection: sa.Connection, dataset: str, votes: Sequence[int], *, actor: str, reason: str) -> int:
    """Takes votes back: they stay, and count no longer. Returns the number of the retraction.

    Raises:
        ConcurrencyError: one of them was taken back already.
    """
    values = {"dataset": dataset, "actor": actor, "reason": reason, "at": datetime.now(UTC)}
    number = connection.execute(sa.insert(retraction).values(**values)).inserted_primary_key
    assert number is not None  # noqa: S101 - the table has a key
    if votes:
        rows = [{"vote_id": item, "retraction_id": number[0]} for item in votes]
        connection.execute(sa.insert(retracted_vote), rows)
    return int(number[0])


def _counts() -> sa.ColumnElement[bool]:
    return sa.or_(vote.c.ingest_id.is_(None), ingest.c.finished_at.is_not(None))


def _with_ingest() -> sa.Select[Any]:
    return sa.select(vote).outerjoin(ingest, ingest.c.id == vote.c.ingest_id)


def _values(item: Vote) -> dict[str, Any]:
    return {
        "dataset": item.dataset,
        "sample_id": item.sample,
        "label": item.label,
        "role": item.role,
        "voter": item.voter,
        "at": item.at,
        "ingest_id": item.import_id,
        "model": item.model,
        "confidence": item.confidence,
        "prediction": item.prediction,
        "support": item.support,
        "note": item.note,
    }


def _vote(row: sa.Row[Any]) -> Vote:
    return Vote(
        dataset=row.dataset,
        sample=row.sample_id,
        label=row.label,
        role=Role(row.role),
        voter=row.voter,
        at=row.at,
        import_id=row.ingest_id,
        model=row.model,
        confidence=row.confidence,
        prediction=row.prediction,
        support=row.support,
        note=row.note,
    )
