"""What takes long to make and is shown to many: made once, beside the pages, and kept for all viewers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from pellucid.flow.live import LiveModel

T = TypeVar("T")

_SHARE = 0.05  # of the time that making anew may take


class Made(Generic[T]):
    """Something made of the live model; ask from one event loop.

    Args:
        make: makes it.
        state: what it follows from, where it is to be made anew when that has changed; None where only another model
            makes another one.
        rests: seconds at least between one making and the next.
    """

    def __init__(
        self,
        make: Callable[[LiveModel], T],
        *,
        state: Callable[[LiveModel], object] | None = None,
        rests: float = 30.0,
    ) -> None:
        self._make = make
        self._state = state
        self._rests = rests
        self._maker = ThreadPoolExecutor(1, "pellucid-make")
        self._live: LiveModel | None = None
        self._current: Future[tuple[T, object]] | None = None
        self._coming: Future[tuple[T, object] | None] | None = None
        self._looks_at = 0.0

    async def of(self, live: LiveModel) -> T:
        """What was made last, at once; it is waited for where the model is new. Errors are those of making it."""
        if self._live is not live or self._current is None:
            self._live, self._coming = live, None
            self._current = self._maker.submit(self._timed, live)
        try:
            found, state = await asyncio.wrap_future(self._current)
        except BaseException:
            self._live = None
            raise
        if self._live is live and self._state is not None:
            self._renew(live, state)
        return found

    def _renew(self, live: LiveModel, state: object) -> None:
        """Takes over what was made meanwhile, and begins to make it anew where something has changed."""
        if self._coming is not None:
            if not self._coming.done():
                return
            made = None if self._coming.exception() else self._coming.result()
            if made is not None:
                self._current = Future()
                self._current.set_result(made)
            self._coming = None
        elif time.monotonic() >= self._looks_at:
            self._coming = self._maker.submit(self._again, live, state)

    def _again(self, live: LiveModel, state: object) -> tuple[T, object] | None:
        if self._state is not None and self._state(live) == state:
            self._looks_at = time.monotonic() + self._rests
            return None
        return self._timed(live)

    def _timed(self, live: LiveModel) -> tuple[T, object]:
        started = time.monotonic()
        state = None if self._state is None else self._state(live)
        found = self._make(live)
        now = time.monotonic()
        self._looks_at = now + max(self._rests, (now - started) / _SHARE)
        return found, state
