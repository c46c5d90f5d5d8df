"""Pictures for the pages: always re-encoded, never as they were uploaded, and quick enough to scroll through."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from pellucid.flow.data.thumbnail import Thumbnails, kind_of
from pellucid.web.desk import Desk
from pellucid.web.doorman import Doorman

MOST_BYTES = 64 * 2**20  # of pictures kept in memory
MOST_ON_DISK = 512 * 2**20  # bytes of pictures kept below the project's cache_dir
_SIDES = (96, 192, 384, 768)  # pixels; others are rounded up to one of them, so that few are kept of each
_THREADS = 2  # that make pictures: a scroll takes no more of the machine, and pages need not wait for it
_GONE = 499  # the status of an answer to somebody who has scrolled on
_HEADERS = {
    "Cache-Control": "private, max-age=86400, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


class Kept:
    """The pictures that were asked for last, up to so many bytes. Thread-safe.

    >>> kept = Kept(10)
    >>> kept.put("a", b"12345"), kept.put("b", b"12345"), kept.put("c", b"1")
    (None, None, None)
    >>> kept.get("a"), kept.get("b")
    (None, b'12345')
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._items: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0

    def get(self, key: str) -> bytes | None:
        """The picture, which counts as asked for."""
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
            return found

    def put(self, key: str, data: bytes) -> None:
        """Keeps the picture, and forgets those that were not asked for longest."""
        with self._lock:
            self._held += len(data) - len(self._items.pop(key, b""))
            self._items[key] = data
            while self._held > self._most:
                self._held -= len(self._items.popitem(last=False)[1])


def routes(desk: Desk) -> APIRouter:
    """``GET /ui/pictures/SAMPLE?side=192``, for whoever may look at pages."""
    router = APIRouter(include_in_schema=False)
    doorman = Doorman(desk)
    kept = Kept(MOST_BYTES)
    folder = Thumbnails(desk.workspace.cache / "thumbnails", MOST_ON_DISK)
    makers = ThreadPoolExecutor(_THREADS, "pellucid-picture")
    turn = asyncio.Semaphore(_THREADS)

    @router.get("/ui/pictures/{sample}")
    async def picture(
        request: Request,
        sample: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
        side: Annotated[int, Query(ge=16, le=_SIDES[-1])] = 192,
    ) -> Response:
        await doorman.admit(request.headers)
        pixels = next(item for item in _SIDES if item >= side)
        key = f"{sample}/{pixels}"
        data = kept.get(key)
        if data is None:
            async with turn:
                if await request.is_disconnected():  # scrolled on while it waited for its turn
                    return Response(status_code=_GONE)
                get = asyncio.get_running_loop().run_in_executor
                data = await get(makers, folder.get, desk.workspace, sample, pixels)
            kept.put(key, data)
        return Response(data, media_type=kind_of(data), headers=_HEADERS)

    return router
