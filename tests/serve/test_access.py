"""Who is let in: by good tokens only, and at once no longer when they are revoked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from starlette.datastructures import Headers

from pellucid import Project
from pellucid.errors import AccessError, RightError, StorageError, UsageError
from pellucid.flow.tokens import create_token, digest_of, revoke_token
from pellucid.serve.access import ANYBODY, Access, Caller, OpenAccess, check_open, token_in
from pellucid.store.tokens import Token
from pellucid.types import Right


class Store:
    """Tokens that can be changed, and how often they were read."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = list(secrets)
        self.reads = 0
        self.now = 100.0

    def __call__(self) -> Mapping[str, Token]:
        self.reads += 1
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return {digest_of(item): Token(f"of {item}", (Right.PREDICT,), 5, at, None) for item in self.secrets}

    def clock(self) -> float:
        return self.now


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_token_names_its_caller(project: Project) -> None:
    made = create_token(project.workspace, "ann", ["predict", "feedback"], per_minute=9)
    access = Access.of(project.workspace.database)
    expected = Caller("ann", frozenset({Right.PREDICT, Right.FEEDBACK}), 9)
    assert access.identify_now(bearer(made.secret)) == expected
    assert asyncio.run(access.identify(Headers({"X-Api-Key": made.secret}))) == expected
    for wrong in (made.secret[:-1], made.secret + "x", made.secret.lower(), digest_of(made.secret), "ä", "\udcff"):
        with pytest.raises(AccessError, match="unknown or revoked; send `Authorization"):
            access.identify_now(bearer(wrong))


def test_a_revoked_token_is_refused_and_a_new_one_known_soon(project: Project) -> None:
    store = Store()
    first = create_token(project.workspace, "ann", ["predict"])
    database = Access.of(project.workspace.database)
    access = Access(database._load, clock=store.clock)
    access.identify_now(bearer(first.secret))
    revoke_token(project.workspace, "ann")
    second = create_token(project.workspace, "bob", ["predict"])
    store.now += 0.99
    access.identify_now(bearer(first.secret))
    store.now += 0.02
    assert access.identify_now(bearer(second.secret)).name == "bob"
    with pytest.raises(AccessError):
        access.identify_now(bearer(first.secret))


def test_a_token_that_has_just_been_made_is_looked_for_once_more() -> None:
    store = Store("a")
    access = Access(store, clock=store.clock)
    access.identify_now(bearer("a"))
    store.secrets.append("b")
    store.now += 0.3
    assert access.identify_now(bearer("b")) == asyncio.run(access.identify(bearer("b")))
    store.now += 0.2
    for _ in range(9):
        with pytest.raises(AccessError):
            access.identify_now(bearer("c"))
    assert store.reads == 2, "not sooner than a quarter of a second after the last reading"


def test_neither_right_nor_wrong_tokens_cost_a_query_each() -> None:
    store = Store("a")
    access = Access(store, clock=store.clock)
    for _ in range(50):
        access.identify_now(bearer("a"))
        with pytest.raises(AccessError):
            access.identify_now(bearer("b"))
    assert store.reads == 1
    store.now += 1.0
    access.identify_now(bearer("a"))
    assert store.reads == 2


def test_who_comes_while_the_tokens_are_read_waits_for_the_same_answer() -> None:
    store, reading, may_go = Store("a"), threading.Event(), threading.Event()

    def load() -> Mapping[str, Token]:
        reading.set()
        assert may_go.wait(30)
        return store()

    access = Access(load, clock=store.clock)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(access.identify_now, bearer("a")) for _ in range(8)]
        assert reading.wait(30)
        may_go.set()
        assert {item.result(30).name for item in asked} == {"of a"}
    assert store.reads == 1


def test_a_database_that_is_away_lets_nobody_in() -> None:
    store = Store("a")
    away = False

    def load() -> Mapping[str, Token]:
        if away:
            raise StorageError("away")
        return store()

    access = Access(load, clock=store.clock)
    access.identify_now(bearer("a"))
    away = True
    store.now += 5
    for _ in range(2):
        with pytest.raises(StorageError, match="away"):
            access.identify_now(bearer("a"))
        store.now += 1
    away = False
    assert access.identify_now(bearer("a")).name == "of a"


@pytest.mark.parametrize("keep", [-1.0, 2.1, float("nan")])
def test_tokens_are_never_kept_for_long(keep: float) -> None:
    with pytest.raises(UsageError, match="wanted is 0 to 2"):
        Access(Store(), keep=keep)


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"authorization": "bearer  a "}, "a"),
        ({"x-api-key": " a "}, "a"),
        ({"authorization": "Bearer a", "x-api-key": "b"}, "a"),
    ],
)
def test_where_the_token_is_looked_for(headers: dict[str, str], token: str) -> None:
    assert token_in(headers) == token


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Basic YTpi"}, {"x-api-key": " "}],
)
def test_no_token_is_an_answer_that_says_how(headers: dict[str, str]) -> None:
    with pytest.raises(AccessError, match="`pellucid tokens create` makes one"):
        token_in(headers)


def test_admin_implies_the_others_and_the_others_nothing() -> None:
    boss, user = Caller("boss", frozenset({Right.ADMIN})), Caller("user", frozenset({Right.PREDICT}))
    assert all(boss.may(right) for right in Right)
    assert [user.may(right) for right in Right] == [True, False, False]
    boss.need(Right.FEEDBACK)
    with pytest.raises(RightError, match="the token 'user' has the role predict; wanted is admin"):
        user.need(Right.ADMIN)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST."])
def test_this_machine_may_be_served_openly(host: str) -> None:
    check_open(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "192.168.0.1", "example.org", "localhost.example.org", "127.0.0.1.nip.io", "0"]
)
def test_others_may_not(host: str) -> None:
    with pytest.raises(UsageError, match="pellucid tokens create"):
        check_open(host)


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        ({"host": "127.0.0.1:8000"}, True),
        ({"host": "[::1]:8000", "origin": "http://localhost:3000"}, True),
        ({}, True),
        ({"host": "evil.example:8000"}, False),
        ({"host": "[::1"}, False),
        ({"host": ""}, False),
        ({"host": "localhost", "origin": "https://evil.example"}, False),
        ({"host": "localhost", "origin": "null"}, False),
    ],
)
def test_an_open_server_takes_no_requests_of_web_pages_elsewhere(headers: dict[str, str], good: bool) -> None:
    if good:
        assert asyncio.run(OpenAccess().identify(headers)) == ANYBODY
        assert all(ANYBODY.may(right) for right in Right)
    else:
        with pytest.raises(AccessError, match="of this machine only"):
            asyncio.run(OpenAccess().identify(headers))
