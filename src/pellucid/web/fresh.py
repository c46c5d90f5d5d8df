"""Fresh values: what pages show again and again, computed once for all who look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")

PATIENCE = 0.2  # seconds that a page waits for a value before it is shown without
_SHARE = 0.02  # of one processor's time that a value may take: who asks while it is older than that sees the old one
_MOST = 200  # values that are kept


@dataclass(slots=True)
class _Kept:
    value: Any
    made: float  # seconds of the clock
    spent: float  # seconds that it took


class Fresh:
    """Values by key; each is computed by one at a time, and again where it is old and somebody asks.

    However many pages are open, a value is computed at most once in so many seconds, and takes at most 2 % of the time:
    one that takes a second is kept for 50. For one event loop.

    >>> async def show() -> list[int]:
    ...     fresh, calls = Fresh(), []
    ...     async def work() -> int:
    ...         calls.append(1)
    ...         return len(calls)
    ...     return [await fresh.get("a", work, 60), await fresh.get("a", work, 60), await fresh.get("b", work, 60)]
    >>> asyncio.run(show())
    [1, 1, 2]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Hashable, _Kept] = {}
        self._coming: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, work: Callable[[], Awaitable[T]], seconds: float = 5.0) -> T:
        """The value of that key: the old one while a new one is being computed, so that nobody waits twice.

        Args:
            seconds: for which a value counts as fresh.

        Raises:
            Exception: what the work raised, where there is no older value.
        """
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept.made < max(seconds, kept.spent / _SHARE):
            return cast(T, kept.value)
        task = self._coming.get(key)
        if task is None:
            task = self._coming[key] = asyncio.create_task(self._make(key, work))
            task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may wait for it
        if kept is not None:
            return cast(T, kept.value)
        return cast(T, await asyncio.shield(task))  # others wait for it too

    async def glimpse(
        self, key: Hashable, work: Callable[[], Awaitable[T]], seconds: float = 5.0, *, patience: float = PATIENCE
    ) -> T | None:
        """The same for who does not wait long: None where the first value takes longer; it comes all the same."""
        task = asyncio.ensure_future(self.get(key, work, seconds))
        done, _ = await asyncio.wait([task], timeout=patience)
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            return None
        return task.result()

    def drop(self, *keys: Hashable) -> None:
        """Forgets values, because something was changed that they tell of."""
        for key in keys:
            self._kept.pop(key, None)
            self._coming.pop(key, None)

    async def _make(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        began = self._clock()
        me = asyncio.current_task()
        try:
            value = await work()
            if self._coming.get(key) is me:  # else it was dropped meanwhile
                self._kept[key] = _Kept(value, self._clock(), self._clock() - began)
                while len(self._kept) > _MOST:
                    del self._kept[min(self._kept, key=lambda name: self._kept[name].made)]
            return value
        finally:
            if self._coming.get(key) is me:
                del self._coming[key]
