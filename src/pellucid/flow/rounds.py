"""Rounds: the same again and again, with patience for what is down."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from pellucid.errors import ConcurrencyError, PellucidError, StorageError

_FIRST_PAUSE = 0.2  # seconds before the first new try; each pause is twice the one before
_LONGEST_PAUSE = 30.0  # seconds


def go_round(
    act: Callable[[], bool],
    *,
    stop: threading.Event,
    drain: bool,
    trouble: Callable[[PellucidError], None],
    wait: float = 0.0,
) -> None:
    """Acts until it is told to stop.

    Args:
        act: says whether there was something to do. Where it raises ConcurrencyError or StorageError it is called
            again, later and later.
        stop: set it to end after the act in hand.
        drain: ends where there was nothing to do, and raises the trouble instead of trying again.
        trouble: told of each fault that is to be overcome by trying again.
        wait: seconds to the next act where there was nothing to do.
    """
    pause = _FIRST_PAUSE
    while not stop.is_set():
        try:
            if not act():
                if drain:
                    return
                stop.wait(wait)
            pause = _FIRST_PAUSE
        except (ConcurrencyError, StorageError) as error:
            if drain:
                raise
            trouble(error)
            stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that many do not come back at once
            pause = min(2 * pause, _LONGEST_PAUSE)
