"""The grid: a wall of thousands of pictures of which only those in sight are there, and the rows that it asks for."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from nicegui.element import Element
from nicegui.events import GenericEventArguments
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from pellucid.flow.data.browse import MOST, Filter, Item, browse
from pellucid.types import TRUST_SCALE
from pellucid.web.desk import Desk
from pellucid.web.doorman import Doorman

ROWS = "/ui/data/rows"
_HEADERS = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
_COLUMNS = ("sample", "label", "trust", "split", "status", "reason", "group", "path")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run
_LINES = 500  # of a CSV that are sent at once

Opened = Callable[[str], Coroutine[Any, Any, None]]  # of a sample


class Grid(Element, component=Path(__file__).parent / "static" / "grid.js"):
    """A wall of pictures, for mouse, finger and keyboard: arrows move, Enter opens.

    Args:
        on_open: is called with the sample that somebody wants to see closer.
    """

    def __init__(self, version: str, wanted: Filter, on_open: Opened) -> None:
        super().__init__()
        self.show(version, wanted)

        async def opened(event: GenericEventArguments) -> None:
            await on_open(str(event.args))

        self.on("open", opened)

    def show(self, version: str, wanted: Filter) -> None:
        """Shows these rows from the beginning."""
        self.props["source"] = address(ROWS, version, wanted)

    def step(self, by: int) -> None:
        """Opens the picture so many places on, back where negative."""
        self.run_method("step", by)

    def come_back(self) -> None:
        """Gives the keyboard back to the picture that was opened last."""
        self.run_method("come_back")


def address(path: str, version: str, wanted: Filter) -> str:
    """Where those rows are."""
    return f"{path}?{urlencode([('version', version), *wanted.words])}"


def routes(desk: Desk) -> APIRouter:
    """``GET /ui/data/rows?version=trash@3&offset=0&limit=200&label=glass``, and the same as ``rows.csv``."""
    router = APIRouter(include_in_schema=False)
    doorman = Doorman(desk)

    @router.get(ROWS)
    async def rows(
        request: Request,
        version: Annotated[str, Query(max_length=160)],
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 200,
    ) -> Response:
        await doorman.admit(request.headers)
        wanted = Filter.of(request.query_params.multi_items())
        found = await desk.read(browse, desk.shelf, desk.workspace, version, wanted, offset=offset, limit=limit)
        items = [_shown(item) for item in found.items]
        return JSONResponse(
            {"total": found.total, "count": found.count, "offset": offset, "rows": items}, 200, _HEADERS
        )

    @router.get(f"{ROWS}.csv")
    async def table(request: Request, version: Annotated[str, Query(max_length=160)]) -> Response:
        await doorman.admit(request.headers)
        wanted = Filter.of(request.query_params.multi_items())
        found = await desk.read(browse, desk.shelf, desk.workspace, version, wanted, limit=None)
        name = f'attachment; filename="{found.version.replace("@", "-")}.csv"'
        headers = {**_HEADERS, "Content-Disposition": name}
        return StreamingResponse(_lines(found.items), media_type="text/csv; charset=utf-8", headers=headers)

    return router


def _shown(item: Item) -> dict[str, Any]:
    row = item.row
    return {
        "sample": row.sample,
        "label": row.label,
        "trust": row.trust / TRUST_SCALE,
        "split": row.split,
        "status": row.status,
        "path": item.path,
    }


def _lines(items: Sequence[Item]) -> Iterator[str]:
    for start in range(0, max(1, len(items)), _LINES):
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        if start == 0:
            writer.writerow(_COLUMNS)
        for item in items[start : start + _LINES]:
            row = item.row
            trust = row.trust / TRUST_SCALE
            cells = (row.sample, row.label or "", trust, row.split, row.status, row.reason, row.group, item.path)
            writer.writerow([_safe(cell) for cell in cells])
        yield buffer.getvalue()


def _safe(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula.

    >>> _safe("=1+1"), _safe("cat")
    ("'=1+1", 'cat')
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
