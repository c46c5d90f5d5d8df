"""All edges of the server together, as an app puts them together: who, how often, what, and not too many at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from pellucid import Project
from pellucid.flow.tokens import create_token, revoke_token
from pellucid.serve.access import Access
from pellucid.serve.answers import add_answers
from pellucid.serve.batcher import Batcher
from pellucid.serve.patience import while_connected
from pellucid.serve.rates import Rates
from pellucid.serve.uploads import Upload, Uploads
from pellucid.types import Right

from .conftest import Picture

WAIT = 30


class Model:
    """Tells the size of its images, one batch at a time; waits at its gate while that is shut."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.at_work = threading.Semaphore(0)

    def __call__(self, images: list[Upload]) -> list[int]:
        self.at_work.release()
        assert self.gate.wait(WAIT)
        return [len(image.data) for image in images]


def build(project: Project, batcher: Batcher[Upload, int], keep: float = 0.0) -> FastAPI:
    app, rates, uploads = FastAPI(), Rates(clock=lambda: 0.0), Uploads()
    access = Access(Access.of(project.workspace.database)._load, keep=keep)
    add_answers(app)

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        caller = await access.identify(request.headers)
        caller.need(Right.PREDICT)
        rates.take(caller.name, caller.per_minute)
        received = await uploads.read(request)
        answers = asyncio.gather(*map(batcher.submit, received.images))
        return {"by": caller.name, "bytes": await while_connected(request, _all(answers))}

    return app


async def _all(answers: asyncio.Future[list[int]]) -> list[int]:
    return await answers


@pytest.fixture
def model() -> Model:
    return Model()


def client_of(app: FastAPI, token: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers)


def test_who_may_is_answered_and_others_hear_why_not(project: Project, model: Model, picture: Picture) -> None:
    ann = create_token(project.workspace, "ann", ["predict"], per_minute=3).secret
    bob = create_token(project.workspace, "bob", ["feedback"]).secret
    eve = create_token(project.workspace, "eve", ["admin"]).secret
    files = [("images", (name, picture("cat", at))) for at, name in enumerate("ab")]

    async def run(batcher: Batcher[Upload, int]) -> list[int]:
        app = build(project, batcher)
        answers = []
        for token in (ann, bob, eve, "plt_guess", ann, ann, ann):
            async with client_of(app, token) as client:
                answers.append(await client.post("/predict", files=files))
        assert answers[0].json() == {"by": "ann", "bytes": [len(data) for _, (_, data) in files]}
        assert answers[-1].json() == {"error": "'ann' may ask 3 times a minute and has; try again in 20 s"}
        assert answers[-1].headers["retry-after"] == "20"
        revoke_token(project.workspace, "eve")
        async with client_of(app, eve) as client:
            answers.append(await client.post("/predict", files=files))
        return [answer.status_code for answer in answers]

    with Batcher(model) as batcher:
        assert asyncio.run(run(batcher)) == [200, 403, 200, 401, 200, 200, 429, 401]


def test_a_full_server_says_so_and_answers_what_it_took(project: Project, model: Model, picture: Picture) -> None:
    token = create_token(project.workspace, "ann", ["predict"]).secret
    data, kind = picture("cat", 1), {"content-type": "image/png"}

    async def run(batcher: Batcher[Upload, int]) -> None:
        async with client_of(build(project, batcher), token) as client:

            async def ask() -> httpx.Response:
                return await client.post("/predict", content=data, headers=kind)

            model.gate.clear()
            taken = [asyncio.create_task(ask())]
            assert await asyncio.to_thread(model.at_work.acquire, timeout=WAIT)
            taken += [asyncio.create_task(ask()) for _ in range(2)]
            while batcher.stats.waiting < 2:
                await asyncio.sleep(0.001)
            refused = await ask()
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            assert "2 requests are waiting already" in refused.json()["error"]
            model.gate.set()
            assert [answer.status_code for answer in await asyncio.gather(*taken)] == [200] * 3
            assert (await ask()).status_code == 200

    with Batcher(model, most=4, depth=2) as batcher:
        asyncio.run(asyncio.wait_for(run(batcher), WAIT))
    assert batcher.stats.refused == 1


def test_an_image_bomb_never_reaches_the_model(project: Project, model: Model) -> None:
    token = create_token(project.workspace, "ann", ["predict"]).secret
    bomb = b"GIF89a" + b"\xff\xff\xff\xff" + bytes(3) + b"\x2c" + bytes(4) + b"\xff\xff\xff\xff" + bytes(2) + b"\0\x3b"

    async def run(batcher: Batcher[Upload, int]) -> httpx.Response:
        async with client_of(build(project, batcher), token) as client:
            return await client.post("/predict", content=bomb, headers={"content-type": "image/gif"})

    with Batcher(model) as batcher:
        answer = asyncio.run(run(batcher))
        assert batcher.stats.items == 0
    assert answer.status_code == 413
    assert "too many pixels: 65535 x 65535" in answer.json()["error"]
