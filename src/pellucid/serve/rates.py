"""How often each caller may ask: a token bucket for each, filled as time goes by."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pellucid.errors import RateError

_MOST_BUCKETS = 10_000  # above it, those that are full again are forgotten: a full bucket and none are the same


@dataclass(slots=True)
class _Bucket:
    """How many requests a caller may make at the time ``at``."""

    left: float
    at: float  # seconds of the clock
    per_minute: int


class Rates:
    """Counts requests for each caller, in this process.

    A bucket holds a minute's worth: so many may come at once, after which they may come evenly. In any minute no more
    than twice the limit pass, in an hour no more than 61 times the limit.

    >>> rates = Rates(clock=lambda: 0.0)
    >>> rates.take("ann", 1)
    >>> rates.take("ann", 1)
    Traceback (most recent call last):
        ...
    pellucid.errors.RateError: 'ann' may ask once a minute and has; try again in 60 s

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, per_minute: int | None, cost: int = 1) -> None:
        """Counts a request of that caller.

        Args:
            name: of the caller.
            per_minute: the caller's limit; None counts nothing.
            cost: how many requests it counts as, such as the number of its images; where that is more than a whole
                bucket, a full one pays for it.

        Raises:
            RateError: the caller has used up the limit; it says when there is enough again. Nothing was counted.
        """
        if per_minute is None:
            return
        wanted = min(cost, per_minute)
        with self._lock:
            now = self._clock()
            bucket = self._filled(name, per_minute, now)
            if bucket.left < wanted:
                wait = (wanted - bucket.left) * 60 / per_minute
                often = "once a minute" if per_minute == 1 else f"{per_minute} times a minute"
                text = f"{name!r} may ask {often} and has; try again in {math.ceil(wait)} s"
                raise RateError(text, retry_after=wait)
            bucket.left -= wanted

    def _filled(self, name: str, per_minute: int, now: float) -> _Bucket:
        """The caller's bucket as it is now; a caller whose limit has changed begins with a new one."""
        bucket = self._buckets.get(name)
        if bucket is None or bucket.per_minute != per_minute:
            if len(self._buckets) >= _MOST_BUCKETS:
                self._buckets = {key: item for key, item in self._buckets.items() if now - item.at < 60}
            bucket = self._buckets[name] = _Bucket(per_minute, now, per_minute)
        bucket.left = min(bucket.left + max(now - bucket.at, 0) * per_minute / 60, per_minute)
        bucket.at = now
        return bucket
