"""Manners: what pages need computed gives way to requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SHARE = 0.04  # of the time that such work may take where requests are being answered
_LONGEST = 2.0  # seconds of one rest


class Manners:
    """Called between pieces of work: where requests were answered meanwhile, it sleeps until the work had its share.

    Where nobody asks anything, work goes on at once.

    Args:
        answered: how many requests have been answered so far.
        spent: seconds of processor time that the thread which asks has used.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        answered: Callable[[], int],
        *,
        spent: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._answered = answered
        self._spent = spent
        self._sleep = sleep
        self._last = threading.local()

    def __call__(self) -> None:
        """Rests, or does not."""
        spent, answered = self._spent(), self._answered()
        began, before = getattr(self._last, "look", (spent, answered))
        if answered != before:
            self._sleep(min(_LONGEST, (spent - began) * (1 / _SHARE - 1)))
        self._last.look = spent, self._answered()
