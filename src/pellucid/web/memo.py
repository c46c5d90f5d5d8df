"""What is shown to many is found out once: answers kept for a while, and whoever asks meanwhile waits for the same."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

MOST = 64  # answers that are kept


class Memo:
    """Keeps the answers that were asked for last. Ask from one event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, asyncio.Future[Any]]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Any]], *, seconds: float = float("inf")) -> Any:
        """The answer under the key, made where there is none that is young enough; an error is told and not kept.

        Args:
            seconds: how old an answer may be; any age where it can never change.
        """
        at, found = self._kept.get(key, (0.0, None))
        if found is None or (found.done() and (time.monotonic() - at > seconds or _failed(found))):
            found = asyncio.ensure_future(make())
            self._kept[key] = (time.monotonic(), found)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return await asyncio.shield(found)  # a viewer who leaves takes nobody's answer away

    def forget(self, key: Hashable) -> None:
        """The answer is no longer true."""
        self._kept.pop(key, None)


def _failed(found: asyncio.Future[Any]) -> bool:
    return found.cancelled() or found.exception() is not None
