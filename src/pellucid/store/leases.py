"""Leases: the work that somebody has taken on, whether they are alive still, and what waits for a worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.firings import FiringState
from pellucid.store.schema import firing, job
from pellucid.types import JobState


@dataclass(frozen=True, slots=True)
class Lease:
    """One piece of work that somebody has taken on."""

    worker: str
    what: str  # "job 3: embedding 12/80"
    until: datetime  # UTC; past where the worker has been silent for too long
    alive: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits to be trained."""

    queued: int  # jobs
    oldest: timedelta | None  # for how long the first of them has waited
    running: int  # jobs under a lease, alive or not
    failed: int  # jobs that ended so since the moment that was asked for


def read_leases(connection: sa.Connection) -> list[Lease]:
    """All leases, the dead ones too, which the next worker takes over."""
    now = now_of(connection)
    jobs = sa.select(job.c.id, job.c.worker, job.c.message, job.c.lease_until)
    found = [
        Lease(row.worker or "", f"job {row.id}: {row.message}", row.lease_until, row.lease_until >= now)
        for row in connection.execute(jobs.where(job.c.state == JobState.RUNNING).order_by(job.c.id))
        if row.lease_until is not None
    ]
    fired = sa.select(firing).where(firing.c.state == FiringState.CLAIMED).order_by(firing.c.id)
    for row in connection.execute(fired):
        until = datetime.fromisoformat(row.detail["lease_until"])
        what = f"retraining {row.dataset}: {row.detail.get('message', 'starting')}"
        found.append(Lease(str(row.detail["worker"]), what, until, until >= now))
    return found


def read_queue(connection: sa.Connection, since: datetime) -> Queue:
    """How much waits, and what has failed since then."""
    states = connection.execute(sa.select(job.c.state, sa.func.count()).group_by(job.c.state)).all()
    counts = {state: int(count) for state, count in states}
    first = connection.execute(sa.select(sa.func.min(job.c.created_at)).where(job.c.state == JobState.QUEUED)).scalar()
    failed = sa.select(sa.func.count()).where(job.c.state == JobState.FAILED, job.c.finished_at >= since)
    return Queue(
        queued=counts.get(JobState.QUEUED, 0),
        oldest=None if first is None else now_of(connection) - first,
        running=counts.get(JobState.RUNNING, 0),
        failed=int(connection.execute(failed).scalar_one()),
    )
