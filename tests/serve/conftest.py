"""A small app with the server's edges, and a real server for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from pellucid.serve.answers import add_answers
from pellucid.serve.patience import PatientProtocol
from pellucid.serve.uploads import UploadLimits, Uploads

Ask = Callable[..., httpx.Response]
Picture = Callable[..., bytes]
Serve = Callable[[FastAPI], Any]


def upload_app(limits: UploadLimits) -> FastAPI:
    """POST / tells what was read."""
    app = FastAPI()
    uploads = app.state.uploads = Uploads(limits)
    add_answers(app)

    @app.post("/")
    async def read(request: Request) -> dict[str, Any]:
        received = await uploads.read(request)
        images = [[item.field, item.media_type, item.width, item.height, len(item.data)] for item in received.images]
        return {"images": images, "texts": dict(received.texts)}

    return app


@pytest.fixture
def ask() -> Ask:
    """ask(app, "POST", "/", content=..., headers=...): the answer of the app, without a network."""

    def run(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **options)

        return asyncio.run(once())

    return run


class _Impatient(PatientProtocol):
    header_seconds = 0.2


@pytest.fixture
def serve() -> Serve:
    """``with serve(app) as port``: a real server on the loopback, stopped at the end of the block."""

    @contextmanager
    def run(app: FastAPI) -> Iterator[int]:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=_Impatient, ws="none", log_config=None, timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)
            listener.close()
            assert not thread.is_alive()

    return run
