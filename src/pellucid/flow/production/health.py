"""Health: whether the database answers, what is being worked on, who is there to work, and what waits for them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from pellucid.flow.workspace import Workspace
from pellucid.store.database import now_of
from pellucid.store.leases import Lease, Queue, read_leases, read_queue
from pellucid.store.workers import Worker, workers_alive

PATIENCE = timedelta(minutes=2)  # that a job may wait while nobody is at work, before somebody should look why
_LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Health:
    """What can be seen of all processes through their one database."""

    database: str  # "SQLite" or "PostgreSQL"
    seconds: float  # that it took to answer
    leases: tuple[Lease, ...]  # work that somebody has taken on
    queue: Queue  # failed: within a week
    workers: tuple[Worker, ...]  # alive, and ready to take any job; idle ones too

    @property
    def busy(self) -> tuple[str, ...]:
        """What is being worked on; not by workers alone: `pellucid train` does its own jobs, and a retraining too."""
        return tuple(lease.what for lease in self.leases if lease.alive)

    @property
    def trouble(self) -> str:
        """What is wrong with the workers; empty where nothing is."""
        if self.workers or self.busy:
            return ""
        if self.leases:
            return f"{self.leases[0].what} is left by a worker that died; start one: pellucid worker --watch"
        if self.queue.queued and self.queue.oldest is not None and self.queue.oldest > PATIENCE:
            return f"{self.queue.queued} jobs wait and nobody is at work; start one: pellucid worker --watch"
        return ""


def look(workspace: Workspace) -> Health:
    """How things stand now.

    Raises:
        StorageError: the database cannot be reached.
    """
    began = time.perf_counter()
    with workspace.database.read() as connection:
        connection.execute(sa.select(1))
        seconds = time.perf_counter() - began
        now = now_of(connection)
        return Health(
            database={"sqlite": "SQLite", "postgresql": "PostgreSQL"}[workspace.database.dialect],
            seconds=seconds,
            leases=tuple(read_leases(connection)),
            queue=read_queue(connection, now - _LATELY),
            workers=tuple(workers_alive(connection)),
        )
