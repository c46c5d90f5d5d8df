"""Tokens: who may ask over HTTP, and for what. Only their sha256 is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from pellucid.errors import NotFoundError, UsageError
from pellucid.store.database import now_of
from pellucid.store.schema import token as token_table
from pellucid.types import Right


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: everything but the token."""

    name: str  # of its holder; never given twice, so that a record names one holder for ever
    rights: tuple[Right, ...]  # as they were given, in Right's order
    per_minute: int | None  # requests; None for no limit
    created_at: datetime  # UTC
    revoked_at: datetime | None  # UTC; None while it is good


def add_token(
    connection: sa.Connection, name: str, digest: str, rights: tuple[Right, ...], per_minute: int | None
) -> Token:
    """Stores a new token under its sha256.

    Raises:
        UsageError: the name has been given before, to a token that is good or revoked.
    """
    taken = UsageError(
        f"there is, or was, a token {name!r}; a name is given once only, so that old records stay clear: choose another"
    )
    if find_token(connection, name) is not None:
        raise taken
    made = Token(name, rights, per_minute, now_of(connection), None)
    values = {"name": name, "digest": digest, "roles": list(rights), "per_minute": per_minute}
    try:
        connection.execute(sa.insert(token_table).values(**values, created_at=made.created_at))
    except sa.exc.IntegrityError as error:  # somebody else was faster
        raise taken from error
    return made


def find_token(connection: sa.Connection, name: str) -> Token | None:
    """The token of that name, revoked or not."""
    row = connection.execute(sa.select(token_table).where(token_table.c.name == name)).first()
    return _token(row) if row else None


def list_tokens(connection: sa.Connection) -> list[Token]:
    """All tokens, revoked ones too, oldest first."""
    return [_token(row) for row in connection.execute(sa.select(token_table).order_by(token_table.c.id))]


def good_tokens(connection: sa.Connection) -> dict[str, Token]:
    """The tokens that are not revoked, by their sha256."""
    rows = connection.execute(sa.select(token_table).where(token_table.c.revoked_at.is_(None)))
    return {row.digest: _token(row) for row in rows}


def revoke_token(connection: sa.Connection, name: str) -> Token:
    """Ends a token; one that was revoked before stays revoked since then.

    Raises:
        NotFoundError: there is no token of that name.
    """
    good = token_table.c.revoked_at.is_(None)
    now = now_of(connection)
    connection.execute(sa.update(token_table).where(token_table.c.name == name, good).values(revoked_at=now))
    found = find_token(connection, name)
    if found is None:
        names = ", ".join(item.name for item in list_tokens(connection) if item.revoked_at is None)
        raise NotFoundError(f"no token {name!r}; the project has: {names or 'none yet'}")
    return found


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    rights = tuple(right for right in Right if right in row.roles)
    return Token(row.name, rights, row.per_minute, row.created_at, row.revoked_at)
