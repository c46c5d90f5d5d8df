"""The pages on the server's app: NiceGUI beside the routes, on the same port."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from nicegui import core, ui
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid.errors import NotReadyError, PellucidError
from pellucid.serve.access import Access
from pellucid.serve.app import Doors
from pellucid.web import away, grids, login, pictures, try_upload
from pellucid.web.desk import Desk
from pellucid.web.frame import frame, theme_in
from pellucid.web.pages import PAGES
from pellucid.web.parts import Words, empty
from pellucid.web.plain import plain_page
from pellucid.web.view import Page, View, said_of
from pellucid.web.viewers import OpenViewers, SessionViewers, Viewers

_STATIC = Path(__file__).parent / "static"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_BUILD_SECONDS = 15.0  # for a page to be built on a busy machine
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)  # Vue compiles NiceGUI's templates in the browser, which needs eval


def add_pages(app: FastAPI, doors: Doors) -> None:
    """Adds the pages to a server's app; once a process, because NiceGUI keeps all pages in one place."""
    desk = Desk(doors, _viewers(app, doors))
    app.include_router(pictures.routes(desk))
    app.include_router(try_upload.routes(desk))
    app.include_router(grids.routes(desk))
    app.include_router(away.routes(desk))
    app.mount("/ui/static", StaticFiles(directory=_STATIC), "static")
    for page in PAGES:
        _add_page(desk, page, PAGES)
    ui.add_head_html('<link rel="stylesheet" href="/ui/static/pellucid.css">', shared=True)
    ui.add_head_html('<script src="/ui/static/charts.js" defer></script>', shared=True)
    ui.add_head_html('<script type="module" src="/ui/static/away.js"></script>', shared=True)
    core.app.exception_handler(404)(partial(_not_found, app))
    core.app.exception_handler(405)(_wrong_method)
    core.app.config.quasar_config["loadingBar"]["skipHijack"] = True  # each page shows its own progress
    ui.run_with(
        app, title="Pellucid", favicon="🔎", dark=None, language="en-US", tailwind=False, show_welcome_message=False,
        gzip_middleware_factory=None, binding_refresh_interval=None,
    )  # fmt: skip
    core.app.on_shutdown(desk.close)
    app.add_middleware(_Safe)


def _viewers(app: FastAPI, doors: Doors) -> Viewers:
    if not isinstance(doors.access, Access):
        return OpenViewers()
    viewers = SessionViewers(doors.service.workspace.database, doors.access)
    app.include_router(login.routes(viewers))
    return viewers


def _add_page(desk: Desk, page: Page, pages: Sequence[Page]) -> None:
    async def shown(request: Request) -> Response | None:
        viewer = await desk.viewers.see(request.headers)
        if viewer is None:
            where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(where, safe='')}", 303)
        view = View(desk, viewer, request.query_params)
        with frame(view, page, pages, theme_in(request.cookies)):
            if not view.may(page.right):
                Words(f"The token {viewer.caller.name!r} may not see this page; wanted is the role {page.right}.")
                return None
            try:
                await page.build(view)
            except NotReadyError as error:
                empty(
                    "hourglass_empty", "No model answers yet", said_of(error),
                    "pellucid ingest FOLDER --dataset NAME", "pellucid train --dataset NAME",
                    "pellucid models promote NAME@1",
                )  # fmt: skip
            except PellucidError as error:
                empty("error_outline", "This page cannot be shown", said_of(error))
        return None

    ui.page(page.path, title=f"{page.title} · Pellucid", response_timeout=_BUILD_SECONDS)(shown)


async def _not_found(app: FastAPI, request: Request, error: Exception) -> Response:
    """What the server's own routes have not taken: no such path, or a path that takes other methods."""
    method = request.method
    routes = [route for route in app.routes if not isinstance(route, Mount)]
    takes = [
        name
        for name in _METHODS
        if any(route.matches({**request.scope, "method": name})[0] is Match.FULL for route in routes)
    ]
    if takes and method not in takes:
        return _takes(request, ", ".join(takes))
    if "text/html" in request.headers.get("accept", ""):
        said = f'<p class="note">Pellucid has no page <code>{escape(request.url.path)}</code>.</p>'
        way_out = '<p><a href="/">Go to the overview</a></p>'
        return plain_page("Nothing here", f"<h1>There is nothing here</h1>{said}{way_out}", 404)
    return JSONResponse({"error": f"there is nothing at {request.url.path}; see /docs, or / for the pages"}, 404)


async def _wrong_method(request: Request, error: Exception) -> Response:
    headers = getattr(error, "headers", None) or {}
    return _takes(request, headers.get("Allow", "GET"))


def _takes(request: Request, names: str) -> Response:
    said = f"{request.url.path} takes {names}, not {request.method}; see /docs"
    return JSONResponse({"error": said}, 405, {"Allow": names})


class _Safe:
    """Middleware: what browsers are told about every page, so that none is framed, sniffed or led elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.setdefault("Content-Security-Policy", _POLICY)
                    headers.setdefault("Referrer-Policy", "same-origin")
                    headers.setdefault("X-Content-Type-Options", "nosniff")
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, marked if scope["type"] == "http" else send)
