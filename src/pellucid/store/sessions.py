"""Sessions: who is logged in on the pages. Only the sha256 of a cookie is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.schema import session as session_table
from pellucid.store.schema import token as token_table
from pellucid.types import Right


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has shown a token, and may go on without showing it again for a while."""

    token: str  # the name of the token
    rights: tuple[Right, ...]  # of the token, as they are now
    per_minute: int | None  # requests; None for no limit
    created_at: datetime  # UTC
    expires_at: datetime  # UTC


def add_session(connection: sa.Connection, digest: str, token: str, lasts: timedelta) -> None:
    """Begins a session under the cookie's sha256; those that are over are forgotten."""
    now = now_of(connection)
    connection.execute(sa.delete(session_table).where(session_table.c.expires_at < now))
    values = {"digest": digest, "token": token, "created_at": now, "seen_at": now, "expires_at": now + lasts}
    connection.execute(sa.insert(session_table).values(**values))


def find_session(connection: sa.Connection, digest: str) -> Session | None:
    """The session of that cookie; None where there is none, it is over, or its token has been revoked."""
    good = token_table.c.revoked_at.is_(None) & (session_table.c.expires_at >= now_of(connection))
    query = (
        sa.select(session_table, token_table.c.roles, token_table.c.per_minute)
        .join(token_table, token_table.c.name == session_table.c.token)
        .where(session_table.c.digest == digest, good)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    rights = tuple(right for right in Right if right in row.roles)
    return Session(row.token, rights, row.per_minute, row.created_at, row.expires_at)


def end_session(connection: sa.Connection, digest: str) -> None:
    """Ends the session of that cookie; one that is not there stays away."""
    connection.execute(sa.delete(session_table).where(session_table.c.digest == digest))
