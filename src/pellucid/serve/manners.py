"""Manners: what takes long and nobody waits for gives way to requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Manners:
    """Called between pieces of work: the more of the time answers took meanwhile, the longer it rests.

    Where nobody asks anything, work goes on at once; where requests are answered without a pause, it takes its share
    of a core; else in between.

    Args:
        busy: seconds that answering has taken so far.
        share: 0..1, of a core that the work may take where requests take all the time there is.
        spent: seconds of processor time that the thread which asks has used.
        clock: seconds that only grow.
        sleep: waits for so many seconds; until `close` where None.
    """

    def __init__(
        self,
        busy: Callable[[], float],
        share: float,
        *,
        spent: Callable[[], float] = time.thread_time,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._busy = busy
        self._share = share
        self._spent = spent
        self._clock = clock
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._last = threading.local()

    def __call__(self) -> None:
        """Rests, or does not."""
        now = self._spent(), self._busy(), self._clock()
        spent, busy, passed = (new - old for new, old in zip(now, getattr(self._last, "look", now), strict=True))
        self._last.look = now
        if busy > 0 and passed > 0:
            self._sleep(spent * (1 / self._share - 1) * min(1.0, busy / passed))

    def close(self) -> None:
        """Ends all rests, and those to come: the server is to end."""
        self._closed.set()
