"""Receipts: what was received once, by its source's own name for it, and is not to count again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.store.schema import receipt as table


def receipt_of(connection: sa.Connection, source: str, key: str) -> dict[str, Any] | None:
    """What was answered when this came for the first time; None where it is new."""
    query = sa.select(table.c.answer).where(table.c.source == source, table.c.key == key)
    found = connection.execute(query).scalar()
    return None if found is None else dict(found)


def add_receipt(connection: sa.Connection, source: str, key: str, answer: Mapping[str, Any]) -> None:
    """Keeps the answer, in the transaction of its effect.

    Raises:
        ConcurrencyError: the same came twice at once, and the other one was faster.
    """
    values = {"source": source, "key": key, "answer": dict(answer), "at": datetime.now(UTC)}
    try:
        connection.execute(sa.insert(table).values(**values))
    except sa.exc.IntegrityError as error:
        raise ConcurrencyError(f"{key!r} of {source} was received twice at once; send it again") from error
