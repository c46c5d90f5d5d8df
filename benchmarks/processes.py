"""Processes that are measured against each other: each on its core, stopped out of its turn, and what it has used."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLICE = 0.25  # seconds of a turn


@dataclass(frozen=True, slots=True)
class Worker:
    """One that takes turns."""

    pid: int  # of what works, which is stopped out of its turn with all that descend from it
    report: subprocess.Popen[str]  # where it gets SIGTERM it prints a line of JSON and ends


@dataclass(frozen=True, slots=True)
class Turns:
    """What came of them."""

    seconds: float  # that it had in all
    cpu: float  # seconds of processor time that it used
    report: Mapping[str, Any]


def pin(core: int) -> None:
    """This process runs on that core only, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal():
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = [pid]
    for one in found:  # grows while it is gone through
        found += [child for child, parent in parents.items() if parent == one]
    return found


def tell(pids: Sequence[int], what: signal.Signals) -> None:
    """A signal to the processes, as far as they still are."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


def check_pinned(pid: int) -> None:
    """Raises SystemExit where a thread of the family may run on another core: onnxruntime's own pin themselves."""
    cores = set()
    for task in [task for one in family(pid) for task in Path(f"/proc/{one}/task").iterdir()]:
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            cores.add(tuple(sorted(os.sched_getaffinity(int(task.name)))))
    wanted = sorted(os.sched_getaffinity(0))[0]
    if cores != {(wanted,)}:
        raise SystemExit(f"process {pid} runs on the cores {sorted(cores)}; wanted is {wanted} for all its threads")


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process and its family have used."""
    ticks = [sum(map(int, _stat(one)[11:13])) for one in family(pid)]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def on_turn(pids: Sequence[int]) -> Iterator[None]:
    """They go on in the block and are stopped after it: even idle, half a dozen servers take hundredths of a core."""
    tell(pids, signal.SIGCONT)
    try:
        yield
    finally:
        tell(pids, signal.SIGSTOP)


def rotate(workers: Mapping[str, Worker], seconds: float) -> dict[str, Turns]:
    """Lets each of the workers, which are stopped, work for so long: in turns so short, and in both directions, that a
    machine which is now fast and now slow is so for all of them.

    All are stopped again, or have ended.
    """
    had = dict.fromkeys(workers, 0.0)
    before = {name: cpu_seconds(worker.pid) for name, worker in workers.items()}
    order = list(workers)
    pids = {name: family(worker.pid) for name, worker in workers.items()}
    while min(had.values()) < seconds:
        for name in order:
            began = time.monotonic()
            with on_turn(pids[name]):
                time.sleep(SLICE)
            had[name] += time.monotonic() - began
        order.reverse()
    found = {}
    for name, worker in workers.items():
        assert worker.report.stdout is not None
        with on_turn(pids[name]):
            began = time.monotonic()
            worker.report.send_signal(signal.SIGTERM)
            report = json.loads(worker.report.stdout.readline())
            had[name] += time.monotonic() - began  # before Python has ended, which takes a while
            worker.report.wait(60)
        cpu = report.get("cpu") or cpu_seconds(worker.pid) - before[name]
        found[name] = Turns(had[name], cpu, report)
    return found


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
