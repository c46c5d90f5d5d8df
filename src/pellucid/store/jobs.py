"""The queue of training jobs: claims under a lease, so that a killed worker loses nothing and nothing is done twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, NotFoundError, UsageError
from pellucid.store.database import Database, now_of
from pellucid.store.samples import chunked
from pellucid.store.schema import dataset_version, job, model
from pellucid.types import Job, JobState

MAX_ATTEMPTS = 3  # a job that has cost so many workers their lives is the cause, not the victim

# Newer dataset versions first, then models of higher priority, then age.
_ORDER = (job.c.version_at.desc(), job.c.priority.desc(), job.c.created_at, job.c.id)


@dataclass(frozen=True, slots=True)
class JobSpec:
    """All that decides what a training makes."""

    dataset: str
    number: int
    content_id: str  # of the dataset version
    model: str  # head specification
    extractor: str  # specification
    fingerprint: str  # of the extractor
    settings: dict[str, Any] = field(hash=False)
    seed: int
    code: str = ""  # sha256 of the model's source, where it is a user's own
    priority: int = 0  # decides when, not what: no part of the key

    @property
    def key(self) -> str:
        """The sha256 of what decides the outcome."""
        settings = {name: _whole(value) for name, value in self.settings.items()}
        parts = [self.dataset, self.content_id, self.model, self.fingerprint, settings, self.seed]
        parts += [self.code] * bool(self.code)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _whole(value: Any) -> Any:
    """1.0 as 1: two spellings of one number are no two jobs."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def enqueue(
    database: Database, connection: sa.Connection, specs: Sequence[JobSpec], *, again: bool = True
) -> list[Job]:
    """Puts each job in the queue that is not in it, running or done, and returns all of them as they now stand.

    A job that waits already takes the priority that is asked for now.

    Args:
        again: whether a job that failed or was cancelled is queued once more.
    """
    now = now_of(connection)
    wanted = {spec.key: spec for spec in specs}
    made = {(spec.dataset, spec.number): _made_at(connection, spec) for spec in specs}
    rows = [
        {
            "key": key,
            "dataset": spec.dataset,
            "number": spec.number,
            "version_at": made[spec.dataset, spec.number],
            "model": spec.model,
            "extractor": spec.extractor,
            "settings": spec.settings,
            "seed": spec.seed,
            "priority": spec.priority,
            "state": JobState.QUEUED,
            "attempt": 0,
            "created_at": now,
            "message": "",
        }
        for key, spec in wanted.items()
    ]
    database.insert_new(connection, job, rows)
    if again:
        stopped = job.c.state.in_([JobState.FAILED, JobState.CANCELLED])
        for chunk in chunked(wanted):
            connection.execute(sa.update(job).where(job.c.key.in_(chunk), stopped).values(**_FRESH))
    found = {item.key: item for chunk in chunked(wanted) for item in _select(connection, job.c.key.in_(chunk))}
    for key, spec in wanted.items():
        if found[key].state is JobState.QUEUED and found[key].priority != spec.priority:
            connection.execute(sa.update(job).where(job.c.key == key).values(priority=spec.priority))
            found[key] = replace(found[key], priority=spec.priority)
    return [found[key] for key in wanted]


def claim(connection: sa.Connection, worker: str, lease: float, *, only: Sequence[int] | None = None) -> Job | None:
    """Gives the worker the most urgent job that waits or whose worker has been silent for too long.

    Args:
        lease: seconds until others may take the job over, unless ``extend`` is called before.
        only: ids of the jobs to choose from; all where None.
    """
    now = now_of(connection)
    dead = sa.and_(job.c.state == JobState.RUNNING, job.c.lease_until < now)
    # On PostgreSQL concurrent claimers skip each other's rows; on SQLite the write lock serialises them.
    hopeless = sa.select(job.c.id).where(dead, job.c.attempt >= MAX_ATTEMPTS).with_for_update(skip_locked=True)
    lost = sa.update(job).where(job.c.id.in_(hopeless))
    message = f"given up: {MAX_ATTEMPTS} workers died over it; `pellucid queue retry` tries again"
    connection.execute(lost.values(state=JobState.FAILED, message=message, finished_at=now, lease_until=None))
    free = sa.or_(job.c.state == JobState.QUEUED, dead)
    query = sa.select(job.c.id).where(free)
    if only is not None:
        query = query.where(job.c.id.in_(only))
    found = connection.execute(query.order_by(*_ORDER).limit(1).with_for_update(skip_locked=True)).scalar()
    if found is None:
        return None
    until = now + timedelta(seconds=lease)
    values = {"state": JobState.RUNNING, "worker": worker, "lease_until": until, "message": "starting"}
    connection.execute(sa.update(job).where(job.c.id == found).values(**values, attempt=job.c.attempt + 1))
    return get_job(connection, found)


def extend(connection: sa.Connection, mine: Job, lease: float, message: str) -> bool:
    """Renews the lease and says what the worker is doing; False where the job is no longer its own."""
    until = now_of(connection) + timedelta(seconds=lease)
    result = connection.execute(sa.update(job).where(_still(mine)).values(lease_until=until, message=message))
    return bool(result.rowcount)


def finish(connection: sa.Connection, mine: Job) -> None:
    """Marks the job as done, in the transaction that registers its model.

    Raises:
        ConcurrencyError: the lease ran out and another worker has the job, or it was cancelled.
    """
    _end(connection, mine, JobState.DONE, "")


def fail(connection: sa.Connection, mine: Job, message: str) -> None:
    """Marks the job as failed, with the reason.

    Raises:
        ConcurrencyError: the job is no longer the worker's.
    """
    _end(connection, mine, JobState.FAILED, message)


