"""Votes: who said which label of which sample. They are only ever added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from pellucid.store.samples import chunked
from pellucid.store.schema import ingest, prediction, retracted_vote, vote
from pellucid.types import KEEPER, Role, Vote


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


def said_so_far(connection: sa.Connection, dataset: str, *, upto: int | None = None) -> tuple[int, int]:
    """How many ingests of the dataset are finished, and the newest vote that was said directly: what votes count.

    Args:
        upto: votes with a higher id are not looked at.
    """
    finished = sa.select(sa.func.count()).where(ingest.c.dataset == dataset, ingest.c.finished_at.is_not(None))
    directly = sa.select(sa.func.max(vote.c.id)).where(vote.c.dataset == dataset, vote.c.ingest_id.is_(None))
    if upto is not None:
        directly = directly.where(vote.c.id <= upto)
    return int(connection.execute(finished).scalar_one()), int(connection.execute(directly).scalar() or 0)


def newest_vote(connection: sa.Connection, dataset: str) -> int:
    """The highest id of the dataset's votes, 0 where there is none; no vote with a lower id will appear any more.

    For that it waits for the writers that have taken an id and not yet committed, so it needs a write transaction.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE vote IN SHARE MODE"))
    return int(connection.execute(sa.select(sa.func.max(vote.c.id)).where(vote.c.dataset == dataset)).scalar() or 0)


def vote_before(connection: sa.Connection, dataset: str, at: datetime) -> int:
    """The highest id of the dataset's votes that were said until then, 0 where there is none."""
    query = sa.select(sa.func.max(vote.c.id)).where(vote.c.dataset == dataset, vote.c.at <= at)
    return int(connection.execute(query).scalar() or 0)


def count_votes(connection: sa.Connection, dataset: str, after: int) -> int:
    """How many votes of people count that have a higher id."""
    query = (
        sa.select(sa.func.count())
        .select_from(vote)
        .outerjoin(ingest, ingest.c.id == vote.c.ingest_id)
        .where(vote.c.dataset == dataset, vote.c.id > after, vote.c.role != Role.MODEL, _counts(), _stands())
    )
    return int(connection.execute(query).scalar_one())


def samples_voted(connection: sa.Connection, dataset: str, said: tuple[int, int]) -> list[str]:
    """The samples of votes said directly, with an id above the first and up to the second."""
    query = sa.select(vote.c.sample_id).where(vote.c.dataset == dataset, _said(said), _stands())
    return list(connection.execute(query.distinct()).scalars())


def agreements(connection: sa.Connection, model: str, version: int, since: datetime, limit: int) -> list[bool]:
    """Whether people's last words on the model's answers agree with them, newest first.

    A voter has one say on an answer, however often it is repeated.

    Args:
        since: older votes are not looked at.
        limit: so many at most.
    """
    query = (
        sa.select(vote.c.prediction, vote.c.voter, (vote.c.label == prediction.c.label).label("agrees"))
        .join(prediction, prediction.c.uid == vote.c.prediction)
        .where(prediction.c.model_name == model, prediction.c.model_version == version)
        .where(vote.c.at >= since, vote.c.role != Role.MODEL, _stands())
        .order_by(vote.c.id.desc())
    )
    found: dict[tuple[str, str], bool] = {}
    for row in connection.execute(query):
        if len(found) == limit:
            break
        found.setdefault((row.prediction, row.voter), bool(row.agrees))
    return list(found.values())


def _counts() -> sa.ColumnElement[bool]:
    return sa.or_(vote.c.ingest_id.is_(None), ingest.c.finished_at.is_not(None))


def _stands() -> sa.ColumnElement[bool]:
    return vote.c.id.not_in(sa.select(retracted_vote.c.vote_id))


def _said(said: tuple[int, int]) -> sa.ColumnElement[bool]:
    """Said directly in that range of ids; what `corrupt` keeps is no word of anybody's."""
    return sa.and_(vote.c.ingest_id.is_(None), vote.c.id > said[0], vote.c.id <= said[1], vote.c.voter != KEEPER)


def votes_of(
    connection: sa.Connection, dataset: str, ids: Sequence[str], *, without: tuple[int, int] | None = None
) -> dict[str, list[Vote]]:
    """The votes on each sample, oldest first: those of finished ingests, and those said directly.

    Args:
        without: leaves out what was said directly with an id above the first and up to the second.
    """
    found: dict[str, list[Vote]] = defaultdict(list)
    counts = _counts() if without is None else sa.and_(_counts(), sa.not_(_said(without)))
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
