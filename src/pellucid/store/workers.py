"""Workers: who is alive to take the jobs that wait, as far as the database has heard of them lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.schema import job
from pellucid.store.schema import worker as worker_table
from pellucid.types import JobState

ALIVE = 20.0  # seconds without a sign of life after which a worker counts as gone; it gives one every 5 s


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that takes whatever job waits."""

    name: str  # "host:process:random"
    started_at: datetime  # UTC
    seen_at: datetime  # UTC
    job: int | None  # that it has in hand


def greet(connection: sa.Connection, name: str) -> None:
    """The worker says that it is alive; those that have been silent for long are forgotten."""
    now = now_of(connection)
    mine = worker_table.c.name == name
    if not connection.execute(sa.update(worker_table).where(mine).values(seen_at=now)).rowcount:
        gone = worker_table.c.seen_at < now - timedelta(days=1)
        connection.execute(sa.delete(worker_table).where(gone))
        connection.execute(sa.insert(worker_table).values(name=name, started_at=now, seen_at=now))


def leave(connection: sa.Connection, name: str) -> None:
    """The worker ends, and says so."""
    connection.execute(sa.delete(worker_table).where(worker_table.c.name == name))


def workers_alive(connection: sa.Connection) -> list[Worker]:
    """Those who have said so within the last seconds, in the order in which they came."""
    since = now_of(connection) - timedelta(seconds=ALIVE)
    own = sa.and_(job.c.worker == worker_table.c.name, job.c.state == JobState.RUNNING)
    query = sa.select(worker_table, job.c.id.label("job")).outerjoin(job, own)
    query = query.where(worker_table.c.seen_at >= since).order_by(worker_table.c.started_at, worker_table.c.name)
    return [Worker(row.name, row.started_at, row.seen_at, row.job) for row in connection.execute(query)]
