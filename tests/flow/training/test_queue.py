"""The queue as people see it: workers that are there, what is said of a job, cancel and retry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import NotFoundError
from pellucid.flow.training import worker as module
from pellucid.flow.training.grid import Grid
from pellucid.flow.training.job import do_job
from pellucid.flow.training.queue import see_log, see_queue
from pellucid.types import JobState

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path) -> Project:
    return make_project(of=trained_folder)


def said_of(project: Project, job: int) -> list[str]:
    return [line.text for line in see_log(project.workspace, job)[1]]


def test_a_job_keeps_what_was_said_of_it(pets: Project, plugins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = pets.submit(Grid(("pets",), ("ridge", f"{plugins}:Raising")))
    real = do_job

    def warning(workspace: Any, job: Any, **options: Any) -> Any:
        logging.getLogger("pellucid.flow.anything").warning("mind the %s", "gap")
        return real(workspace, job, **options)

    monkeypatch.setattr(module, "do_job", warning)
    pets.work()
    lines = said_of(pets, good.id)
    assert lines[0].startswith("started by ")
    assert lines[0].endswith("attempt 1")
    assert lines[1] == "warning: mind the gap"
    assert [line for line in lines if line in {"training", "judging"}] == ["training", "judging"]
    assert lines[-1] == "done: pets@2"
    assert not [line for line in lines if "/" in line and line.startswith("judging")]  # one line a step
    assert said_of(pets, bad.id)[-1] == "failed: RuntimeError: no luck today"
    with pytest.raises(NotFoundError, match="no job 99"):
        see_log(pets.workspace, 99)


def test_who_cancelled_and_who_retried_is_said(pets: Project) -> None:
    (job,) = pets.submit(Grid(("pets",), ("ridge",)))
    assert pets.cancel(job.id).state is JobState.CANCELLED
    assert pets.retry(job.id).state is JobState.QUEUED
    assert [text.rpartition(" by ")[0] for text in said_of(pets, job.id)] == ["cancelled", "put back into the queue"]


def test_workers_are_seen_while_they_are_there(pets: Project) -> None:
    pets.submit(Grid(("pets",), ("ridge", "slda")))
    before = see_queue(pets.workspace)
    assert (before.stuck, before.busy, before.workers) == (True, True, ())
    seen = []

    def look(job: Any) -> None:
        found = see_queue(pets.workspace)
        seen.append((found.stuck, [(item.job == job.id, item.name == job.worker) for item in found.workers]))

    pets.work(report=lambda job: look(job) if job.state is JobState.RUNNING else None)
    assert seen == [(False, [(True, True)])] * 2
    after = see_queue(pets.workspace, most=1)
    assert (after.busy, after.workers, len(after.ended)) == (False, (), 1)
    assert after.counts[JobState.DONE] == 3


def test_who_trains_for_himself_takes_no_job_of_others(pets: Project) -> None:
    jobs = pets.submit(Grid(("pets",), ("ridge",)))
    seen = []
    pets.work(only=[jobs[0].id], report=lambda job: seen.append(see_queue(pets.workspace).workers))
    assert seen == [(), ()]
