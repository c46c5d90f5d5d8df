"""Tokens on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from pellucid.errors import NotFoundError, UsageError
from pellucid.store.database import Database
from pellucid.store.tokens import Token, add_token, find_token, good_tokens, list_tokens, revoke_token
from pellucid.types import Right


def add(database: Database, name: str, digest: str, per_minute: int | None = None) -> Token:
    with database.write() as connection:
        return add_token(connection, name, digest * 64, (Right.PREDICT, Right.ADMIN), per_minute)


def test_what_was_stored_is_found_again(database: Database) -> None:
    made = add(database, "ann", "a", 7)
    assert (made.rights, made.per_minute, made.revoked_at) == ((Right.PREDICT, Right.ADMIN), 7, None)
    with database.read() as connection:
        assert find_token(connection, "ann") == made
        assert find_token(connection, "bob") is None
        assert good_tokens(connection) == {"a" * 64: made}


def test_a_revoked_token_is_listed_and_no_longer_good(database: Database) -> None:
    first, second = add(database, "ann", "a"), add(database, "bob", "b")
    with database.write() as connection:
        ended = revoke_token(connection, "ann")
    assert ended.revoked_at is not None
    assert ended.revoked_at >= first.created_at
    with database.write() as connection:
        assert revoke_token(connection, "ann") == ended
        assert list_tokens(connection) == [ended, second]
        assert good_tokens(connection) == {"b" * 64: second}
        with pytest.raises(NotFoundError, match="no token 'eve'; the project has: bob"):
            revoke_token(connection, "eve")


def test_a_name_is_given_once_whoever_asks_at_the_same_time(database: Database) -> None:
    barrier = Barrier(4)

    def make(at: int) -> Token | UsageError:
        barrier.wait()
        try:
            return add(database, "ann", str(at))
        except UsageError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(4)))
    assert sum(isinstance(item, Token) for item in made) == 1
    with database.read() as connection:
        assert len(list_tokens(connection)) == 1
