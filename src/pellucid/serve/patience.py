"""How long to wait for a client before its request is whole, and to go on working after it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

R = TypeVar("R")

_HEADER_SECONDS = 10.0


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a bound that it lacks: a connection on which no request is under way must bring a whole
    one's headers in time, however steadily its bytes drip. ``uvicorn.Config(app, http=PatientProtocol)`` uses it.
    """

    header_seconds: float = _HEADER_SECONDS  # a subclass may have its own
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes have come: of headers, or of the body of a request that is under way."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._forget()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """A request has been answered; another one may follow, whose headers may have come already."""
        super().on_response_complete()
        self._forget()
        if self.conn.trailing_data[0]:
            self._watch()

    def _watch(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        at_work = cycle is not None and not cycle.response_complete
        if at_work or self.transport.get_protocol() is not self:  # or a WebSocket has taken the connection over
            self._forget()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


async def while_connected(request: Request, work: Coroutine[Any, Any, R]) -> R:
    """The result of the work, which is cancelled once the client has gone: nobody would read the answer.

    Args:
        request: its body must have been read.

    Raises:
        ClientDisconnect: the client left before the work was done.
        Exception: what the work raised.
    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for item in (task, leaving):
            item.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
