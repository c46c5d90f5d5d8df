"""Pictures that a page sends to be answered: bounded, by who may ask, and from this server's own pages only."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from pellucid.errors import AccessError, RequestError, RightError
from pellucid.flow.online.answer import Asked
from pellucid.serve.patience import while_connected
from pellucid.types import Right
from pellucid.web.desk import Desk
from pellucid.web.viewers import is_from_here


def routes(desk: Desk) -> APIRouter:
    """``POST /ui/try`` with one picture as the body: the id of its answer, which the page then shows."""
    router = APIRouter(include_in_schema=False)

    @router.post("/ui/try")
    async def try_it(request: Request) -> JSONResponse:
        if not is_from_here(request.headers):
            raise RightError("the picture was sent by another site; send it from this server's own /try")
        viewer = await desk.viewers.see(request.headers)
        if viewer is None:
            raise AccessError("your session is over; log in again, and send the picture again")
        caller, doors = viewer.caller, desk.doors
        caller.need(Right.PREDICT)
        doors.rates.take(caller.name, caller.per_minute)
        received = await doors.uploads.read(request)
        if len(received.images) != 1:
            raise RequestError(f"{len(received.images)} pictures came; a page sends them one by one")
        asked = [Asked(received.images[0].data, caller.name)]
        (answer,) = await while_connected(request, doors.service.predict(asked))
        doors.metrics.note_answer(answer)
        return JSONResponse({"id": answer.uid})

    return router
