"""A heartbeat: renews a lease while the work under it is being done, and notes when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from pellucid.errors import ConcurrencyError, StorageError


class Heartbeat:
    """Beats four times a lease, and at least every five seconds, from entry to exit.

    Args:
        renew: renews the lease with what is being done now; False where the lease is somebody else's.
        lease: seconds.
        what: what is held, for the message: "job 3".
    """

    def __init__(self, renew: Callable[[str], bool], lease: float, what: str) -> None:
        self._renew = renew
        self._lease = lease
        self._what = what
        self._message = "starting"
        self._over = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._beat, name=f"pellucid-lease-{what}", daemon=True)

    def say(self, message: str) -> None:
        """What is being done now; shown with the next beat.

        Raises:
            ConcurrencyError: it was cancelled or taken over; going on would be for nothing.
        """
        if self._lost:
            raise ConcurrencyError(f"{self._what} was cancelled or taken over")
        self._message = message

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(min(self._lease / 4, 5.0)):
            with suppress(StorageError, ConcurrencyError):
                if not self._renew(self._message):
                    self._lost = True
                    return
