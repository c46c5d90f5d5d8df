"""Micro-batching: many who ask at once share one run of the model."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Generic, Self, TypeVar

from pellucid.errors import BusyError, UsageError

T = TypeVar("T")
R = TypeVar("R")

_MEMORY = 0.8  # of the running mean of a batch's time: the last five batches or so decide
_FIRST_GUESS = 1.0  # seconds that a batch is thought to take while none has been seen
_LONGEST_WAIT = 60.0  # seconds: the most that a caller is told to wait


@dataclass(frozen=True, slots=True)
class BatchStats:
    """What a batcher has done so far."""

    batches: int  # runs of the work
    items: int  # answered by them, with a result or an error
    dropped: int  # given up by their submitters before they were run
    refused: int  # not taken because the queue was full
    waiting: int  # in the queue at this moment
    sizes: Mapping[int, int]  # how many batches had how many items
    seconds: float  # that they took in all


@dataclass(slots=True)
class _Entry(Generic[T, R]):
    item: T
    future: Future[R] = field(default_factory=Future)
    came: float = field(default_factory=time.monotonic)  # seconds


class Batcher(Generic[T, R]):
    """Gathers items from any thread or event loop and works on them in batches, in one thread of its own.

    Nobody waits for a batch to fill: whenever the thread is free it takes what is ready, so that one request alone is
    answered at once and a hundred at a time share the price of a batch. Items are worked on in the order in which they
    came.

    >>> with Batcher(lambda numbers: [2 * number for number in numbers], most=8) as doubling:
    ...     asyncio.run(doubling.submit(21))
    42

    Args:
        work: from items to as many results, in their order; an exception in a result's place is raised for its
            submitter alone, one that ``work`` raises for the whole batch. It runs in the batcher's thread.
        most: items of a batch; 1 works.
        depth: items that may wait; the next one is refused.
        linger: seconds that the first item of a batch may wait for others; 0 waits for nobody.
        lull: seconds without a newcomer after which a batch begins though others may still come: as many as there were
            at the end of the last one, in it and waiting. They come back one by one, and without a lull the first of
            them, or those who had just missed a batch, would be one of their own at the price of a whole one. It costs
            one who comes alone nothing.
        name: of the thread.

    Raises:
        UsageError: a number is out of range.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Sequence[R | Exception]],
        *,
        most: int = 32,
        depth: int = 256,
        linger: float = 0.0,
        lull: float = 0.0,
        name: str = "batcher",
    ) -> None:
        if most < 1 or depth < 1 or not (0 <= linger < math.inf and 0 <= lull < math.inf):
            raise UsageError(
                f"most={most}, depth={depth}, linger={linger}, lull={lull}; wanted are at least 1, at least 1, and "
                "0 seconds or more"
            )
        self._work = work
        self._most = most
        self._depth = depth
        self._linger = linger
        self._lull = lull
        self._askers = 0  # at the end of the last batch: items in it, and those that waited
        self._queue: deque[_Entry[T, R]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._sizes: Counter[int] = Counter()
        self._dropped = self._refused = 0
        self._seconds = _FIRST_GUESS  # that a batch takes
        self._total = 0.0  # seconds that all took
        self._began: float | None = None  # when the batch at work was begun; None where none is
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def stats(self) -> BatchStats:
        """What was done so far, all numbers of one moment."""
        with self._changed:
            return BatchStats(
                batches=self._sizes.total(),
                items=sum(size * count for size, count in self._sizes.items()),
                dropped=self._dropped,
                refused=self._refused,
                waiting=len(self._queue),
                sizes=MappingProxyType(dict(sorted(self._sizes.items()))),
                seconds=self._total,
            )

    @property
    def alive(self) -> bool:
        """Whether there is still somebody at work; once false, it stays so."""
        return self._thread.is_alive()

    @property
    def at_work(self) -> float:
        """Seconds that the present batch has taken by now; 0 where there is none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    async def submit(self, item: T) -> R:
        """The result for the item. A caller who is cancelled before its batch has begun costs nothing more.

        Raises:
            BusyError: as many as may wait do so, or the batcher is closed.
            Exception: what ``work`` said or raised.
        """
        return await asyncio.wrap_future(self.enqueue(item))

    def enqueue(self, item: T) -> Future[R]:
        """The same for callers without an event loop; to cancel the future gives the item up.

        Raises:
            BusyError: as many as may wait do so, or the batcher is closed.
        """
        entry: _Entry[T, R] = _Entry(item)
        with self._changed:
            if self._closed:
                raise BusyError("the server is stopping and takes nothing more; ask another one, or try again later")
            if len(self._queue) >= self._depth:
                self._forget_the_cancelled()
            if len(self._queue) >= self._depth:
                self._refused += 1
                wait = self._estimate()
                raise BusyError(
                    f"{self._depth} requests are waiting already; try again in {math.ceil(wait)} s", retry_after=wait
                )
            self._queue.append(entry)
            self._changed.notify()
        return entry.future

    def close(self) -> None:
        """Takes nothing more, answers what is waiting, and returns when that is done. It may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            self._answer(batch)
            del batch  # nothing is kept alive until the next one comes

    def _take(self) -> list[_Entry[T, R]]:
        """The next batch; empty where there will be none."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._queue and (patience := self._queue[0].came + self._linger - time.monotonic()) > 0:
                    self._changed.wait_for(lambda: len(self._queue) >= self._most or self._closed, patience)
                self._await_the_others()
                batch: list[_Entry[T, R]] = []
                while self._queue and len(batch) < self._most:
                    entry = self._queue.popleft()
                    if entry.future.set_running_or_notify_cancel():  # from here on it cannot be cancelled
                        batch.append(entry)
                    else:
                        self._dropped += 1
                if batch or (self._closed and not self._queue):
                    return batch

    def _await_the_others(self) -> None:
        """Waits for as many as there were the last time, until nobody has come for a while."""
        had, most = 0, min(self._askers, self._most)
        while self._lull and had < len(self._queue) < most and not self._closed:
            had = len(self._queue)
            self._changed.wait(self._lull)

    def _answer(self, batch: list[_Entry[T, R]]) -> None:
        began = self._began = time.monotonic()
        outcomes: Sequence[R | BaseException]
        try:
            outcomes = self._work([entry.item for entry in batch])
            if len(outcomes) != len(batch):
                raise RuntimeError(f"the work gave {len(outcomes)} results for {len(batch)} items; wanted one each")
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            outcomes = [error] * len(batch)
        self._began = None
        with self._changed:
            self._sizes[len(batch)] += 1
            self._askers = len(batch) + len(self._queue)
            spent = time.monotonic() - began
            self._total += spent
            first = self._sizes.total() == 1
            self._seconds = spent if first else _MEMORY * self._seconds + (1 - _MEMORY) * spent
        for entry, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                entry.future.set_exception(_raisable(outcome))
            else:
                entry.future.set_result(outcome)

    def _forget_the_cancelled(self) -> None:
        alive = [entry for entry in self._queue if not entry.future.cancelled()]
        self._dropped += len(self._queue) - len(alive)
        self._queue = deque(alive)

    def _estimate(self) -> float:
        """Seconds until what waits now will have been worked off, at least 1."""
        batches = 1 + math.ceil(len(self._queue) / self._most)  # one may be at work
        return min(max(batches * self._seconds, 1.0), _LONGEST_WAIT)


def _raisable(error: BaseException) -> BaseException:
    """The error in a form that a future can carry: StopIteration and what ends a thread would be lost on the way."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the work ended by {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
