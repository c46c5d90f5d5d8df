"""How long to wait for a client before its request is whole, and to go on working after it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

R = TypeVar("R")

_HEADER_SECONDS = 10.0
_HEADER_BYTES = 64 * 1024  # and at most one reading of the socket more


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with the bounds that it lacks. ``uvicorn.Config(app, http=PatientProtocol)`` uses it.

    A connection on which no request is under way must bring a whole one's headers in time, however steadily its bytes
    drip. Headers, and all else that is no body, are bounded; a request names one host; and what comes behind a body in
    chunks is no header of its request. (h11 sees to the latter three by itself, but takes far longer.)
    """

    header_seconds: float = _HEADER_SECONDS  # a subclass may have its own
    _deadline: asyncio.TimerHandle | None = None
    _in_head: bool = False  # a request has begun, and its headers are not complete
    _idle_bytes: int = 0  # that have come and completed nothing: neither headers nor a piece of a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes have come: of headers, or of the body of a request that is under way."""
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > _HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._forget()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or what looks like one after a body in chunks."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers of a request; what is raised here is answered with 400."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            raise ValueError(f"{hosts} Host headers; wanted is one")
        self._in_head, self._idle_bytes = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a request's body."""
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._idle_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request has been answered; another one may follow, whose headers may have begun to come already."""
        super().on_response_complete()
        self._forget()
        if self._in_head:
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
    leaving.add_done_callback(lambda _: task.cancel())
    try:
        return await task
    except asyncio.CancelledError:
        if leaving.done():
            raise ClientDisconnect from None
        raise
    finally:
        leaving.cancel()
        await asyncio.wait((leaving,))


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
