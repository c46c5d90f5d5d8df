"""What is slow to look up, looked up now and then: whoever asks in between is told what was seen last."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pellucid.errors import PellucidError

T = TypeVar("T")

SHARE = 0.05  # of one core's time that looking may take: what takes long is looked up more rarely
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """What a look has brought."""

    value: T | None  # None where it failed, or takes too long
    error: str  # why it failed; empty where it did not
    at: float  # Unix time at which it began
    seconds: float  # that it took


class Cached(Generic[T]):
    """Looks at most every so many seconds, in a thread of its own, and only where somebody asks.

    >>> cached = Cached(lambda: 42, every=60.0)
    >>> cached.get(patience=5.0).value
    42
    >>> cached.close()

    Args:
        look: what is slow; what it raises is told, and is nobody else's trouble.
        every: seconds from the beginning of one look to that of the next, at least.
        overdue: seconds after which a look that has not ended counts as failed, until it ends.
        name: of what is looked at, for the messages.
    """

    def __init__(
        self, look: Callable[[], T], *, every: float, overdue: float = float("inf"), name: str = "the value"
    ) -> None:
        self._look = look
        self._every = every
        self._overdue = overdue
        self._name = name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._next = 0.0
        self._seen: Seen[T] | None = None
        self._closed = False

    def get(self, patience: float = 0.0) -> Seen[T] | None:
        """What was seen last; None where nothing was yet.

        Args:
            patience: seconds to wait for a look that has just begun.
        """
        with self._lock:
            thread, now = self._thread, time.monotonic()
            if thread is None and now >= self._next and not self._closed:
                self._began = now
                thread = self._thread = threading.Thread(target=self._run, name="pellucid-metrics", daemon=True)
                thread.start()
        if thread is not None:
            thread.join(max(0.0, self._began + patience - time.monotonic()))
        with self._lock:
            spent = time.monotonic() - self._began
            if self._thread is not None and spent > self._overdue:
                return Seen(None, f"{self._name} has not answered for {spent:.0f} s", time.time() - spent, spent)
            return self._seen

    def close(self, patience: float = 5.0) -> None:
        """Begins no look any more, and waits for the one that is under way."""
        with self._lock:
            self._closed, thread = True, self._thread
        if thread is not None:
            thread.join(patience)

    def _run(self) -> None:
        at, began = time.time(), time.monotonic()
        value, error = None, ""
        try:
            value = self._look()
        except PellucidError as known:
            error = str(known)
        except Exception as unknown:  # noqa: BLE001 - a metric that fails must not take the others with it
            error = f"{type(unknown).__name__}; the log says more"
            if self._seen is None or self._seen.error != error:
                _LOG.error("looking at %s failed", self._name, exc_info=unknown)
        spent = time.monotonic() - began
        with self._lock:
            self._seen = Seen(value, error, at, spent)
            self._next = began + max(self._every, spent / SHARE)
            self._thread = None
