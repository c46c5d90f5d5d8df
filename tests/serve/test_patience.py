"""Work that nobody waits for any longer is given up. (Slow headers: with the uploads, on raw sockets.)"""

from __future__ import annotations

import asyncio
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


def cancelled(batcher: Batcher[str, str]) -> int:
    return sum(entry.future.cancelled() for entry in list(batcher._queue))
