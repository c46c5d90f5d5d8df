"""Chronicle: the newest rows of everything that tells what happened, each kind read from where it was left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from pellucid.store.schema import (
    act,
    alias_history,
    firing,
    job,
    retracted_vote,
    retraction,
    verdict,
    vote,
)
from pellucid.types import JobState, Role

_NAMED = 3  # voters that are named of a retraction
_VOTES = 50_000  # newest votes that are looked through for what people have reviewed
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Retraction:
    """Votes that were taken back together."""

    id: int
    dataset: str
    actor: str
    reason: str
    at: datetime  # UTC
    votes: int
    voters: tuple[str, ...]  # the first three by name
    more: int  # further voters


@dataclass(frozen=True, slots=True)
class Trainings:
    """Trainings on one dataset version that ended on one day."""

    dataset: str  # "trash@3"
    at: datetime  # UTC, when the last one ended
    done: int
    failed: int

    @property
    def number(self) -> int:
        """Microseconds from 1970 to ``at``: later ones have higher numbers."""
        return (self.at - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Reviews:
    """Labels that one person gave on one day."""

    id: int  # of the last vote
    dataset: str
    voter: str
    at: datetime  # UTC, of the last one
    labels: int


def newest_changes(connection: sa.Connection, most: int, before: int | None) -> Sequence[sa.Row[Any]]:
    """Promotions and rollbacks, newest first: at most so many, of ids below ``before``; and so do those below."""
    return _newest(connection, sa.select(alias_history), alias_history.c.id, most, before)


def newest_verdicts(connection: sa.Connection, most: int, before: int | None) -> Sequence[sa.Row[Any]]:
    """What the gate said."""
    return _newest(connection, sa.select(verdict), verdict.c.id, most, before)


def newest_firings(connection: sa.Connection, most: int, before: int | None) -> Sequence[sa.Row[Any]]:
    """Retrainings; a condition that is only watched is none."""
    query = sa.select(firing).where(firing.c.state != "armed")
    return _newest(connection, query, firing.c.id, most, before)


def newest_retractions(connection: sa.Connection, most: int, before: int | None) -> list[Retraction]:
    """Votes taken back, with whose they were."""
    rows = _newest(connection, sa.select(retraction), retraction.c.id, most, before)
    query = sa.select(retracted_vote.c.retraction_id, vote.c.voter, sa.func.count().label("votes"))
    query = query.join(vote, vote.c.id == retracted_vote.c.vote_id)
    query = query.where(retracted_vote.c.retraction_id.in_([row.id for row in rows]))
    said: dict[int, dict[str, int]] = {}
    for number, voter, votes in connection.execute(query.group_by(retracted_vote.c.retraction_id, vote.c.voter)):
        said.setdefault(number, {})[voter] = votes
    return [_retraction(row, said.get(row.id, {})) for row in rows]


def newest_acts(
    connection: sa.Connection, most: int, before: int | None, *, but: Sequence[str] = ()
) -> Sequence[sa.Row[Any]]:
    """The audit trail, without the verbs that are told otherwise."""
    return _newest(connection, sa.select(act).where(act.c.verb.not_in(but)), act.c.id, most, before)


def newest_trainings(connection: sa.Connection, most: int, before: int | None) -> list[Trainings]:
    """Trainings that have ended, those of one dataset version and day together; ``before`` is a `Trainings.number`."""
    last, day = sa.func.max(job.c.finished_at), sa.func.date(job.c.finished_at)
    done, failed = (
        sa.func.sum(sa.case((job.c.state == state, 1), else_=0)) for state in (JobState.DONE, JobState.FAILED)
    )
    query = sa.select(job.c.dataset, job.c.number, last.label("at"), done.label("done"), failed.label("failed"))
    query = query.where(job.c.state.in_((JobState.DONE, JobState.FAILED)), job.c.finished_at.is_not(None))
    query = query.group_by(job.c.dataset, job.c.number, day)
    if before is not None:
        query = query.having(last < _EPOCH + timedelta(microseconds=before))
    rows = connection.execute(query.order_by(last.desc()).limit(most))
    return [Trainings(f"{row.dataset}@{row.number}", row.at, int(row.done), int(row.failed)) for row in rows]


def newest_reviews(connection: sa.Connection, most: int, before: int | None) -> list[Reviews]:
    """What people said of pictures on the pages, that of one person and day together, of the newest votes."""
    last, day = sa.func.max(vote.c.id), sa.func.date(vote.c.at)
    newest = sa.select(sa.func.coalesce(sa.func.max(vote.c.id), 0) - _VOTES).scalar_subquery()
    query = sa.select(
        last.label("id"), vote.c.dataset, vote.c.voter, sa.func.max(vote.c.at).label("at"), sa.func.count().label("n")
    )
    query = query.where(vote.c.id > newest, vote.c.role == Role.ANNOTATOR, vote.c.ingest_id.is_(None))
    query = query.group_by(vote.c.dataset, vote.c.voter, day)
    if before is not None:
        query = query.having(last < before)
    rows = connection.execute(query.order_by(last.desc()).limit(most))
    return [Reviews(row.id, row.dataset, row.voter, row.at, row.n) for row in rows]


def _newest(
    connection: sa.Connection, query: sa.Select[Any], key: sa.Column[int], most: int, before: int | None
) -> Sequence[sa.Row[Any]]:
    if before is not None:
        query = query.where(key < before)
    return connection.execute(query.order_by(key.desc()).limit(most)).all()


def _retraction(row: sa.Row[Any], said: Mapping[str, int]) -> Retraction:
    names = sorted(said)
    return Retraction(
        id=row.id,
        dataset=row.dataset,
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        votes=sum(said.values()),
        voters=tuple(names[:_NAMED]),
        more=max(0, len(names) - _NAMED),
    )