def release(connection: sa.Connection, mine: Job) -> None:
    """Gives an unfinished job back to the queue, as a worker does that was asked to stop."""
    values = {**_FRESH, "attempt": mine.attempt - 1}
    connection.execute(sa.update(job).where(_still(mine)).values(**values))


def cancel(connection: sa.Connection, job_id: int) -> Job:
    """Takes a waiting or running job out of the queue; a running one's result is thrown away."""
    values = {"state": JobState.CANCELLED, "finished_at": now_of(connection), "lease_until": None, "message": ""}
    return _change(connection, job_id, {JobState.QUEUED, JobState.RUNNING}, "cancelled", values)


def retry(connection: sa.Connection, job_id: int) -> Job:
    """Puts a failed or cancelled job back into the queue."""
    return _change(connection, job_id, {JobState.FAILED, JobState.CANCELLED}, "retried", _FRESH)


def get_job(connection: sa.Connection, job_id: int) -> Job:
    """The job of that id.

    Raises:
        NotFoundError: there is none.
    """
    found = _select(connection, job.c.id == job_id)
    if not found:
        raise NotFoundError(f"no job {job_id}; `pellucid queue list` shows those there are")
    return found[0]


def list_jobs(connection: sa.Connection, ids: Sequence[int] | None = None) -> list[Job]:
    """The jobs in the order in which they are, or would be, worked off."""
    return _select(connection, sa.true() if ids is None else job.c.id.in_(ids))


def open_jobs(connection: sa.Connection, limit: int) -> list[Job]:
    """The first jobs that run or wait: those that run, then the others in the order in which they will."""
    first = sa.case((job.c.state == JobState.RUNNING, 0), else_=1)
    return _select(connection, job.c.state.in_([JobState.QUEUED, JobState.RUNNING]), first, *_ORDER, limit=limit)


def ended_jobs(connection: sa.Connection, limit: int) -> list[Job]:
    """The jobs that have ended last, the last one first."""
    ended = job.c.finished_at.is_not(None)
    return _select(connection, ended, job.c.finished_at.desc(), job.c.id.desc(), limit=limit)


def count_jobs(connection: sa.Connection) -> dict[JobState, int]:
    """How many jobs are in each state; every state is there."""
    rows = connection.execute(sa.select(job.c.state, sa.func.count()).group_by(job.c.state))
    found = {state: int(count) for state, count in rows}
    return {state: found.get(state, 0) for state in JobState}


def states_of(connection: sa.Connection, keys: Iterable[str]) -> dict[str, JobState]:
    """The states of those of the keys that there is a job for."""
    found: dict[str, JobState] = {}
    for chunk in chunked(list(keys)):
        rows = connection.execute(sa.select(job.c.key, job.c.state).where(job.c.key.in_(chunk)))
        found |= {row.key: JobState(row.state) for row in rows}
    return found


def used_specs(connection: sa.Connection) -> tuple[list[str], list[str]]:
    """The heads and the extractors that there ever was a job for, by name."""
    heads, extractors = (
        connection.execute(sa.select(one).distinct().order_by(one)) for one in (job.c.model, job.c.extractor)
    )
    return list(heads.scalars()), list(extractors.scalars())


_FRESH: dict[str, Any] = {
    "state": JobState.QUEUED,
    "attempt": 0,
    "worker": None,
    "lease_until": None,
    "finished_at": None,
    "message": "",
}


def _made_at(connection: sa.Connection, spec: JobSpec) -> datetime:
    where = sa.and_(dataset_version.c.dataset == spec.dataset, dataset_version.c.number == spec.number)
    made = connection.execute(sa.select(dataset_version.c.created_at).where(where)).scalar()
    if made is None:
        raise NotFoundError(f"no version {spec.dataset}@{spec.number} to train on; `pellucid datasets list` shows all")
    found: datetime = made
    return found


def _still(mine: Job) -> sa.ColumnElement[bool]:
    return sa.and_(
        job.c.id == mine.id,
        job.c.state == JobState.RUNNING,
        job.c.worker == mine.worker,
        job.c.attempt == mine.attempt,
    )


def _end(connection: sa.Connection, mine: Job, state: JobState, message: str) -> None:
    values = {"state": state, "message": message, "finished_at": now_of(connection), "lease_until": None}
    if not connection.execute(sa.update(job).where(_still(mine)).values(**values)).rowcount:
        raise ConcurrencyError(f"job {mine.id} was taken over or cancelled meanwhile; this worker's result is dropped")


def _change(connection: sa.Connection, job_id: int, wanted: set[JobState], verb: str, values: dict[str, Any]) -> Job:
    changed = connection.execute(sa.update(job).where(job.c.id == job_id, job.c.state.in_(wanted)).values(**values))
    found = get_job(connection, job_id)
    if not changed.rowcount:
        states = " or ".join(sorted(wanted))
        raise UsageError(f"job {job_id} is {found.state}; only a job that is {states} can be {verb}")
    return found


def _select(
    connection: sa.Connection, condition: sa.ColumnElement[bool], *order: Any, limit: int | None = None
) -> list[Job]:
    query = sa.select(job, model.c.name, model.c.version).outerjoin(model, model.c.job_id == job.c.id)
    return [
        Job(
            id=row.id,
            key=row.key,
            dataset=f"{row.dataset}@{row.number}",
            model=row.model,
            extractor=row.extractor,
            settings=row.settings,
            seed=row.seed,
            priority=row.priority,
            state=JobState(row.state),
            attempt=row.attempt,
            worker=row.worker,
            created_at=row.created_at,
            finished_at=row.finished_at,
            message=row.message,
            result=f"{row.name}@{row.version}" if row.version else None,
        )
        for row in connection.execute(query.where(condition).order_by(*(order or _ORDER)).limit(limit))
    ]
