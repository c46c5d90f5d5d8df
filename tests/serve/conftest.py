"""A small app with the server's edges, a real server for it, and the whole server in this process."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from pellucid import Project
from pellucid.flow.tokens import create_token
from pellucid.serve.access import OpenAccess
from pellucid.serve.answers import add_answers
from pellucid.serve.app import create_app
from pellucid.serve.patience import PatientProtocol
from pellucid.serve.service import Service
from pellucid.serve.uploads import UploadLimits, Uploads
from pellucid.types import Right

from ..conftest import PATIENCE

Ask = Callable[..., httpx.Response]
Picture = Callable[..., bytes]
Serve = Callable[[FastAPI], Any]


class Served:
    """The whole server in this process, with an event loop of its own; ask from any thread."""

    def __init__(self, project: Project, tokens: Mapping[str, str] | None = None, **options: Any) -> None:
        self.project = project
        self.service = Service(project.workspace, **options)
        self.app = create_app(self.service, access=None if tokens else OpenAccess())
        self._tokens = tokens or {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self._life = self.app.router.lifespan_context(self.app)
        self._run(self._life.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self._run(self._life.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def ask(self, method: str, path: str, *, token: str = "admin", **options: Any) -> httpx.Response:
        """The answer to one request that shows the token of that name, or that very token, or none."""
        shown = self._tokens.get(token, token) if self._tokens else ""
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {shown}"} if shown else {})}

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, headers=headers, **options)

        answer: httpx.Response = self._run(once())
        return answer

    def get(self, path: str, **options: Any) -> Any:
        """The JSON of an answer that is 200."""
        return good(self.ask("GET", path, **options)).json()

    def post(self, path: str, value: Any, **options: Any) -> Any:
        """The JSON of an answer that is 200, to JSON."""
        return good(self.ask("POST", path, json=value, **options)).json()

    def predict(self, data: bytes, **options: Any) -> dict[str, Any]:
        """The one answer for the image."""
        headers = {"content-type": "image/png"}
        (found,) = good(self.ask("POST", "/predict", content=data, headers=headers, **options)).json()["predictions"]
        return dict(found)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


def good(answer: httpx.Response) -> httpx.Response:
    """The answer, which must be 200."""
    assert answer.status_code == 200, answer.text
    return answer


@dataclass(frozen=True)
class Ready:
    """A folder to copy, and the tokens in it by their names, which are their rights."""

    folder: Path
    tokens: Mapping[str, str]


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory, trained_folder: Path) -> Ready:
    """The project of `trained_folder` with the champion ``pets@1`` (kernel), another model ``pets@2`` (ridge), and a
    token for each right. Shared by all: work on a copy.
    """
    folder = tmp_path_factory.mktemp("ready") / "project"
    shutil.copytree(trained_folder, folder)
    with Project(folder, settings={"threads": 2, "poll_seconds": 0.02}, environ={}) as project:
        project.promote("pets@1")
        project.train("pets", models="ridge")
        tokens = {right.value: create_token(project.workspace, right.value, [right]).secret for right in Right}
    return Ready(folder, tokens)


@pytest.fixture
def ready_project(make_project: Callable[..., Project], ready: Ready) -> Project:
    """A copy of `ready`, open."""
    return make_project(of=ready.folder)


@pytest.fixture
def served(ready_project: Project) -> Iterator[Served]:
    """The server of a copy of `ready`, which asks for no token."""
    with Served(ready_project) as server:
        yield server


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
