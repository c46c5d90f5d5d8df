"""Workers: leases, failures, watching, and many at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import StorageError, TrainingError
from pellucid.flow.heartbeat import Heartbeat
from pellucid.flow.training import worker as module
from pellucid.flow.training.grid import Grid
from pellucid.flow.training.worker import run_workers, work
from pellucid.store.jobs import extend
from pellucid.types import Job, JobState


@pytest.fixture
def pets(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> Project:
    project.ingest(class_folders(tmp_path / "pets", {"cat": 6, "dog": 6}), "pets", test_fraction=0.3)
    return project


@pytest.mark.usefixtures("no_reports")
def test_a_head_that_raises_fails_its_job_alone(pets: Project, plugins: str) -> None:
    jobs = pets.submit(Grid(("pets",), (f"{plugins}:Raising", "ridge"), priorities={f"{plugins}:Raising": 5}))
    seen: list[tuple[str, JobState]] = []
    assert pets.work(report=lambda job: seen.append((job.model, job.state))) == 1
    raising, ridge = pets.jobs([job.id for job in jobs])
    assert (raising.state, raising.message, raising.result) == (JobState.FAILED, "RuntimeError: no luck today", None)
    assert (ridge.state, ridge.result) == (JobState.DONE, "pets@1")
    assert seen == [
        (raising.model, JobState.RUNNING),
        (raising.model, JobState.FAILED),
        ("ridge", JobState.RUNNING),
        ("ridge", JobState.DONE),
    ]
    with pytest.raises(TrainingError, match=r"1 of 2 trainings.*no luck today"):
        pets.train("pets", models=[f"{plugins}:Raising", "ridge"])


@pytest.mark.usefixtures("no_reports")
def test_a_dataset_that_cannot_be_learnt_fails_with_its_reason(
    pets: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    pets.ingest(class_folders(tmp_path / "one", {"cat": 4}, start=50), "one")
    pets.submit(Grid(("one",)))
    assert pets.work() == 0
    assert "at least two classes" in pets.jobs()[0].message


@pytest.mark.usefixtures("no_reports")
def test_ctrl_c_gives_the_job_back(pets: Project) -> None:
    (job,) = pets.submit(Grid(("pets",)))

    def interrupt(what: str, done: int, total: int | None) -> None:
        if what == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pets.work(progress=lambda job: interrupt)
    (job,) = pets.jobs([job.id])
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert pets.work() == 1


@pytest.mark.usefixtures("no_reports")
def test_a_full_store_gives_the_job_back_and_ends_the_worker(pets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> str:
        raise StorageError("no space left")

    (job,) = pets.submit(Grid(("pets",)))
    with monkeypatch.context() as patch:
        patch.setattr(type(pets.workspace.artifacts), "put_folder", full)
        with pytest.raises(StorageError):
            pets.work()
    assert pets.jobs([job.id])[0].state is JobState.QUEUED
    assert pets.models() == []
    assert pets.work() == 1


@pytest.mark.usefixtures("no_reports")
def test_a_cancelled_job_leaves_no_model(pets: Project) -> None:
    (job,) = pets.submit(Grid(("pets",)))

    def cancel(what: str, done: int, total: int | None) -> None:
        if what == "training":
            pets.cancel(job.id)

    assert pets.work(progress=lambda job: cancel) == 0
    assert pets.jobs([job.id])[0].state is JobState.CANCELLED
    assert pets.models() == []
    pets.retry(job.id)
    assert pets.work() == 1


@pytest.mark.usefixtures("no_reports")
def test_a_lost_job_is_not_worked_on_to_the_end(
    pets: Project, make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_project(lease_seconds=0.2)
    (job,) = own.submit(Grid(("pets",)))
    noticed = threading.Event()

    def watched(*args: Any) -> bool:
        mine = extend(*args)
        if not mine:
            noticed.set()
        return mine

    stages: list[str] = []

    def cancel(what: str, done: int, total: int | None) -> None:
        stages.append(what)
        if what == "training":
            own.cancel(job.id)
            assert noticed.wait(10)

    monkeypatch.setattr(module, "extend", watched)
    assert own.work(progress=lambda job: cancel) == 0
    assert stages[-2:] in (["training", "judging"], ["embedding", "training"])
    assert "registering and reporting" not in stages


@pytest.mark.usefixtures("no_reports")
def test_a_silent_worker_loses_its_job_to_another_and_its_result_is_dropped(
    pets: Project, make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = make_project(lease_seconds=0.1)
    (job,) = pets.submit(Grid(("pets",)))
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)

    def hang(what: str, done: int, total: int | None) -> None:
        if what == "training":
            threading.Event().wait(0.15)
            assert pets.work() == 1  # the other one

    assert silent.work(progress=lambda job: hang) == 0
    (job,) = pets.jobs([job.id])
    assert (job.state, job.attempt, job.result) == (JobState.DONE, 2, "pets@1")
    assert len(pets.models()) == 1


_WORK = """
from pellucid import Project
def tell(what, done, total):
    print(what, flush=True)
