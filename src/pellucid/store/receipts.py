"""Receipts: what was received once and is not to count again, by its source and the key that it has there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.schema import receipt

MAX_NAME = 256  # characters of a source and of a key; what is longer is kept as its beginning and its digest

_KEPT = 128  # characters of the beginning that stay readable


@dataclass(frozen=True, slots=True)
class Receipt:
    """One thing that was received."""

    source: str  # whose key it is
    key: str  # unique within the source
    answer: Mapping[str, Any]  # what the sender was told, or what became of it
    at: datetime  # UTC


def claim(connection: sa.Connection, source: str, key: str, answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Records that the key was received, once: None to the first who claims it, the recorded answer to all others.

    Of two who claim at the same moment the second waits until the first commits, and then gets its answer, or rolls
    back, and then is the first.

    >>> from pellucid.store.database import Database
    >>> with Database.open("sqlite://").write() as connection:
    ...     claim(connection, "camera", "7", {"vote": 1}), claim(connection, "camera", "7", {"vote": 2})
    (None, {'vote': 1})

    Args:
        answer: what to tell those who come again; JSON.
    """
    values = {"source": _fitting(source), "key": _fitting(key), "answer": dict(answer), "at": now_of(connection)}
    statement = sa.insert(receipt).values(**values)
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite

        statement = insert_sqlite(receipt).values(**values).on_conflict_do_nothing()
    else:
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        statement = insert_postgresql(receipt).values(**values).on_conflict_do_nothing()
    if connection.execute(statement.returning(receipt.c.key)).first() is not None:
        return None
    return answer_to(connection, source, key)


def answer_to(connection: sa.Connection, source: str, key: str) -> Mapping[str, Any] | None:
    """What was recorded for the key; None where it was never claimed."""
    found = connection.execute(sa.select(receipt.c.answer).where(_is(source, key))).first()
    return None if found is None else dict(found.answer)


def settle(connection: sa.Connection, source: str, key: str, answer: Mapping[str, Any]) -> None:
    """Records another answer for a key that was claimed, where the answer was not known before."""
    connection.execute(sa.update(receipt).where(_is(source, key)).values(answer=dict(answer)))


def drop(connection: sa.Connection, source: str, key: str) -> bool:
    """Forgets the key, what was only noted until something else came; returns whether it was there."""
    return bool(connection.execute(sa.delete(receipt).where(_is(source, key))).rowcount)


def receipts_from(connection: sa.Connection, source: str, beginning: str) -> list[Receipt]:
    """The receipts of the source whose keys begin so, oldest first; at most 128 characters of a beginning."""
    fits = receipt.c.key.startswith(beginning, autoescape=True)
    query = sa.select(receipt).where(receipt.c.source == _fitting(source), fits)
    rows = connection.execute(query.order_by(receipt.c.at, receipt.c.key))
    return [Receipt(row.source, row.key, dict(row.answer), row.at) for row in rows]


def receipts_before(connection: sa.Connection, source: str, before: datetime, *, limit: int) -> list[Receipt]:
    """The receipts of the source that are older than that, oldest first; at most ``limit`` of them."""
    query = sa.select(receipt).where(receipt.c.source == _fitting(source), receipt.c.at < before)
    rows = connection.execute(query.order_by(receipt.c.at, receipt.c.key).limit(limit))
    return [Receipt(row.source, row.key, dict(row.answer), row.at) for row in rows]


def receipts_of(connection: sa.Connection, source: str, *, limit: int | None = None) -> list[Receipt]:
    """The receipts of the source, newest first; at most ``limit`` of them."""
    query = sa.select(receipt).where(receipt.c.source == _fitting(source))
    rows = connection.execute(query.order_by(receipt.c.at.desc(), receipt.c.key.desc()).limit(limit))
    return [Receipt(row.source, row.key, dict(row.answer), row.at) for row in rows]


def count_receipts(connection: sa.Connection, source: str) -> int:
    """How many receipts the source has."""
    query = sa.select(sa.func.count()).select_from(receipt).where(receipt.c.source == _fitting(source))
    return int(connection.execute(query).scalar_one())


def _is(source: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(receipt.c.source == _fitting(source), receipt.c.key == _fitting(key))


def _fitting(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    return f"{name[:_KEPT]}#{hashlib.sha256(name.encode()).hexdigest()}"
