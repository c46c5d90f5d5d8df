"""The cache: what many ask for is computed once, and kept for all of them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")

PATIENCE = 0.2  # seconds that a page waits for a value before it is shown without


@dataclass(slots=True, eq=False)
class _Entry:
    value: Any = None
    began: float | None = None  # seconds of the clock when computing the value began; None where there is none yet
    spent: float = 0.0  # seconds that it took
    coming: asyncio.Task[Any] | None = None  # that computes another one


class Cache:
    """Values by key, those that were asked for last; each is computed by one at a time. For one event loop.

    Who asks for a value that is too old waits for another one, or gets the old one while another one is computed
    (*stale*). In the second way a value takes at most a share of the time, however many ask: with a share of 2 %, one
    that takes a second is kept for 50.

    >>> async def show() -> list[int]:
    ...     cache, calls = Cache(), []
    ...     async def work() -> int:
    ...         calls.append(1)
    ...         return len(calls)
    ...     return [await cache.get("a", work), await cache.get("a", work), await cache.get("a", work, seconds=0)]
    >>> asyncio.run(show())
    [1, 1, 2]

    Args:
        most: values that are kept, 1 or more.
        share: of the time that a value may take where it is asked for stale, 0..1.
        clock: seconds that only grow.
    """

    def __init__(self, most: int = 200, share: float = 0.02, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._share = share
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    async def get(
        self, key: Hashable, work: Callable[[], Awaitable[T]], *, seconds: float = float("inf"), stale: bool = False
    ) -> T:
        """The value of the key.

        Args:
            seconds: how old it may be; any age where it can never change.
            stale: takes one that is older, while another one is computed.

        Raises:
            Exception: what the work raised; it is not kept.
        """
        entry = self._entry(key)
        if entry.began is not None:
            lasts = max(seconds, entry.spent / self._share) if stale else seconds
            if self._clock() - entry.began < lasts:
                return cast(T, entry.value)
        if entry.coming is None:
            entry.coming = asyncio.create_task(self._compute(key, entry, work))
            entry.coming.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may wait for it
        if stale and entry.began is not None:
            return cast(T, entry.value)
        return cast(T, await asyncio.shield(entry.coming))  # who leaves takes nobody's answer away

    async def glimpse(
        self, key: Hashable, work: Callable[[], Awaitable[T]], *, seconds: float, patience: float = PATIENCE
    ) -> T | None:
        """A stale value for who does not wait long: None where the first one takes longer; it comes all the same.

        Args:
            patience: seconds.
        """
        task = asyncio.ensure_future(self.get(key, work, seconds=seconds, stale=True))
        done, _ = await asyncio.wait([task], timeout=patience)
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            return None
        return task.result()

    def peek(self, key: Hashable) -> Any:
        """The value that is kept, of whatever age; None where there is none."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def forget(self, key: Hashable) -> None:
        """The value is no longer true, nor is one that is being computed."""
        self._entries.pop(key, None)

    def _entry(self, key: Hashable) -> _Entry:
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
        return entry

    async def _compute(self, key: Hashable, entry: _Entry, work: Callable[[], Awaitable[T]]) -> T:
        began = self._clock()
        try:
            value = await work()
            entry.value, entry.began, entry.spent = value, began, self._clock() - began
            return value
        finally:
            entry.coming = None
            if entry.began is None and self._entries.get(key) is entry:
                del self._entries[key]  # what fails takes no other's place
