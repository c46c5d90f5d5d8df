"""Parts are kept alive, started ever more slowly where they die at once, and ended in order."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pellucid.serve import supervisor
from pellucid.serve.supervisor import Part, supervise

from ..conftest import PATIENCE, until

SLEEPER = (
    "import pathlib, sys, time\nwith open(sys.argv[1], 'a') as file: print(__import__('os').getpid(), file=file)\n"
)


def part(name: str, marks: Path, then: str = "time.sleep(1000)") -> Part:
    """A process that notes its id, and then does that."""
    return Part(name, (sys.executable, "-c", SLEEPER + then, str(marks)))


def ids(marks: Path) -> list[int]:
    return [int(line) for line in marks.read_text().split()] if marks.exists() else []


@pytest.fixture
def keep() -> Callable[..., Any]:
    """``with keep(*parts) as told``: they are supervised until the end of the block."""

    @contextmanager
    def run(*parts: Part) -> Iterator[list[str]]:
        told: list[str] = []
        stop = threading.Event()
        thread = threading.Thread(
            target=supervise, args=(parts,), kwargs={"tell": told.append, "environ": dict(os.environ), "stop": stop}
        )
        thread.start()
        try:
            yield told
        finally:
            stop.set()
            thread.join(PATIENCE)
            assert not thread.is_alive()

    return run


def test_all_parts_run_and_none_is_left(keep: Callable[..., Any], tmp_path: Path) -> None:
    marks = [tmp_path / "one", tmp_path / "two"]
    with keep(*(part(path.name, path) for path in marks)) as told:
        until(lambda: all(map(ids, marks)))
        running = [psutil.Process(ids(path)[0]) for path in marks]
        assert all(os.getpgid(item.pid) == item.pid for item in running), "Ctrl-C of a terminal does not reach them"
    assert not any(item.is_running() for item in running)
    assert told == []
    assert [len(ids(path)) for path in marks] == [1, 1]


def test_a_part_that_dies_is_started_again_and_the_others_are_left_alone(
    keep: Callable[..., Any], tmp_path: Path
) -> None:
    dies, stays = tmp_path / "dies", tmp_path / "stays"
    with keep(part("dies", dies), part("stays", stays)) as told:
        until(lambda: ids(dies) and ids(stays))
        os.kill(ids(dies)[0], signal.SIGKILL)
        until(lambda: len(ids(dies)) == 2)
    assert len(ids(stays)) == 1
    assert told == ["dies ended with -9; it is started again in 1 s"]


def test_what_dies_at_once_is_started_ever_more_slowly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[str] = []
    marks = tmp_path / "hasty"
    kept = supervisor._Kept(part("hasty", marks, "sys.exit(3)"), os.environ, (), told.append)
    now = 0.0
    starts: list[float] = []
    while len(starts) < 8:
        kept.look(now)
        if kept._process is not None:
            starts.append(now)
            kept._process.wait(PATIENCE)
        now += 0.5
    kept.end(0.0)
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert gaps == sorted(gaps)
    assert gaps[0] < gaps[-1] <= supervisor.MOST_WAIT + 1
    waits = [text.rpartition(" in ")[2] for text in told]
    assert waits == ["1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s"]


def test_a_part_that_lived_long_is_started_at_once(tmp_path: Path) -> None:
    told: list[str] = []
    kept = supervisor._Kept(part("old", tmp_path / "old", "sys.exit(1)"), os.environ, (), told.append)
    kept.look(0.0)
    assert kept._process is not None
    kept._process.wait(PATIENCE)
    kept.look(supervisor.STEADY_SECONDS + 1)
    assert told == ["old ended with 1; it is started again now"]
    assert kept._process is not None
    kept.end(0.0)


def test_a_part_that_will_not_end_is_killed(
    keep: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.3)
    marks = tmp_path / "stubborn"
    deaf = "__import__('signal').signal(15, lambda *_: None)\nopen(sys.argv[1] + '.deaf', 'w')\nwhile 1: time.sleep(1)"
    with keep(part("stubborn", marks, deaf)) as told:
        until((tmp_path / "stubborn.deaf").exists)
        (pid,) = ids(marks)
    assert not psutil.pid_exists(pid)
    assert told == ["stubborn does not end; it is killed"]


def test_a_part_that_cannot_be_started_does_not_take_the_others_down(keep: Callable[..., Any], tmp_path: Path) -> None:
    marks = tmp_path / "good"
    with keep(Part("bad", ("/nowhere/at/all",)), part("good", marks)) as told:
        until(lambda: told and ids(marks))
    assert told[0].startswith("bad cannot be started: ")
    assert not psutil.pid_exists(ids(marks)[0])


@pytest.mark.parametrize("hangs", [False, True])
def test_parts_end_when_their_supervisor_is_killed(hangs: bool, tmp_path: Path) -> None:
    marks, serving = tmp_path / "part", tmp_path / "part.serving"
    waits = "\n    ".join(
        ["try: open(sys.argv[1] + '.serving', 'w'), time.sleep(1000)", "finally:", f"  while {hangs}: time.sleep(1)"]
    )
    serves = f"def serve():\n  with as_service():\n    {waits}\n"
    ends = (
        "from pellucid.cli.ending import as_service, run\nfrom pellucid.serve import supervisor\n"
        f"supervisor.GRACE_SECONDS = 0.3\n{serves}raise SystemExit(run(serve))"
    )
    code = part("part", marks, ends).command[2]
    supervises = (
        "import os, sys\nfrom pellucid.serve.supervisor import Part, supervise\n"
        f"part = Part('part', (sys.executable, '-c', {code!r}, {str(marks)!r}))\n"
        "supervise([part], tell=print, environ=dict(os.environ))"
    )
    with subprocess.Popen([sys.executable, "-c", supervises]) as process:
        try:
            until(serving.exists)
            running = psutil.Process(ids(marks)[0])
        finally:
            process.kill()
    running.wait(PATIENCE)
