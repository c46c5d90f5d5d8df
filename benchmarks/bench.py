"""What the benchmarks share: fair timing, peak memory, and one table with targets and verdicts.

A benchmark is a program with one function ``measure(quick)`` that gives `Figure`s, handed to `program`. Figures
that a target stands against are ratios of two things done in one run, turn by turn: a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("pellucid", "numpy", "onnxruntime", "pillow", "rich", "scikit-learn", "scipy", "sqlalchemy", "typer")
MEGABYTE = 1e6  # bytes
_SIGNIFICANT = 3  # digits of a figure


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a result.

    >>> Figure("speed", 0.95, at_least=0.9).verdict, Figure("time", 3.0, "s", at_most=2.0).verdict
    ('met', 'MISSED')
    """

    name: str
    value: float
    unit: str = ""  # "s", "MB", "images/s"; empty for a ratio or a count
    at_least: float | None = None  # target
    at_most: float | None = None  # target
    remark: str = ""

    @property
    def target(self) -> str:
        """In words; empty where there is none."""
        if self.at_least is not None:
            return f"at least {self.at_least:,.15g}"
        return "" if self.at_most is None else f"at most {self.at_most:,.15g}"

    @property
    def verdict(self) -> str:
        """``met``, ``MISSED``, or nothing where there is no target."""
        low = self.at_least is not None and not self.value >= self.at_least
        high = self.at_most is not None and not self.value <= self.at_most
        return "MISSED" if low or high else "met" if self.target else ""


def plain(value: float) -> str:
    """A number as people read it: three digits that mean something.

    >>> plain(0.93456), plain(12345.6), plain(2.0), plain(0)
    ('0.935', '12,346', '2', '0')
    """
    if value == int(value) or abs(value) >= 10**_SIGNIFICANT:
        return f"{value:,.0f}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{_SIGNIFICANT - whole}f}"


def timed(act: Callable[[], object]) -> float:
    """Seconds of wall time."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Turns:
    """Seconds of each contender in each round, on the clock and of the processor."""

    seconds: Mapping[str, Sequence[float]]
    cpu: Mapping[str, Sequence[float]]  # of this process, all its threads; a busy machine hardly changes them

    def median(self, name: str) -> float:
        """The contender's median round."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, to: str) -> float:
        """How many times as long as ``to`` it took: the median over the rounds, each compared with itself."""
        return statistics.median(a / b for a, b in zip(self.seconds[name], self.seconds[to], strict=True))

    def speed(self, name: str, of: str) -> float:
        """Its speed as a share of the other's; higher is better."""
        return 1 / self.ratio(name, of)

    def spread(self, name: str, of: str, *, cpu: bool = True) -> str:
        """The lowest and the highest such share of any round, and that of the processor's time, for a remark.

        ``cpu`` is to be off where other processes do the work.
        """
        shares = [b / a for a, b in zip(self.seconds[name], self.seconds[of], strict=True)]
        text = f"{len(shares)} rounds, {plain(min(shares))} to {plain(max(shares))}"
        own, other = statistics.median(self.cpu[name]), statistics.median(self.cpu[of])
        return f"{text}; processor time {plain(own / other)} times as long" if cpu and other > 0 else text


def alternate(contenders: Mapping[str, Callable[[], object]], rounds: int) -> Turns:
    """Times all contenders in turn, round after round; every other round goes backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name in list(contenders)[:: 1 if turn % 2 == 0 else -1]:
            before = time.process_time()
            seconds[name].append(timed(contenders[name]))
            cpu[name].append(time.process_time() - before)
        say(f"round {turn + 1} of {rounds}: " + ", ".join(f"{name} {plain(s[-1])} s" for name, s in seconds.items()))
    return Turns(seconds, cpu)


def peak_mb() -> float:
    """The most memory that this process has held so far, in MB.

    Linux's ``ru_maxrss`` also counts what the parent held when it started this process; VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / MEGABYTE
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def in_child(script: str, *arguments: object) -> dict[str, Any]:
    """Runs ``script --child ARGUMENTS`` in a process of its own; returns the JSON that it prints last."""
    command = [sys.executable, script, "--child", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with code {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def say(text: str) -> None:
    """Tells on stderr how far it is; stdout is for the result."""
    print(f"  {text}", file=sys.stderr, flush=True)


def surroundings() -> dict[str, Any]:
    """Where and when the figures came about."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu(),
        "cores": usable_cores(),
        "load": round(load, 1),  # runnable processes over the last minute, this one among them
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES if _installed(name)},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _installed(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError

    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Aligned lines: what, how much, target, verdict, remark.

    >>> print(table([as_json(Figure("speed", 0.95, "x", at_least=0.9))]))
    what   figure   target        verdict
    speed  0.950 x  at least 0.9  met
    """
    rows = [("what", "figure", "target", "verdict", "")]
    for item in figures:
        figure = f"{plain(item['value'])} {item['unit']}".rstrip()
        rows.append((item["name"], figure, item["target"], item["verdict"], item["remark"]))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_json(figure: Figure) -> dict[str, Any]:
    """The figure with its target and verdict in words."""
    return asdict(figure) | {"target": figure.target, "verdict": figure.verdict}


def program(doc: str | None, measure: Callable[[bool], Sequence[Figure]]) -> None:
    """The command line of every benchmark: ``--quick``, ``--json``; leaves with 1 where a target is missed.

    With ``--quick`` the work is too small for the verdicts to count, and it leaves with 0.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small part of the work: shows that it runs")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    before = surroundings()
    figures = measure(options.quick)
    after = surroundings()
    shown = [as_json(figure) for figure in figures]
    result = {
        "title": (doc or "").strip().splitlines()[0],
        "command": f"python benchmarks/{Path(sys.argv[0]).name}" + (" --quick" if options.quick else ""),
        "surroundings": before | {"load": max(before["load"], after["load"])},
        "figures": shown,
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print(f"{result['title']}\n\n{table(shown)}")
    missed = any(figure.verdict == "MISSED" for figure in figures)
    raise SystemExit(int(missed and not options.quick))
