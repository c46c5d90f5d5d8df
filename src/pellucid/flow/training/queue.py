"""The queue as people watch it: what waits, what runs and how far it is, what has ended, and who is there to work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from pellucid.flow.environment import current_user
from pellucid.flow.workspace import Workspace
from pellucid.store.job_lines import Line, add_lines, lines_of
from pellucid.store.jobs import cancel, count_jobs, ended_jobs, get_job, open_jobs, retry
from pellucid.store.workers import Worker, workers_alive
from pellucid.types import Job, JobState

MOST = 200  # jobs that are shown of those that wait or run, and as many of those that have ended
_PART = re.compile(r"(\d+)/(\d+)$")


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue at one moment."""

    open: tuple[Job, ...]  # those that run, then those that wait, in their order; at most MOST
    ended: tuple[Job, ...]  # the last first; at most MOST
    counts: dict[JobState, int]  # of all jobs
    workers: tuple[Worker, ...]  # alive, and ready to take any job

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self.counts[JobState.QUEUED] or self.counts[JobState.RUNNING])

    @property
    def stuck(self) -> bool:
        """Whether something waits that nobody will take."""
        return bool(self.counts[JobState.QUEUED]) and not self.workers


def see_queue(workspace: Workspace, *, most: int = MOST) -> Queue:
    """The queue as it is now.

    Args:
        most: jobs to show of those that are open, and of those that have ended.
    """
    with workspace.database.read() as connection:
        return Queue(
            tuple(open_jobs(connection, most)),
            tuple(ended_jobs(connection, most)),
            count_jobs(connection),
            tuple(workers_alive(connection)),
        )


def see_log(workspace: Workspace, job: int) -> tuple[Job, tuple[Line, ...]]:
    """A job and what its workers have said of it.

    Raises:
        NotFoundError: there is no such job.
    """
    with workspace.database.read() as connection:
        return get_job(connection, job), tuple(lines_of(connection, job))


def cancel_job(workspace: Workspace, job: int, *, actor: str | None = None) -> Job:
    """Takes a job that waits or runs out of the queue; what a running one makes is thrown away.

    Raises:
        NotFoundError, UsageError: there is no such job, or it has ended.
    """
    with workspace.database.write() as connection:
        found = cancel(connection, job)
        add_lines(connection, job, [Line(datetime.now(UTC), f"cancelled by {actor or current_user()}")])
        return found


def retry_job(workspace: Workspace, job: int, *, actor: str | None = None) -> Job:
    """Puts a job that failed or was cancelled back into the queue.

    Raises:
        NotFoundError, UsageError: there is no such job, or it has not stopped so.
    """
    with workspace.database.write() as connection:
        found = retry(connection, job)
        add_lines(connection, job, [Line(datetime.now(UTC), f"put back into the queue by {actor or current_user()}")])
        return found


def part_done(message: str) -> float | None:
    """The share, 0 to 1, that a running job's message tells of its step; None where it tells none.

    >>> part_done("embedding 25/100"), part_done("training")
    (0.25, None)
    """
    found = _PART.search(message)
    if found is None or not int(found[2]):
        return None
    return min(int(found[1]) / int(found[2]), 1.0)
