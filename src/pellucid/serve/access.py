"""Who may ask, and for what: from a request's token to a caller with rights."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Security
from fastapi.security import APIKeyHeader, HTTPBearer

from pellucid.errors import AccessError, PellucidError, RightError, UsageError
from pellucid.flow.tokens import digest_of
from pellucid.store.database import Database
from pellucid.store.tokens import Token, good_tokens
from pellucid.types import Right

TOKENS = [
    Security(HTTPBearer(scheme_name="bearer", description="`pellucid tokens create` makes one", auto_error=False)),
    Security(APIKeyHeader(name="X-Api-Key", scheme_name="key", auto_error=False)),
]  # for the dependencies of a route: they say in OpenAPI what it takes, and check nothing
_MOST_KEEP = 2.0  # seconds: how long a revoked token may still work
_RECHECK = 0.25  # seconds after which an unknown token is looked for again: it may have just been made
_HOW = "send `Authorization: Bearer TOKEN` or `X-Api-Key: TOKEN`; `pellucid tokens create` makes one"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str  # of the token; it stands in the records
    rights: frozenset[Right]
    per_minute: int | None = None  # requests; None for no limit

    def may(self, right: Right) -> bool:
        """Whether the caller has that right; ``admin`` implies the others.

        >>> Caller("ann", frozenset({Right.ADMIN})).may(Right.PREDICT)
        True
        """
        return right in self.rights or Right.ADMIN in self.rights

    def need(self, right: Right) -> None:
        """RightError where the caller does not have that right."""
        if not self.may(right):
            has = ", ".join(sorted(self.rights)) or "none"
            raise RightError(f"the token {self.name!r} has the role {has}; wanted is {right}")


ANYBODY = Caller("anybody", frozenset(Right))  # of an open server


class Access:
    """Finds out who asks. All good tokens are read at once and kept for a second, so that neither right nor wrong
    tokens cost the database a query each, and a revoked one is refused within two.

    Thread-safe. A database that does not answer lets nobody in.

    Args:
        load: gives the good tokens by their sha256.
        keep: seconds for which an answer of ``load`` counts, at most 2.
        clock: seconds that only grow.

    Raises:
        UsageError: ``keep`` is out of range.
    """

    def __init__(
        self,
        load: Callable[[], Mapping[str, Token]],
        *,
        keep: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 <= keep <= _MOST_KEEP:
            raise UsageError(f"tokens kept for {keep} s; wanted is 0 to {_MOST_KEEP} s, so that revoking works")
        self._load = load
        self._keep = keep
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[tuple[str, Caller], ...] = ()
        self._read_at: float | None = None
        self._failure: tuple[float, PellucidError] | None = None

    @classmethod
    def of(cls, database: Database) -> Access:
        """By the tokens in the database."""

        def load() -> Mapping[str, Token]:
            with database.read() as connection:
                return good_tokens(connection)

        return cls(load)

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Who asks; the event loop does not wait for the database.

        Args:
            headers: of the request, by names in small letters, or whatever their letters as Starlette's are.

        Raises:
            AccessError: there is no token, or it is unknown or revoked.
            StorageError: the database cannot be asked.
        """
        offered = token_in(headers)
        if self._is_old():
            await asyncio.to_thread(self._refresh)
        caller = self._find(offered)
        if caller is None and self._is_old(_RECHECK):
            await asyncio.to_thread(self._refresh)
            caller = self._find(offered)
        return _known(caller)

    def identify_now(self, headers: Mapping[str, str]) -> Caller:
        """The same without an event loop."""
        offered = token_in(headers)
        if self._is_old():
            self._refresh()
        caller = self._find(offered)
        if caller is None and self._is_old(_RECHECK):
            self._refresh()
            caller = self._find(offered)
        return _known(caller)

    def _is_old(self, keep: float = _MOST_KEEP) -> bool:
        return self._read_at is None or self._clock() - self._read_at >= min(keep, self._keep)

    def _refresh(self) -> None:
        came = self._clock()
        with self._lock:
            if self._read_at is not None and self._read_at >= came:  # somebody has read while this one waited
                return
            if self._failure is not None and self._failure[0] >= came:  # or has tried
                raise self._failure[1]
            began = self._clock()
            try:
                tokens = self._load()
            except PellucidError as error:
                self._failure = began, error
                raise
            self._known = tuple(
                (digest, Caller(token.name, frozenset(token.rights), token.per_minute))
                for digest, token in tokens.items()
            )
            self._read_at = began

    def _find(self, offered: str) -> Caller | None:
        digest, found = digest_of(offered), None
        for known, caller in self._known:  # all of them, each in constant time: how long it takes tells nothing
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def _known(caller: Caller | None) -> Caller:
    if caller is None:
        raise AccessError(f"the token is unknown or revoked; {_HOW}")
    return caller


class OpenAccess:
    """Lets anybody on this machine do everything, and nobody's web page.

    A page that a browser on this machine shows could send requests here: one from another site says so in ``Origin``,
    and one that turned its own name into this address (DNS rebinding) shows that name in ``Host``.
    """

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Anybody.

        Raises:
            AccessError: the request comes from a web page of another site, or under another name than this machine's.
        """
        for name, url in (("Host", f"//{headers.get('host', 'localhost')}"), ("Origin", headers.get("origin"))):
            if url is not None and not is_loopback(_host_of(url)):
                raise AccessError(
                    f"this server has no tokens and takes requests of this machine only, but {name} is another; "
                    "make a token with `pellucid tokens create` and start it without --open"
                )
        return ANYBODY


def token_in(headers: Mapping[str, str]) -> str:
    """The token that a request shows, in ``Authorization: Bearer`` or else in ``X-Api-Key``.

    >>> token_in({"authorization": "Bearer plt_x"})
    'plt_x'

    Raises:
        AccessError: there is none, or the header is of another scheme.
    """
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise AccessError(f"the Authorization header holds no bearer token; {_HOW}")
        return token.strip()
    token = headers.get("x-api-key", "").strip()
    if not token:
        raise AccessError(f"no token; {_HOW}")
    return token


def check_open(host: str) -> None:
    """Refuses to serve without tokens where others than this machine could ask.

    Args:
        host: the address that the server would listen on.

    Raises:
        UsageError: it is not the loopback's.
    """
    if not is_loopback(host):
        raise UsageError(
            f"without tokens the server may listen on this machine only, not on {host or 'every address'}; "
            "use --host 127.0.0.1, or make tokens with `pellucid tokens create`"
        )


def is_loopback(host: str) -> bool:
    """Whether the name or address can only mean this machine; no name is looked up.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
