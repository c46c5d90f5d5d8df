"""Who looks at a page: sessions by cookie, and what each may do."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import urlsplit

from pellucid.errors import AccessError
from pellucid.flow.tokens import digest_of
from pellucid.serve.access import Access, Caller, OpenAccess
from pellucid.store.database import Database
from pellucid.store.sessions import add_session, end_session, find_session

COOKIE = "pellucid_session"
LASTS = timedelta(hours=12)
_OVER = "your session is over; log in again, nothing that you did is lost"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody in front of a page."""

    caller: Caller
    cookie: str | None  # sha256 of the session's; None on an open server, which has none


class Viewers(Protocol):
    """Lets people in."""

    async def see(self, headers: Mapping[str, str]) -> Viewer | None:
        """Who asks for a page; None for somebody who has to log in first. AccessError for whom no login helps."""

    async def check(self, viewer: Viewer) -> Viewer:
        """The viewer as he is now. Raises AccessError where his session is over or his token was revoked."""


class OpenViewers:
    """Everybody on this machine, and no other site's page."""

    async def see(self, headers: Mapping[str, str]) -> Viewer:
        """Anybody."""
        return Viewer(await OpenAccess().identify(headers), None)

    async def check(self, viewer: Viewer) -> Viewer:
        """The same."""
        return viewer


class SessionViewers:
    """Those who have shown a token, by a cookie that says nothing and is stored nowhere."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def see(self, headers: Mapping[str, str]) -> Viewer | None:
        """Whoever holds a good session's cookie."""
        value = cookie_in(headers)
        return None if value is None else await asyncio.to_thread(self._find, digest_of(value))

    async def check(self, viewer: Viewer) -> Viewer:
        """By the session and its token as they are in the database now."""
        found = await asyncio.to_thread(self._find, viewer.cookie or "")
        if found is None:
            raise AccessError(_OVER)
        return found

    async def log_in(self, token: str) -> str:
        """The cookie of a new session, for whoever shows a good token. Raises AccessError for another."""
        caller = await self._access.identify({"authorization": f"Bearer {token.strip()}"})
        value = secrets.token_urlsafe(32)

        def begin() -> None:
            with self._database.write() as connection:
                add_session(connection, digest_of(value), caller.name, LASTS)

        await asyncio.to_thread(begin)
        return value

    async def log_out(self, headers: Mapping[str, str]) -> None:
        """Ends the session of the cookie."""
        value = cookie_in(headers)

        def end() -> None:
            with self._database.write() as connection:
                end_session(connection, digest_of(value or ""))

        await asyncio.to_thread(end)

    def _find(self, digest: str) -> Viewer | None:
        with self._database.read() as connection:
            found = find_session(connection, digest)
        if found is None:
            return None
        return Viewer(Caller(found.token, frozenset(found.rights), found.per_minute), digest)


def cookie_in(headers: Mapping[str, str]) -> str | None:
    """The session's cookie among a request's headers.

    >>> cookie_in({"cookie": "theme=dark; pellucid_session=abc"})
    'abc'
    """
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found is not None else None


def is_from_here(headers: Mapping[str, str]) -> bool:
    """Whether a form was sent by a page of this very server, and by no other site's.

    >>> is_from_here({"host": "line:8000", "origin": "http://line:8000"})
    True
    >>> is_from_here({"host": "line:8000", "origin": "http://evil.example"})
    False
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "same-origin") == "same-origin"
    return urlsplit(origin).netloc == headers.get("host", "")
