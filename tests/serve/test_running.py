"""One port and an orderly end."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pellucid.errors import UsageError
from pellucid.serve.running import run_server

from ..conftest import PATIENCE


@pytest.fixture
def app() -> FastAPI:
    """GET / answers; GET /last is asked to end while it is under way, and answers after a moment."""
    made = FastAPI()

    @made.get("/")
    def root() -> dict[str, int]:
        return {"process": os.getpid()}

    @made.get("/last")
    def last() -> dict[str, int]:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.3)
        return {"process": os.getpid()}

    return made


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where these tests run in the background and were told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_answers_at_the_address_that_it_tells_and_what_is_under_way_at_the_end(app: FastAPI, host: str) -> None:
    answers: list[Any] = []

    def ask(url: str) -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            answers.extend(client.get(f"{url}{path}").json() for path in ("/", "/last"))

    asking: list[threading.Thread] = []

    def started(url: str) -> None:
        asking.append(threading.Thread(target=ask, args=(url,)))
        asking[0].start()

    with pytest.raises(KeyboardInterrupt):
        run_server(app, host, 0, started=started)
    asking[0].join(PATIENCE)
    assert answers == [{"process": os.getpid()}] * 2


def test_a_port_that_is_taken_or_an_address_of_another_machine_is_refused(app: FastAPI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"nobody can listen on 127.0.0.1:{port}: .*; choose another --port"):
            run_server(app, "127.0.0.1", port)
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(UsageError, match="nobody can listen on"):
            run_server(app, host, 0)
