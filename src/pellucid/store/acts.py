"""Acts: the audit trail of who changed what in production, by hand. What was done is only ever added to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.schema import act as act_table

UNSURE = "unsure"  # in the detail of an act that was begun, and of which nobody has said yet that it is done


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did."""

    id: int  # later acts have higher ones
    at: datetime  # UTC
    actor: str  # the name of the token
    verb: str  # "promote"
    subject: str  # "trash@2"
    detail: Mapping[str, Any]


def add_act(connection: sa.Connection, actor: str, verb: str, subject: str, detail: Mapping[str, Any]) -> int:
    """Writes one act down, and returns its number."""
    values = {"at": now_of(connection), "actor": actor, "verb": verb, "subject": subject, "detail": dict(detail)}
    key = connection.execute(sa.insert(act_table).values(**values)).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has a key
    return int(key[0])


def begin_act(connection: sa.Connection, actor: str, verb: str, subject: str, detail: Mapping[str, Any]) -> int:
    """Writes an act down before it is done: where its process dies over it, the line stands, with ``UNSURE`` in it."""
    return add_act(connection, actor, verb, subject, {**detail, UNSURE: True})


def end_act(connection: sa.Connection, number: int, detail: Mapping[str, Any]) -> None:
    """An act that was begun is done."""
    connection.execute(sa.update(act_table).where(act_table.c.id == number).values(detail=dict(detail)))


def drop_act(connection: sa.Connection, number: int) -> None:
    """An act that was begun was refused, and is none."""
    connection.execute(sa.delete(act_table).where(act_table.c.id == number))


def newest_acts(connection: sa.Connection, most: int, *, before: int | None = None) -> list[Act]:
    """At most so many acts, newest first.

    Args:
        before: only acts with a lower id than this one.
    """
    query = sa.select(act_table).order_by(act_table.c.id.desc()).limit(most)
    if before is not None:
        query = query.where(act_table.c.id < before)
    return [Act(row.id, row.at, row.actor, row.verb, row.subject, row.detail) for row in connection.execute(query)]
