"""While the server was away: what the pages ask once they have it again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request

from pellucid.errors import AccessError, RequestError
from pellucid.flow.production.meanwhile import meanwhile
from pellucid.web.desk import Desk


def routes(desk: Desk) -> APIRouter:
    """``GET /ui/meanwhile?since=2026-11-21T08:00:00Z``, for whoever may look at pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/ui/meanwhile")
    async def tell(request: Request, since: Annotated[str, Query(max_length=40)]) -> dict[str, Any]:
        if await desk.viewers.see(request.headers) is None:
            raise AccessError("your session is over; log in again, nothing that you did is lost")
        at = _time(since)
        model = desk.doors.service.readiness.model
        name = None if model is None else model.rpartition("@")[0]
        found = await desk.read(meanwhile, desk.workspace, name, at, datetime.now(UTC))
        return {"restarted": desk.began.isoformat() if desk.began >= at else None, "lines": found.lines}

    return router


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RequestError(f"{text!r} is no time; wanted is one as 2026-11-21T08:00:00Z", status=422) from None
