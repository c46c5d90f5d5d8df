"""What those who run the server ask: is it alive, is it ready, and how it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.encoders import jsonable_encoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pellucid.serve.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from pellucid.serve.app import Doors

DOWN: dict[int | str, dict[str, Any]] = {503: {"description": "It is not; the same fields say so."}}


def routes(doors: Doors) -> APIRouter:
    """The routes, on these doors; none needs a token, and none tells a secret."""
    router = APIRouter(tags=["Operations"])

    @router.get("/health/live", responses=DOWN)
    async def live() -> JSONResponse:
        """Whether the process can go on; 503 where a part has died that only a new process has."""
        dead = doors.service.dead
        return JSONResponse({"live": not dead, "reasons": dead}, 503 if dead else 200)

    @router.get("/health/ready", responses=DOWN)
    async def ready() -> JSONResponse:
        """Every part does its work; 503 with the reasons where one does not."""
        found = doors.service.readiness
        return JSONResponse(jsonable_encoder(found), 200 if found.ready else 503)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """For Prometheus."""
        return Response(await run_in_threadpool(doors.metrics.page), media_type=CONTENT_TYPE)

    return router
