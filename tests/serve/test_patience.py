"""Work that nobody waits for any longer is given up. (Slow headers: with the uploads, on raw sockets.)"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect

from pellucid.serve.answers import add_answers
from pellucid.serve.batcher import Batcher
from pellucid.serve.patience import while_connected

from .conftest import Serve


def request_that_ends(after: asyncio.Event) -> Request:
    async def receive() -> dict[str, str]:
        await after.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "GET", "path": "/", "headers": []}, receive)


def test_work_that_is_done_is_the_answer() -> None:
    async def run() -> None:
        async def work() -> int:
            return 7

        async def fail() -> int:
            raise KeyError("x")

        assert await while_connected(request_that_ends(asyncio.Event()), work()) == 7
        with pytest.raises(KeyError):
            await while_connected(request_that_ends(asyncio.Event()), fail())
        assert len(asyncio.all_tasks()) == 1, "nothing is left behind"

    asyncio.run(run())


def test_work_for_a_client_that_has_gone_is_cancelled() -> None:
    async def run() -> None:
        gone, cancelled = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            gone.set()
            try:
                await asyncio.sleep(3600)
            finally:
                cancelled.set()

        with pytest.raises(ClientDisconnect):
            await while_connected(request_that_ends(gone), work())
        assert cancelled.is_set()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_a_client_that_hangs_up_is_dropped_from_the_queue_before_the_model_runs(serve: Serve) -> None:
    """On a real server: the model is at work for one client, a second one hangs up, a third one is answered."""
    at_work, go_on = threading.Semaphore(0), threading.Event()
    seen: list[list[str]] = []

    def model(items: list[str]) -> list[str]:
        seen.append(items)
        at_work.release()
        assert go_on.wait(30)
        return items

    app = FastAPI()
    add_answers(app)
    with Batcher(model, most=8) as batcher:

        @app.get("/{name}")
        async def answer(name: str, request: Request) -> str:
            return await while_connected(request, batcher.submit(name))

        def wait_for(waiting: int, dropped: int) -> None:
            deadline = threading.Event()
            for _ in range(3000):
                stats = batcher.stats
                if (stats.waiting, stats.dropped + cancelled(batcher)) == (waiting, dropped):
                    return
                deadline.wait(0.01)
            raise AssertionError(batcher.stats)

        with serve(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            answers: list[str] = []
            first = threading.Thread(target=lambda: answers.append(client.get("/first").json()))
            first.start()
            assert at_work.acquire(timeout=30)
            with socket.create_connection(("127.0.0.1", port)) as leaving:
                leaving.sendall(b"GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n")
                wait_for(1, 0)
            wait_for(1, 1)
            third = threading.Thread(target=lambda: answers.append(client.get("/third").json()))
            third.start()
            wait_for(2, 1)
            go_on.set()
            first.join(30)
            third.join(30)
    assert sorted(answers) == ["first", "third"]
    assert seen == [["first"], ["third"]]
    assert batcher.stats.dropped == 1


# Raw sockets: what the parser leaves to us

BEGIN = b"POST /say HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = BEGIN + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = b"x" * 10_000


def saying() -> FastAPI:
    """An app that says what it was sent."""
    app = FastAPI()

    @app.post("/say")
    async def say(request: Request) -> dict[str, object]:
        body = await request.body()
        return {"body": body.decode(), "names": sorted(request.headers)}

    return app


def talk(port: int, *parts: bytes) -> bytes:
    """All that the server answers until it closes the connection; it may do so before all is sent."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(30)
        received = b""
        try:
            for part in parts:
                client.sendall(part)
            while data := client.recv(65536):
                received += data
        except (ConnectionResetError, BrokenPipeError):  # closed with something unread
            pass
    return received


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (BEGIN + b"X-Long: ", LONG),
        (BEGIN, b"X-Long: " + LONG + b"\r\n"),
        (b"GET /", LONG),
        (CHUNKED + b"1;", LONG),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Long: " + LONG + b"\r\n"),
    ],
    ids=["a header", "headers", "a path", "an extension of a chunk", "trailers"],
)
def test_whatever_is_no_body_has_a_bound(serve: Serve, begin: bytes, more: bytes) -> None:
    sent = 0
    with serve(saying()) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(begin)
        with contextlib.suppress(OSError):
            while sent < 50_000_000:
                client.sendall(more)
                sent += len(more)
    assert sent < 50_000_000, "the server reads no further"


def test_headers_that_are_too_long_are_answered(serve: Serve) -> None:
    with serve(saying()) as port:
        answer = talk(port, BEGIN + b"X-Long: ", b"x" * 65_536)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"too long" in answer
        assert talk(port, BEGIN + b"Connection: close\r\nX-Long: " + b"x" * 60_000 + b"\r\n\r\n").startswith(
            b"HTTP/1.1 200 "
        )


def test_large_bodies_do_not_count_as_headers(serve: Serve) -> None:
    body = b"y" * 1_000_000
    with serve(saying()) as port:
        whole = BEGIN + f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        assert talk(port, whole, body).startswith(b"HTTP/1.1 200 ")
        chunk = b"186a0\r\n" + b"z" * 100_000 + b"\r\n"
        pieces = CHUNKED.replace(b"Host", b"Connection: close\r\nHost")
        assert talk(port, pieces, *[chunk] * 20, b"0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /say HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"POST /say HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", b"400"),
        (b"POST /say HTTP/1.0\r\n\r\n", b"200"),
        (b"POST /say HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST /say HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST /say HTTP/1.1\r\nHost : a\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
    ],
    ids=["no host", "two hosts", "HTTP/1.0", "two lengths", "two other lengths", "a space", "TLS"],
)
def test_requests_that_two_could_read_in_two_ways_are_refused(serve: Serve, head: bytes, status: bytes) -> None:
    with serve(saying()) as port:
        assert talk(port, head).split(b" ", 2)[1] == status


def test_what_comes_behind_a_body_is_no_header_of_this_request_nor_of_the_next(serve: Serve) -> None:
    trailed = CHUNKED + b"1\r\nx\r\n0\r\nX-Trailer: 1\r\nAuthorization: Bearer stolen\r\n\r\n"
    last = BEGIN + b"Connection: close\r\nContent-Length: 1\r\n\r\ny"
    with serve(saying()) as port:
        answers = talk(port, trailed + last)
    assert answers.count(b"HTTP/1.1 200") == 2
    assert b'{"body":"x","names":["host","transfer-encoding"]}' in answers
    assert b'{"body":"y","names":["connection","content-length","host"]}' in answers


def test_requests_that_come_at_once_are_answered_in_their_order(serve: Serve) -> None:
    requests = [BEGIN + b"Content-Length: 1\r\n\r\n" + str(number).encode() for number in range(9)]
    with serve(saying()) as port:
        answers = talk(port, b"".join(requests) + BEGIN[:20])  # and one that never comes
    bodies = [part.split(b'"', 1)[0] for part in answers.split(b'"body":"')[1:]]
    assert bodies == [str(number).encode() for number in range(9)]


def cancelled(batcher: Batcher[str, str]) -> int:
    return sum(entry.future.cancelled() for entry in list(batcher._queue))
