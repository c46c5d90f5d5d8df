"""The census: how much there is of everything, by queries that stay cheap however large the tables grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.aliases import CHAMPION
from pellucid.store.datasets import latest_version
from pellucid.store.offsets import EARLIEST
from pellucid.store.schema import (
    alias_history,
    firing,
    job,
    prediction,
    retracted_vote,
    sample,
    stream_offset,
    verdict,
    vote,
)
from pellucid.types import JobState, Role

RECENT = 200  # labels that the trust and the agreement of people are told from, the newest
_LOOKED_AT = 10 * RECENT  # votes among which those are looked for


@dataclass(frozen=True, slots=True)
class Recent:
    """A share of the newest labels that were said directly."""

    n: int  # labels that it is told from; 0 where nobody has said anything lately
    share: float  # 0..1


@dataclass(frozen=True, slots=True)
class Training:
    """The training that ended last."""

    seconds: float  # from being queued to its end
    finished_at: datetime  # UTC


@dataclass(frozen=True, slots=True)
class DatasetCensus:
    """What there is of one dataset and its models."""

    version: int  # the newest one's number; 0 where there is none
    images: Mapping[str, int] = field(hash=False)  # of it: "train", "test", "trusted" and what is out of use, why
    firings: Mapping[str, int] = field(hash=False)  # occasions to retrain by state
    passed: int  # verdicts of the gate
    refused: int
    refused_in_row: int  # candidates that were refused since the last one that passed
    promotions: int  # changes of the champion
    champion_since: datetime | None  # UTC; None where there is no champion
    trust: Recent  # mean of what model and other voters gave the label when it was said
    agreement: Recent  # labels that agree with the answer that they are about


@dataclass(frozen=True, slots=True)
class Records:
    """How much the project has heard and said."""

    images: int
    answers: int  # the highest number that one has had; those that were pruned are counted too
    votes: int  # the same of votes


@dataclass(frozen=True, slots=True)
class Census:
    """What there is of everything at one moment."""

    size: int  # bytes of the database
    jobs: Mapping[str, int] = field(hash=False)  # trainings by state
    last: Training | None
    offsets: Mapping[tuple[str, str], int] = field(hash=False)  # by consumer and topic, over all partitions
    dataset: DatasetCensus | None


def take_census(connection: sa.Connection, name: str | None = None) -> Census:
    """Counts; a few milliseconds at 1,000,000 predictions and 200,000 votes, of which only the newest are looked at.

    Args:
        name: of the dataset that is counted beside what belongs to the whole project.
    """
    return Census(
        size=database_bytes(connection),
        jobs=_counts(connection, job.c.state),
        last=_last_training(connection),
        offsets=_offsets(connection),
        dataset=None if name is None else _dataset(connection, name),
    )


def _dataset(connection: sa.Connection, name: str) -> DatasetCensus:
    version = latest_version(connection, name)
    verdicts = _counts(connection, verdict.c.passed, verdict.c.model_name == name)
    promotions, since = _champion(connection, name)
    return DatasetCensus(
        version=0 if version is None else version.number,
        images={} if version is None else {key: n for key, n in version.counts.items() if key != "images"},
        firings=_counts(connection, firing.c.state, firing.c.dataset == name),
        passed=verdicts.get("1", 0),
        refused=verdicts.get("0", 0),
        refused_in_row=_refused_in_row(connection, name),
        promotions=promotions,
        champion_since=since,
        trust=_trust(connection, name),
        agreement=_agreement(connection, name),
    )


def _counts(connection: sa.Connection, column: sa.Column[Any], *where: sa.ColumnElement[bool]) -> dict[str, int]:
    query = sa.select(column, sa.func.count()).where(*where).group_by(column)
    return {str(value): int(count) for value, count in connection.execute(query).all()}


def count_records(connection: sa.Connection) -> Records:
    """The images by an index, answers and votes by their numbers: quick, however many there are."""
    images = connection.execute(sa.select(sa.func.count()).select_from(sample)).scalar_one()
    answers, votes = (connection.execute(sa.select(sa.func.max(table.c.id))).scalar() for table in (prediction, vote))
    return Records(int(images), int(answers or 0), int(votes or 0))


def database_bytes(connection: sa.Connection) -> int:
    """The size of the database."""
    if connection.dialect.name == "postgresql":
        query = "SELECT pg_database_size(current_database())"
    else:
        query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(connection.execute(sa.text(query)).scalar_one())


def _last_training(connection: sa.Connection) -> Training | None:
    query = sa.select(job.c.created_at, job.c.finished_at).where(job.c.state == JobState.DONE)
    row = connection.execute(query.order_by(job.c.finished_at.desc()).limit(1)).first()
    return None if row is None else Training((row.finished_at - row.created_at).total_seconds(), row.finished_at)


def _offsets(connection: sa.Connection) -> dict[tuple[str, str], int]:
    keys = (stream_offset.c.consumer, stream_offset.c.topic)
    query = sa.select(*keys, sa.func.sum(stream_offset.c.next)).where(stream_offset.c.consumer != EARLIEST)
    return {(consumer, topic): int(total) for consumer, topic, total in connection.execute(query.group_by(*keys)).all()}


def _champion(connection: sa.Connection, name: str) -> tuple[int, datetime | None]:
    mine = (alias_history.c.name == name, alias_history.c.alias == CHAMPION)
    query = sa.select(alias_history.c.revision, alias_history.c.at).where(*mine)
    row = connection.execute(query.order_by(alias_history.c.revision.desc()).limit(1)).first()
    return (0, None) if row is None else (int(row.revision), row.at)


def _refused_in_row(connection: sa.Connection, name: str) -> int:
    mine = verdict.c.model_name == name
    passed = sa.select(sa.func.coalesce(sa.func.max(verdict.c.id), 0)).where(mine, verdict.c.passed == 1)
    query = sa.select(sa.func.count(verdict.c.candidate.distinct()))
    return int(connection.execute(query.where(mine, verdict.c.id > passed.scalar_subquery())).scalar_one())


def _newest_votes() -> sa.Subquery:
    """The newest votes of all: a walk down the primary key, which ends however rare the wanted ones are."""
    return sa.select(vote).order_by(vote.c.id.desc()).limit(_LOOKED_AT).subquery()


def _trust(connection: sa.Connection, name: str) -> Recent:
    newest = _newest_votes()
    query = sa.select(newest.c.support).where(newest.c.dataset == name, newest.c.support.is_not(None))
    query = query.where(newest.c.ingest_id.is_(None), newest.c.role != Role.MODEL)
    return _recent(connection.execute(query.order_by(newest.c.id.desc()).limit(RECENT)).scalars().all())


def _agreement(connection: sa.Connection, name: str) -> Recent:
    newest = _newest_votes()
    query = (
        sa.select(newest.c.label == prediction.c.label)
        .join(prediction, prediction.c.uid == newest.c.prediction)
        .where(newest.c.dataset == name, newest.c.role != Role.MODEL)
        .where(~sa.exists().where(retracted_vote.c.vote_id == newest.c.id))
    )
    return _recent(connection.execute(query.order_by(newest.c.id.desc()).limit(RECENT)).scalars().all())


def _recent(values: Sequence[float]) -> Recent:
    return Recent(len(values), sum(map(float, values)) / len(values) if values else 0.0)
