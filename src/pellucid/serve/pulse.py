"""The pulse of one server: its own metrics, noted every few seconds, so that their history needs no Prometheus."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

EVERY_SECONDS = 5.0
NEAR = 720  # notes of the last hour
FAR = 1440  # a note a minute of the last day
_SPARSE = 12  # of the near notes, one in so many is kept for far
_ASKS = (
    "/predict",
    "/feedback",
    "/samples",
    "/invocations",
    "/infer",
    "/ui/try",
)  # how the routes that do the work end


@dataclass(frozen=True, slots=True, eq=False)
class Note:
    """Everything that was counted since the server started, at one moment."""

    at: datetime  # UTC
    requests: int  # that ask or say something; pages and health checks are none
    errors: int  # of them, answered with 500 and above
    refused: int  # with 400 to 499
    seconds: NDArray[np.float64]  # (b,) requests that took up to the bounds of the buckets, the last one infinite
    spent: float  # seconds of all of them
    batches: int
    items: int  # images answered in them
    waiting: int  # images in the queue at that moment


@dataclass(frozen=True, slots=True)
class Beat:
    """What happened between two notes."""

    start: datetime  # UTC
    end: datetime
    requests: int
    errors: int
    refused: int
    p50: float | None  # seconds that half of the requests took at most; None where there was none
    p95: float | None
    batch: float | None  # images of a batch, the mean; None where there was none
    waiting: int  # images in the queue at the end

    @property
    def per_second(self) -> float:
        """Requests."""
        return self.requests / max((self.end - self.start).total_seconds(), 1e-9)

    @property
    def error_share(self) -> float | None:
        """0..1; None where nobody asked."""
        return self.errors / self.requests if self.requests else None


class Pulse:
    """Notes what the server has counted, from ``start`` to ``close``; it keeps an hour in full and a day by minutes.

    Args:
        take: gives a note of now.
        bounds: seconds, the upper ends of the buckets, without the last one.
        every: seconds between two notes.
    """

    def __init__(self, take: Callable[[], Note], bounds: Sequence[float], *, every: float = EVERY_SECONDS) -> None:
        self._take = take
        self._bounds = tuple(bounds)
        self._every = every
        self._near: deque[Note] = deque(maxlen=NEAR)
        self._far: deque[Note] = deque(maxlen=FAR)
        self._count = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pellucid-pulse", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._note()
        self._thread.start()

    def close(self) -> None:
        """Ends; what was noted can still be read."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def beats(self, since: datetime, *, most: int = 60) -> list[Beat]:
        """What happened since then, oldest first, in at most so many pieces of about the same length."""
        near, far = tuple(self._near), tuple(self._far)
        first = near[0].at if near else datetime.now(UTC)
        notes = [note for note in (*(note for note in far if note.at < first), *near) if note.at >= since]
        if len(notes) < 2:
            return []
        whole = (notes[-1].at - notes[0].at).total_seconds()
        chosen, next_at = [notes[0]], whole / most
        for note in notes[1:]:
            if (note.at - notes[0].at).total_seconds() >= next_at or note is notes[-1]:
                chosen.append(note)
                next_at = ((note.at - notes[0].at).total_seconds() // (whole / most) + 1) * whole / most
        return [self._beat(*pair) for pair in itertools.pairwise(chosen)]

    def lately(self, seconds: float) -> Beat | None:
        """All of the last so many seconds, as far as they were noted, up to now; None before the first note."""
        now = self._take()
        found = [note for note in tuple(self._near) if (now.at - note.at).total_seconds() <= seconds]
        return self._beat(found[0], now) if found else None

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._note()

    def _note(self) -> None:
        note = self._take()
        self._near.append(note)
        if self._count % _SPARSE == 0:
            self._far.append(note)
        self._count += 1

    def _beat(self, first: Note, last: Note) -> Beat:
        batches, seconds = last.batches - first.batches, last.seconds - first.seconds
        return Beat(
            start=first.at,
            end=last.at,
            requests=last.requests - first.requests,
            errors=last.errors - first.errors,
            refused=last.refused - first.refused,
            p50=quantile(0.5, self._bounds, seconds),
            p95=quantile(0.95, self._bounds, seconds),
            batch=(last.items - first.items) / batches if batches else None,
            waiting=last.waiting,
        )


def does_work(route: str) -> bool:
    """Whether requests of that route ask or say something.

    >>> [does_work(route) for route in ("/v2/models/{name}/infer", "/ui/try", "/try", "/ui/pictures/{sample}")]
    [True, True, False, False]
    """
    return route.endswith(_ASKS)


def quantile(share: float, bounds: Sequence[float], counts: NDArray[np.float64]) -> float | None:
    """The value that this share of the observations does not exceed, as Prometheus's ``histogram_quantile`` has it.

    Within a bucket the observations are taken to be spread evenly; of what lies above the last bound only that is
    known, so the last bound is given.

    Args:
        share: 0..1.
        bounds: (b - 1,) upper ends of the buckets but the infinite one, ascending.
        counts: (b,) observations up to each bound, all of them in the last place.

    >>> quantile(0.5, [1.0, 2.0], np.array([0.0, 4.0, 4.0])), quantile(0.5, [1.0], np.array([0.0, 0.0]))
    (1.5, None)
    """
    total = float(counts[-1])
    if total <= 0:
        return None
    rank = share * total
    place = int(np.searchsorted(counts, rank))
    if place >= len(bounds):
        return float(bounds[-1])
    before = float(counts[place - 1]) if place else 0.0
    low = float(bounds[place - 1]) if place else 0.0
    within = float(counts[place]) - before
    return low + (float(bounds[place]) - low) * ((rank - before) / within if within else 0.0)
