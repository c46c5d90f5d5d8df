"""The doorman: who asks for pictures and rows, many times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from pellucid.errors import AccessError
from pellucid.types import Right
from pellucid.web.cache import Cache
from pellucid.web.desk import Desk
from pellucid.web.viewers import Viewer

_SECONDS = 1.0  # for which a session is not looked up again: a screen full of pictures is one question
_KNOWN = 256  # sessions that are known at once


class Doorman:
    """Says who asks for a picture or for rows, and remembers it for a moment.

    Args:
        desk: whose viewers may look.
        clock: seconds that only grow.
    """

    def __init__(self, desk: Desk, clock: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._known = Cache(_KNOWN, clock=clock)

    async def admit(self, headers: Mapping[str, str]) -> Viewer:
        """Whoever has logged in and may look.

        Raises:
            AccessError: he has to log in.
            RightError: he may not look.
        """
        # All that a viewer is told apart by: the session, and on an open server where the request comes from.
        key = "\n".join(headers.get(name, "") for name in ("cookie", "host", "origin"))
        return await self._known.get(key, lambda: self._see(headers), seconds=_SECONDS)

    async def _see(self, headers: Mapping[str, str]) -> Viewer:
        viewer = await self._desk.viewers.see(headers)
        if viewer is None:
            raise AccessError("this is shown to those who have logged in; open /login")
        viewer.caller.need(Right.PREDICT)
        return viewer
