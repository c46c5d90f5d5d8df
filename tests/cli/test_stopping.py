"""Ctrl-C, SIGTERM and kill -9 at exact points of real processes: the state is whole and the same command goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from pellucid import Project
from pellucid.flow.training.predict import open_predictor
from pellucid.types import JobState

from ..conftest import PATIENCE, until
from .conftest import STOP_WORDS, Cli, Start

INT, TERM, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGKILL


def stop(process: subprocess.Popen[str], how: signal.Signals, folder: Path) -> None:
    """Stops a process that halts, and checks that it ends as it should."""
    until((folder / "halted").exists, process)
    process.send_signal(how)
    if how is not KILL:
        time.sleep(0.05)  # the signal is there before the other threads go on
        (folder / "released").touch()
    out, err = process.communicate(timeout=PATIENCE)
    if how is KILL:
        assert process.returncode == -KILL
    else:
        assert (process.returncode, out, err.splitlines()[-1:]) == (130, "", [STOP_WORDS]), err
    assert "Traceback" not in err


def check_whole(folder: Path, *, killed: bool = False) -> None:
    """Whatever happened: every record leads to what it names, and nothing half-done counts."""
    with closing(sqlite3.connect(folder / ".pellucid" / "pellucid.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        unfinished = database.execute("SELECT count(*) FROM ingest WHERE finished_at IS NULL").fetchone()[0]
        assert killed or not unfinished
    with Project(folder) as project:
        for version in project.datasets():
            assert len(project.inspect(version.ref).rows) == version.counts["images"]
        for model in project.models():
            open_predictor(project.workspace, model)
        for job in project.jobs():
            assert (job.state is JobState.DONE) == (job.result is not None)
            assert killed or job.state is not JobState.RUNNING


@pytest.fixture
def source(tmp_path: Path, class_folders: Callable[..., Path]) -> Path:
    return class_folders(tmp_path / "source", {"cat": 20, "dog": 20})


@pytest.mark.parametrize(
    ("at", "how"),
    [
        ("pellucid.store.blobs:Blobs.put", INT),
        ("pellucid.flow.data.ingest:add_rejected", KILL),
        ("pellucid.flow.data.ingest:commit_votes", TERM),
    ],
)
def test_a_stopped_ingest_counts_for_nothing_and_goes_on(
    cli: Cli, start: Start, here: Path, source: Path, at: str, how: signal.Signals
) -> None:
    stop(start("ingest", source, "-d", "pets", cwd=here, at=at), how, here)
    check_whole(here, killed=how is KILL)
    assert cli("datasets", "list", "--json").json == []
    done = cli("ingest", source, "-d", "pets", "--json").json
    assert done["version"]["counts"]["images"] == 40
    assert done["ref"] == "pets@1"
    assert cli("datasets", "show", "pets", "--json").json["findings"] == []
    check_whole(here, killed=how is KILL)


def test_a_killed_second_ingest_leaves_the_first_version(cli: Cli, start: Start, trained: Path, source: Path) -> None:
    before = cli("datasets", "show", "pets", "--rows", "--json").json
    stop(start("ingest", source, "-d", "pets", cwd=trained, at="pellucid.flow.data.ingest:commit_votes"), KILL, trained)
    assert cli("datasets", "show", "pets", "--rows", "--json").json == before
    assert cli("ingest", source, "-d", "pets", "--json").json["ref"] == "pets@2"


def test_a_stopped_embedding_goes_on(cli: Cli, start: Start, trained: Path) -> None:
    for path in (trained / ".pellucid" / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    stop(start("embed", "pets", cwd=trained, at="pellucid.store.vectors:VectorCache.append"), TERM, trained)
    assert cli("embed", "pets", "--json").json["vectors"] == 24


@pytest.mark.parametrize(
    ("at", "how"),
    [
        ("pellucid.flow.training.job:learn", TERM),
        ("pellucid.flow.training.job:register_model", KILL),
        ("pellucid.flow.training.job:finish", INT),
        ("pellucid.flow.training.job:write_report", KILL),
    ],
)
def test_a_stopped_training_goes_on_and_registers_each_model_once(
    cli: Cli, start: Start, trained: Path, monkeypatch: pytest.MonkeyPatch, at: str, how: signal.Signals
) -> None:
    words = ("train", "-d", "pets", "-m", "ridge", "-s", "lambda=2", "--json")
    stop(start(*words, cwd=trained, at=at), how, trained)
    check_whole(trained, killed=how is KILL)
    monkeypatch.setenv("PELLUCID_LEASE_SECONDS", "0.5")
    again = cli(*words)
    assert again.code == 0
    assert [line["ref"] for line in again.lines] == ["pets@2"]
    assert len(cli("models", "list", "--json").json) == 2
    until(lambda: cli(*words).code == 0 and cli("models", "mirror", "-n", "--json").json["completed"] == 0)
    assert (trained / "reports" / "pets-2" / "report.html").is_file()
    check_whole(trained)


def test_a_stopped_prediction_has_answered_or_not(cli: Cli, start: Start, trained: Path, source: Path) -> None:
    words = ("predict", source / "cat", "-m", "pets@1", "--json")
    stop(start(*words, cwd=trained, at="pellucid.flow.training.predict:add_predictions"), INT, trained)
    check_whole(trained)
    assert len(cli(*words).lines) == 20


def test_a_killed_worker_s_job_is_done_by_another_exactly_once(
    cli: Cli, start: Start, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("train", "-d", "pets", "-s", "lambda=1", "--detach")
    stop(start("worker", cwd=trained, at="pellucid.flow.training.job:finish"), KILL, trained)
    monkeypatch.setenv("PELLUCID_LEASE_SECONDS", "0.5")
    until(lambda: cli("worker").code == 0 and cli("queue", "list").out == "")
    done_once(cli, 2)
    check_whole(trained)


def test_of_two_processes_one_is_killed_and_every_job_is_done_exactly_once(
    cli: Cli, start: Start, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("train", "-d", "pets", "-s", "lambda=1,2", "--detach")
    process = start("worker", "-j", "2", cwd=trained)
    with Project(trained) as project:

        def running() -> int | None:
            return next(
                (int(str(job.worker).split(":")[1]) for job in project.jobs() if job.state is JobState.RUNNING), None
            )

        until(running, process)
        victim = running()
    assert victim is not None
    assert victim in {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
    os.kill(victim, KILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0, "the parent says that a worker died"
    assert "Traceback" not in err
    monkeypatch.setenv("PELLUCID_LEASE_SECONDS", "0.5")
    until(lambda: cli("worker").code == 0 and cli("queue", "list").out == "")
    done_once(cli, 3)


@pytest.mark.parametrize("whole_group", [True, False])
def test_two_stopped_processes_give_their_jobs_back(
    cli: Cli, start: Start, trained: Path, *, whole_group: bool
) -> None:
    """A terminal's Ctrl-C reaches all of the group; a service manager's SIGTERM the parent alone."""
    with (trained / "pellucid.toml").open("a") as file:
        file.write('[train]\ndatasets = ["pets"]\n')
    process = start("worker", "--watch", "-j", "2", cwd=trained)
    parent = psutil.Process(process.pid)
    until(lambda: len(parent.children()) == 2, process)
    children = parent.children()
    database = str(trained / ".pellucid" / "pellucid.db")
    until(lambda: all(database in {file.path for file in child.open_files()} for child in children), process)
    if whole_group:
        os.killpg(process.pid, INT)
    else:
        process.send_signal(TERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == (130 if whole_group else 0)
    assert (STOP_WORDS in err) == whole_group
    assert "Traceback" not in err
    assert not any(child.is_running() for child in children)
    check_whole(trained)


def test_two_ingests_at_once_both_count(cli: Cli, start: Start, here: Path, class_folders: Callable[..., Path]) -> None:
    sources = [class_folders(here / name, {"cat": 6, "dog": 6}, start=at) for name, at in (("one", 0), ("two", 6))]
    first = start("ingest", sources[0], "-d", "pets", cwd=here, at="pellucid.flow.data.ingest:commit_votes")
    until((here / "halted").exists, first)
    assert cli("ingest", sources[1], "-d", "pets", "--json").json["ref"] == "pets@1"
    (here / "released").touch()
    _, err = first.communicate(timeout=PATIENCE)
    assert first.returncode == 0, err
    assert [row["counts"]["images"] for row in cli("datasets", "list", "--json").json] == [12, 24]


def done_once(cli: Cli, count: int) -> None:
    jobs = cli("queue", "list", "--all", "--json").lines
    assert [job["state"] for job in jobs] == ["done"] * count
    models = {model["ref"] for model in cli("models", "list", "--json").json}
    assert len(models) == count
    assert {job["result"] for job in jobs} == models
