"""Logging in and out: a form, a cookie, and nothing that another site could send."""

from __future__ import annotations

from html import escape
from string import Template
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pellucid.errors import AccessError, RequestError, RightError
from pellucid.serve.rates import Rates
from pellucid.web.plain import plain_page
from pellucid.web.viewers import COOKIE, LASTS, SessionViewers, is_from_here

_MOST_BYTES = 4096  # of the form
_TRIES = 60  # a minute, of everybody behind one address; no guess finds a token, so this only bounds the work
_FORM = Template("""<h1>Pellucid</h1>
<form method="post" action="/login"><input type="hidden" name="next" value="$next">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
$trouble<button type="submit">Log in</button></form>
<p class="note">Whoever runs the server makes one:
<code>pellucid tokens create NAME --role predict --role feedback</code></p>
<p class="note">The role predict shows every page, feedback corrects and reviews, admin trains, promotes and
forgets.</p>""")


def routes(viewers: SessionViewers) -> APIRouter:
    """The form, and what it is sent to."""
    router = APIRouter(include_in_schema=False)
    rates = Rates()

    @router.get("/login")
    async def form(next: str = "/") -> Response:
        return _form(next)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        _check_origin(request)
        rates.take(request.client.host if request.client else "", _TRIES)
        fields = await _fields(request)
        goal = fields.get("next", "/")
        try:
            value = await viewers.log_in(fields.get("token", ""))
        except AccessError:
            return _form(goal, "That token is unknown or revoked.", 401)
        answer = RedirectResponse(_local(goal), 303)
        answer.set_cookie(
            COOKIE, value, max_age=int(LASTS.total_seconds()), httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        _check_origin(request)
        await viewers.log_out(request.headers)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router


def _form(goal: str, trouble: str = "", status: int = 200) -> HTMLResponse:
    said = f'<p class="trouble" role="alert">{escape(trouble)}</p>' if trouble else ""
    return plain_page("Log in", _FORM.substitute(next=escape(_local(goal), quote=True), trouble=said), status)


def _local(goal: str) -> str:
    """The address if it is one of this server's own, else its first page.

    >>> _local("/review?x=1"), _local("//evil.example"), _local("https://evil.example")
    ('/review?x=1', '/', '/')
    """
    plain = goal.startswith("/") and not goal.startswith(("//", "/\\")) and goal.isprintable()
    return goal if plain else "/"


def _check_origin(request: Request) -> None:
    if not is_from_here(request.headers):
        raise RightError("the form was sent by another site; open this server's own /login")


async def _fields(request: Request) -> dict[str, str]:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise RequestError("the form is too large; wanted is a token", status=413)
    found = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in found.items()}
