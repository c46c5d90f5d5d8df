"""Images out of requests: as clients send them, and as attackers do."""

from __future__ import annotations

import asyncio
import base64
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Request

from pellucid.errors import BusyError, RequestError, UsageError
from pellucid.features.decode import Limits
from pellucid.serve.uploads import UploadLimits, Uploads

from .conftest import Ask, Picture, Serve, upload_app

LIMITS = UploadLimits(body=100_000, image=Limits(20_000, 10_000), images=3, pixels=2_000, texts=2, text=50)
PNG = {"content-type": "image/png"}


def bomb(side: int) -> bytes:
    """A PNG of a few bytes whose header says that it is side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_one_image_is_the_same_in_every_form(ask: Ask, picture: Picture) -> None:
    data, app = picture("cat", 1), upload_app(LIMITS)
    facts = ["image/png", 24, 24, len(data)]
    for kind in ("image/png", "image/jpeg", "application/octet-stream", "IMAGE/PNG; x=y"):
        answer = ask(app, "POST", "/", content=data, headers={"content-type": kind})
        assert answer.json() == {"images": [["", *facts]], "texts": {}}, "the content counts, not what it is called"
    answer = ask(app, "POST", "/", files={"photo": ("/etc/passwd", data)}, data={"label": "cat"})
    assert answer.json() == {"images": [["photo", *facts]], "texts": {"label": "cat"}}
    answer = ask(app, "POST", "/", json={"image": base64.b64encode(data).decode(), "label": "cat"})
    assert answer.json() == {"images": [["image", *facts]], "texts": {"label": "cat"}}


def test_a_body_in_chunks_without_a_length(ask: Ask, picture: Picture) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in picture("cat", 1):
            yield bytes([byte])

    answer = ask(upload_app(LIMITS), "POST", "/", content=chunks(), headers=PNG)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({"content": b"", "headers": PNG}, 422, "empty"),
        ({"content": b"<html>", "headers": PNG}, 415, "not an image"),
        ({"content": b"x", "headers": {"content-type": "text/html"}}, 415, "wanted is image/*"),
        ({"content": b"x"}, 415, "wanted is image/*"),
        ({"data": {"a": "b"}}, 415, "x-www-form-urlencoded"),
        ({"content": b"x", "headers": {**PNG, "content-encoding": "gzip"}}, 415, "send it as it is"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "form"),
        ({"content": b"x", "headers": {**PNG, "content-length": "ten"}}, 400, "wanted is a number"),
        ({"content": b"x", "headers": {**PNG, "content-length": "9" * 5000}}, 413, "more than 100000 bytes"),
        ({"content": bytes(100_001), "headers": PNG}, 413, "more than 100000 bytes"),
        ({"content": bytes(20_001), "headers": PNG}, 413, "too large"),
        ({"content": bomb(101), "headers": PNG}, 413, "too many pixels: 101 x 101; at most 10000"),
        ({"content": bomb(2**31 - 1), "headers": PNG}, 413, "too many pixels"),
        ({"content": bomb(0), "headers": PNG}, 415, "0 x 0"),
        ({"files": [("a", ("x", bomb(40)))] * 2}, 413, "more than 2000 in all"),
        ({"files": [("a", ("x", bomb(1)))] * 4}, 413, "more than 3 images"),
        ({"files": [("a", ("x", bomb(1))), ("a", ("x", b"?"))]}, 415, "image 2 of 2"),
        ({"json": {"label": "cat"}}, 400, "holds no image"),
        ({"json": {"image": "/etc/passwd"}}, 400, "no base64"),
        ({"json": {"image": "https://example.org/x.png"}}, 400, "nothing is fetched"),
    ],
)
def test_what_is_refused_says_why(ask: Ask, options: dict[str, Any], status: int, says: str) -> None:
    answer = ask(upload_app(LIMITS), "POST", "/", **options)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert says in answer.json()["error"]


def test_a_stream_without_end_is_cut_off_at_the_limit(ask: Ask) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1_000_000:
            sent += 10_000
            yield bytes(10_000)

    answer = ask(upload_app(LIMITS), "POST", "/", content=endless(), headers=PNG)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert sent <= 450_000, "the limit, and three times as much that is thrown away"


def test_no_length_at_all() -> None:
    assert _read(LIMITS, [], headers=[]).status == 411  # type: ignore[union-attr]


def _read(
    limits: UploadLimits,
    messages: list[dict[str, Any]],
    headers: list[tuple[bytes, bytes]] | None = None,
    uploads: Uploads | None = None,
) -> Exception | None:
    """What the reading of these messages raises; after them the client is silent for ever."""

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(3600)
        raise AssertionError

    kind = [(b"content-type", b"image/png")]
    given = [(b"transfer-encoding", b"chunked")] if headers is None else headers
    scope = {"type": "http", "method": "POST", "path": "/", "headers": kind + given, "query_string": b""}

    async def run() -> Exception | None:
        try:
            await (uploads or Uploads(limits)).read(Request(scope, receive))
        except (RequestError, BusyError) as error:
            return error
        return None

    return asyncio.run(asyncio.wait_for(run(), 30))


def chunk(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


@pytest.mark.parametrize("quiet", [True, False])
def test_who_is_silent_or_never_done_is_cut_off(quiet: bool) -> None:
    limits = UploadLimits(quiet=0.05 if quiet else 60, total=60 if quiet else 0.05)
    error = _read(limits, [chunk(b"x"), chunk(b"")])
    assert isinstance(error, RequestError)
    assert error.status == 408
    assert "1 bytes came" in str(error)


def test_who_leaves_is_let_go() -> None:
    error = _read(LIMITS, [chunk(b"x"), {"type": "http.disconnect"}])
    assert isinstance(error, RequestError)
    assert (error.status, "left after 1 bytes" in str(error)) == (400, True)


def test_all_unfinished_bodies_together_are_bounded_and_let_go_of() -> None:
    uploads = Uploads(UploadLimits(held=15, body=100, quiet=0.05))

    async def stall(size: int, started: asyncio.Event) -> int | float:
        messages = [chunk(bytes(size))]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            started.set()
            await asyncio.sleep(3600)
            raise AssertionError

        headers = [(b"content-type", b"image/png"), (b"transfer-encoding", b"chunked"), (b"expect", b"100-continue")]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
        try:
            await uploads.read(Request(scope, receive))
        except RequestError as error:
            return error.status
        except BusyError as error:
            return error.retry_after
        return 0

    async def run() -> None:
        started = asyncio.Event()
        first = asyncio.create_task(stall(10, started))
        await started.wait()
        assert uploads.held == 10
        assert await stall(6, asyncio.Event()) == 5.0
        assert uploads.held == 10
        assert await first == 408
        assert uploads.held == 0

    asyncio.run(run())


@pytest.mark.parametrize("options", [{"body": 0}, {"quiet": -1.0}, {"total": float("nan")}])
def test_limits_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="wanted is more than 0"):
        UploadLimits(**options)


# A real server and raw sockets

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def _answer(connection: socket.socket) -> bytes:
    """All that the server sends until it closes the connection."""
    connection.settimeout(30)
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def test_a_client_that_drips_its_body_is_told_and_cut_off(serve: Serve) -> None:
    limits = UploadLimits(quiet=5, total=0.3)
    with serve(upload_app(limits)) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        for _ in range(3):
            slow.sendall(b"x")
            time.sleep(0.01)
        answer = _answer(slow)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")
    assert b"connection: close" in answer.lower()


def test_a_client_that_drips_its_headers_is_cut_off(serve: Serve) -> None:
    with serve(upload_app(LIMITS)) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(HEAD[:10])
        assert _answer(slow) == b""


def test_a_client_that_says_nothing_is_cut_off(serve: Serve) -> None:
    with serve(upload_app(LIMITS)) as port, socket.create_connection(("127.0.0.1", port)) as mute:
        assert _answer(mute) == b""


def test_slow_headers_of_a_second_request_are_cut_off_too(serve: Serve, picture: Picture) -> None:
    data = picture("cat", 1)
    with serve(upload_app(LIMITS)) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(HEAD + f"Content-Length: {len(data)}\r\n\r\n".encode() + data + HEAD[:20])
        answer = _answer(slow)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"HTTP/1.1") == 1


def test_slow_clients_keep_nobody_else_waiting(serve: Serve, picture: Picture) -> None:
    data = picture("cat", 1)
    with serve(upload_app(LIMITS)) as port:
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        for client in slow:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\nx")
        with socket.create_connection(("127.0.0.1", port)) as quick:
            request = HEAD + f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
            quick.sendall(request)
            assert b'"images":[["","image/png",24,24' in _answer(quick)
        for client in slow:
            client.close()


def test_a_body_that_is_too_large_gets_its_answer_and_not_a_reset(serve: Serve) -> None:
    limits = UploadLimits(body=1_000_000)
    with serve(upload_app(limits)) as port, socket.create_connection(("127.0.0.1", port)) as large:
        large.sendall(HEAD + b"Content-Length: 1500000\r\n\r\n" + bytes(1_500_000))
        assert _answer(large).startswith(b"HTTP/1.1 413 ")
    with serve(upload_app(limits)) as port, socket.create_connection(("127.0.0.1", port)) as polite:
        polite.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 1500000\r\n\r\n")
        assert _answer(polite).startswith(b"HTTP/1.1 413 "), "before a byte of the body was sent"