with Project({folder!r}, progress=tell, settings={{"lease_seconds": 0.5, "poll_seconds": 0.05}}) as project:
    project.work()
"""


def test_kill_9_while_training(
    pets: Project, make_project: Callable[..., Project], kill_after: Callable[..., int], no_reports: None
) -> None:
    (job,) = pets.submit(Grid(("pets",)))
    assert kill_after(_WORK.format(folder=str(pets.workspace.root)), "training") == -9
    (dead,) = pets.jobs([job.id])
    assert dead.state is JobState.RUNNING
    assert make_project(lease_seconds=0.5).work(only=[job.id]) == 1  # once the lease has run out
    (done,) = pets.jobs([job.id])
    assert (done.state, done.attempt, done.result) == (JobState.DONE, 2, "pets@1")
    assert len(pets.models()) == 1


@pytest.mark.usefixtures("no_reports")
def test_watch_trains_each_version_that_arrives_once(
    make_project: Callable[..., Project], class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    table = {"datasets": ["pets"], "models": ["ridge"], "settings": {"lambda": [0.1, 1]}}
    project = make_project(train=table)
    stop, done, failed = threading.Event(), threading.Semaphore(0), list[BaseException]()

    def tell(job: Job) -> None:
        if job.state is JobState.DONE:
            done.release()

    def watch() -> None:
        try:
            work(project.workspace, watch=True, stop=stop, report=tell)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()  # before the dataset is there
    try:
        for number in (1, 2):
            source = class_folders(tmp_path / f"pets{number}", {"cat": 6, "dog": 6}, start=10 * number)
            project.ingest(source, "pets", test_fraction=0.3)
            assert all(done.acquire(timeout=20) for _ in range(2))
    finally:
        stop.set()
        watcher.join()
    assert not failed
    assert Counter(job.dataset for job in project.jobs()) == {"pets@1": 2, "pets@2": 2}


@pytest.mark.usefixtures("no_reports")
def test_watch_leaves_failed_and_cancelled_jobs_alone(pets: Project, make_project: Callable[..., Project]) -> None:
    project = make_project(train={"datasets": ["pets"]})
    (job,) = project.submit(Grid(("pets",)))
    project.cancel(job.id)
    module._Arrivals(project.workspace).queue()
    assert project.jobs([job.id])[0].state is JobState.CANCELLED


def test_many_processes_do_each_job_once(pets: Project, child_environ: dict[str, str]) -> None:
    jobs = pets.submit(Grid(("pets",), ("ridge",), {"lambda": [0.1, 1, 10, 100]}))
    code = f"""
import sys
sys.path.insert(0, {child_environ["PYTHONPATH"]!r})
from pellucid import Project
from pellucid.flow.training import job
job._try_to_complete = lambda workspace, model: False
with Project({str(pets.workspace.root)!r}) as project:
    project.work()
"""
    run_workers(2, [sys.executable, "-c", code])
    ended = pets.jobs([job.id for job in jobs])
    assert [(job.state, job.attempt) for job in ended] == [(JobState.DONE, 1)] * 4
    assert sorted(str(job.result) for job in ended) == ["pets@1", "pets@2", "pets@3", "pets@4"]


def test_processes_that_fail_are_told() -> None:
    with pytest.raises(TrainingError, match="2 of 2 workers ended with an error"):
        run_workers(2, [sys.executable, "-c", "raise SystemExit(3)"])


_PARENT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits it ignored
from pellucid.flow.training.worker import run_workers
code = "import os, time; os.write(1, str(os.getpid()).encode() + bytes([10])); time.sleep(100)"
run_workers(2, [sys.executable, "-c", code])
"""


def test_ctrl_c_ends_all_processes(child_environ: dict[str, str]) -> None:
    command = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=child_environ
    ) as parent:
        try:
            assert parent.stdout is not None
            children = [int(parent.stdout.readline()) for _ in range(2)]
            parent.send_signal(signal.SIGINT)
            assert parent.wait(60) != 0
        finally:
            parent.kill()
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
