"""Tally: what came of a simulation, judged by the truth: accuracy as it went, wrong votes believed, waiting times."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pellucid.flow.production.simulate import DAYS, Visit
from pellucid.stream.sender import Reply

COLUMNS = (
    "time", "id", "day", "image", "corruption", "user", "truth", "prediction", "confidence", "said", "action",
    "label", "trust", "weight", "predict_ms", "feedback_ms", "error",
)  # fmt: skip

_WINDOWS = 10  # of a day
_LEAST = 10  # images in a window


@dataclass(frozen=True, slots=True)
class Outcome:
    """One visit, and what came back."""

    visit: Visit
    at: datetime  # UTC, when it was sent
    corruption: str  # what was done to the image; empty for nothing
    reply: Reply


@dataclass(frozen=True, slots=True)
class Window:
    """Some images in a row of one day."""

    first: int  # place within the day's answers, from 1
    last: int
    accuracy: float  # 0..1: the share of the model's answers that are true


@dataclass(frozen=True, slots=True)
class DayTally:
    """One day."""

    sent: int
    answered: int
    accuracy: float | None  # 0..1, of the model's answers against the truth; None where nothing was answered
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class VoteTally:
    """What became of the right votes, or of the wrong ones, that were heard; the four shares sum to 1."""

    heard: int
    believed: float | None  # 0..1: learnt as said, with a trust of 0.5 or more; None where nothing was heard
    doubted: float | None  # learnt as said, with a trust below 0.5
    overruled: float | None  # learnt, but with another label
    not_learnt: float | None  # undone by the guard, or recorded only
    trust: float | None  # 0..1: the mean trust of those learnt as said


@dataclass(frozen=True, slots=True)
class Latency:
    """Waiting times in milliseconds; None where nothing was answered."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """The whole simulation."""

    planned: int
    sent: int
    answered: int  # with a prediction
    errors: int
    reasons: Mapping[str, int]  # how often the server, or an image, was wrong in which way; the ten most frequent
    retries: int
    seconds: float
    rate: float  # sent a second
    days: Mapping[str, DayTally]
    right: VoteTally
    wrong: VoteTally
    predict_ms: Latency
    feedback_ms: Latency


def tally(outcomes: Iterable[Outcome], *, planned: int, seconds: float) -> Tally:
    """Counts outcomes, in whatever order they came; windows are in the order in which they were sent."""
    found = sorted(outcomes, key=lambda item: item.at)
    replies = [item.reply for item in found]
    reasons = Counter(item.error for item in replies if item.error)
    return Tally(
        planned=planned,
        sent=len(found),
        answered=sum(item.prediction is not None for item in replies),
        errors=sum(reasons.values()),
        reasons=dict(reasons.most_common(10)),
        retries=sum(item.retries for item in replies),
        seconds=round(seconds, 3),
        rate=round(len(found) / seconds, 3) if seconds > 0 else 0.0,
        days={day: _day(own) for day in DAYS if (own := [item for item in found if item.visit.day == day])},
        right=_votes([item for item in found if item.visit.right]),
        wrong=_votes([item for item in found if not item.visit.right]),
        predict_ms=_latency(item.predict_seconds for item in replies),
        feedback_ms=_latency(item.feedback_seconds for item in replies),
    )


class Report:
    """A CSV file with a line for every outcome, written as each comes, so that a run that is killed leaves them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="", buffering=1)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Writes a line; not to be called by two threads at once."""
        self._writer.writerow(_line(outcome))

    def write_again(self, outcomes: Sequence[Outcome]) -> None:
        """Replaces all lines, where more has become known of what was sent."""
        self._file.seek(0)
        self._file.truncate()
        self._writer.writerow(COLUMNS)
        for outcome in outcomes:
            self.add(outcome)


def _line(item: Outcome) -> tuple[object, ...]:
    visit, reply = item.visit, item.reply
    return (
        item.at.isoformat(timespec="milliseconds"), visit.id, visit.day, visit.picture.name, item.corruption,
        visit.user, visit.picture.truth, reply.prediction, reply.confidence, visit.said, reply.action, reply.label,
        reply.trust, reply.weight, _milliseconds(reply.predict_seconds), _milliseconds(reply.feedback_seconds),
        " ".join(reply.error.split()),
    )  # fmt: skip


def _day(outcomes: Sequence[Outcome]) -> DayTally:
    hits = np.array([o.reply.prediction == o.visit.picture.truth for o in outcomes if o.reply.prediction is not None])
    size = max(_LEAST, math.ceil(len(hits) / _WINDOWS))
    starts = range(0, len(hits), size)
    windows = tuple(
        Window(at + 1, min(at + size, len(hits)), round(float(hits[at : at + size].mean()), 4)) for at in starts
    )
    return DayTally(len(outcomes), len(hits), round(float(hits.mean()), 4) if len(hits) else None, windows)


def _votes(outcomes: Sequence[Outcome]) -> VoteTally:
    heard = [item for item in outcomes if item.reply.action is not None]
    learnt = [item for item in heard if item.reply.action == "learnt"]
    as_said = [item.reply.trust or 0.0 for item in learnt if item.reply.label == item.visit.said]
    believed = sum(trust >= 0.5 for trust in as_said)

    def share(count: int) -> float | None:
        return round(count / len(heard), 4) if heard else None

    return VoteTally(
        heard=len(heard),
        believed=share(believed),
        doubted=share(len(as_said) - believed),
        overruled=share(len(learnt) - len(as_said)),
        not_learnt=share(len(heard) - len(learnt)),
        trust=round(float(np.mean(as_said)), 4) if as_said else None,
    )


def _latency(seconds: Iterable[float | None]) -> Latency:
    found = [value for value in seconds if value is not None]
    if not found:
        return Latency(None, None)
    p50, p99 = np.quantile(found, [0.5, 0.99])
    return Latency(_milliseconds(float(p50)), _milliseconds(float(p99)))


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)
