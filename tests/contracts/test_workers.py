"""The contract of those who train: who is alive, what is said of a job, and the queue as it is shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from pellucid.store.database import Database
from pellucid.store.job_lines import Line, add_lines, lines_of
from pellucid.store.jobs import (
    JobSpec,
    cancel,
    claim,
    count_jobs,
    ended_jobs,
    enqueue,
    fail,
    open_jobs,
    states_of,
    used_specs,
)
from pellucid.store.schema import worker
from pellucid.store.workers import ALIVE, greet, leave, workers_alive
from pellucid.types import Job, JobState

MakeJobs = Callable[..., list[JobSpec]]


@pytest.fixture
def jobs(database: Database, make_jobs: MakeJobs) -> list[Job]:
    specs = make_jobs(4)
    with database.write() as connection:
        return enqueue(database, connection, specs)


def silence(database: Database, name: str, seconds: float) -> None:
    with database.write() as connection:
        past = datetime.now(UTC) - timedelta(seconds=seconds)
        connection.execute(sa.update(worker).where(worker.c.name == name).values(seen_at=past))


def alive(database: Database) -> list[tuple[str, int | None]]:
    with database.read() as connection:
        return [(item.name, item.job) for item in workers_alive(connection)]


def test_a_worker_is_alive_until_it_leaves_or_falls_silent(database: Database, jobs: list[Job]) -> None:
    for name in ("a", "b", "a"):
        with database.write() as connection:
            greet(connection, name)
    with database.write() as connection:
        taken = claim(connection, "b", 60.0)
    assert taken is not None
    assert alive(database) == [("a", None), ("b", taken.id)]
    silence(database, "a", ALIVE + 1)
    assert alive(database) == [("b", taken.id)]
    with database.write() as connection:
        leave(connection, "b")
    assert alive(database) == []
    with database.write() as connection:
        greet(connection, "a")
    assert alive(database) == [("a", None)]


def test_workers_that_were_killed_long_ago_are_forgotten(database: Database) -> None:
    with database.write() as connection:
        greet(connection, "old")
    silence(database, "old", 2 * 86_400)
    with database.write() as connection:
        greet(connection, "new")
        assert connection.execute(sa.select(worker.c.name)).scalars().all() == ["new"]


def test_lines_come_back_in_their_order(database: Database, jobs: list[Job]) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    said = [Line(at, text) for text in ("one", "two", "three")]
    with database.write() as connection:
        add_lines(connection, jobs[0].id, said[:2])
        add_lines(connection, jobs[0].id, [])
        add_lines(connection, jobs[0].id, said[2:])
        assert lines_of(connection, jobs[0].id) == said
        assert lines_of(connection, jobs[0].id, limit=2) == said[1:]
        assert lines_of(connection, jobs[1].id) == []


def test_the_queue_shows_what_runs_then_what_waits_then_what_has_ended(database: Database, jobs: list[Job]) -> None:
    first, second, third, fourth = jobs
    with database.write() as connection:
        taken = claim(connection, "w", 60.0, only=[second.id])
        assert taken is not None
        fail(connection, taken, "no")
    with database.write() as connection:
        cancel(connection, fourth.id)
        claim(connection, "w", 60.0, only=[third.id])
    with database.read() as connection:
        assert [job.id for job in open_jobs(connection, 9)] == [third.id, first.id]
        assert [job.id for job in open_jobs(connection, 1)] == [third.id]
        assert [job.id for job in ended_jobs(connection, 9)] == [fourth.id, second.id]
        assert count_jobs(connection) == {
            JobState.QUEUED: 1, JobState.RUNNING: 1, JobState.DONE: 0, JobState.FAILED: 1, JobState.CANCELLED: 1,
        }  # fmt: skip
        assert states_of(connection, [first.key, second.key, "0" * 64]) == {
            first.key: JobState.QUEUED, second.key: JobState.FAILED,
        }  # fmt: skip
        assert used_specs(connection) == (["ridge"], ["classical"])
