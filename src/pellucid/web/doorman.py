"""The doorman: who asks for pictures and rows, many times a second."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from pellucid.errors import AccessError
from pellucid.types import Right
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
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Viewer]] = OrderedDict()

    async def admit(self, headers: Mapping[str, str]) -> Viewer:
        """Whoever has logged in and may look.

        Raises:
            AccessError: he has to log in.
            RightError: he may not look.
        """
        # All that a viewer is told apart by: the session, and on an open server where the request comes from.
        key = "\n".join(headers.get(name, "") for name in ("cookie", "host", "origin"))
        until, viewer = self._known.get(key, (0.0, None))
        if viewer is None or self._clock() >= until:
            viewer = await self._desk.viewers.see(headers)
            if viewer is None:
                raise AccessError("this is shown to those who have logged in; open /login")
            viewer.caller.need(Right.PREDICT)
            self._known[key] = (self._clock() + _SECONDS, viewer)
            self._known.move_to_end(key)
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return viewer
