"""The table of a benchmark: means over seeds, and paired differences to one reference method."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.errors import UsageError
from pellucid.protocol.score import METRICS

REFERENCE = "pellucid"  # the method that all others are compared with
LEVEL = 0.95  # of the intervals


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one method reached on one seed."""

    noise: str
    rate: float
    seed: int
    method: str
    monday: str  # what it had of Monday, for people
    sees_truth: bool
    scores: Mapping[str, float | None]  # by metric


@dataclass(frozen=True, slots=True)
class Line:
    """A method's line for one kind and rate of noise."""

    noise: str
    rate: float
    method: str
    monday: str
    sees_truth: bool
    n_seeds: int
    means: Mapping[str, float | None]  # by metric, over the seeds that have it
    lead: (
        float | None
    )  # mean of the reference's ``by`` less this method's, over common seeds; above 0: reference is better
    low: float | None  # the 95 % interval of the lead; None for fewer than two common seeds
    high: float | None


def summarise(outcomes: Iterable[Outcome], *, by: str = "mean", reference: str = REFERENCE) -> list[Line]:
    """One line for each noise, rate and method, the best by the metric ``by`` first within each noise and rate.

    The interval is Student's t interval of the paired differences, seed by seed: the seeds share images and labels,
    so that differences scatter far less than the methods do (Student 1908).

    Raises UsageError for an unknown metric.

    >>> def at(seed, method, value):
    ...     return Outcome("pair", 0.3, seed, method, "all", False, {"mean": value})
    >>> best, other = summarise([at(0, "pellucid", 0.8), at(1, "pellucid", 0.9), at(0, "x", 0.7), at(1, "x", 0.8)])
    >>> best.method, round(other.lead, 3), round(other.low, 3), round(other.high, 3)
    ('pellucid', 0.1, 0.1, 0.1)
    """
    if by not in METRICS:
        raise UsageError(f"there is no metric {by!r}; there are {', '.join(METRICS)}")
    cells: dict[tuple[str, float], dict[str, dict[int, Outcome]]] = {}
    for outcome in outcomes:
        methods = cells.setdefault((outcome.noise, outcome.rate), {})
        methods.setdefault(outcome.method, {})[outcome.seed] = outcome
    lines: list[Line] = []
    for methods in cells.values():
        base = methods.get(reference, {})
        found = [_line(list(seeds.values()), base, by) for seeds in methods.values()]
        lines += sorted(found, key=lambda line: (-(line.means.get(by) or 0.0), line.method))
    return lines


def paired_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % t interval of the mean difference; None for fewer than two.

    >>> low, high = paired_interval([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    n = len(differences)
    if n < 2:
        return None
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * float(np.std(differences, ddof=1)) / math.sqrt(n)
    mean = float(np.mean(differences))
    return mean - half, mean + half


def to_markdown(lines: Sequence[Line]) -> str:
    """The tables as Markdown, one for each noise and rate; accuracies and leads in points of 100.

    Methods that see the truth are in italics; nobody can use them.
    """
    parts: list[str] = []
    for noise, rate in dict.fromkeys((line.noise, line.rate) for line in lines):
        own = [line for line in lines if (line.noise, line.rate) == (noise, rate)]
        parts += [
            f"### {noise} noise, {rate:.0%} of Tuesday's labels wrong, {_seeds(own)}".replace("%", " %"),
            "",
            "| method | Monday kept | mean | Monday | Tuesday | pellucid leads by (95 % interval) | AUROC | AP |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
            *(f"| {' | '.join(_cells(line))} |" for line in own),
            "",
        ]
    return "\n".join(parts)


def to_csv(lines: Sequence[Line]) -> str:
    """The same as CSV, shares of 1; empty where there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["noise", "rate", "method", "monday_kept", "sees_truth", "seeds", *METRICS, "lead", "lead_low", "lead_high"]
    )
    for line in lines:
        values = [line.means.get(name) for name in METRICS] + [line.lead, line.low, line.high]
        shown = ["" if value is None else f"{value:.6f}" for value in values]
        head = [line.noise, f"{line.rate:g}", line.method, line.monday, str(line.sees_truth).lower(), line.n_seeds]
        writer.writerow([*head, *shown])
    return buffer.getvalue()


def _line(own: Sequence[Outcome], base: Mapping[int, Outcome], by: str) -> Line:
    first = own[0]
    pairs = [(base[item.seed].scores.get(by), item.scores.get(by)) for item in own if item.seed in base]
    differences = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
    is_reference = any(item is first for item in base.values())
    interval = None if is_reference else paired_interval(differences)
    return Line(
        noise=first.noise,
        rate=first.rate,
        method=first.method,
        monday=first.monday,
        sees_truth=first.sees_truth,
        n_seeds=len(own),
        means={name: _mean([item.scores.get(name) for item in own]) for name in METRICS},
        lead=None if is_reference or not differences else float(np.mean(differences)),
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return float(np.mean(given)) if given else None


def _cells(line: Line) -> list[str]:
    name = f"*{line.method}*" if line.sees_truth else line.method
    if line.method == REFERENCE:
        name = f"**{name}**"
    lead = "" if line.lead is None else f"{100 * line.lead:+.1f}"
    if line.low is not None and line.high is not None:
        lead += f" ({100 * line.low:+.1f} to {100 * line.high:+.1f})"
    accuracies = [_number(line.means.get(item), 100, 1) for item in ("mean", "monday", "tuesday")]
    ranking = [_number(line.means.get(item), 1, 3) for item in ("auroc", "average_precision")]
    return [name, line.monday, *accuracies, lead, *ranking]


def _number(value: float | None, scale: float, digits: int) -> str:
    return "" if value is None else f"{scale * value:.{digits}f}"


def _seeds(lines: Sequence[Line]) -> str:
    counts = sorted({line.n_seeds for line in lines})
    text = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{text} seed" if counts == [1] else f"{text} seeds"
