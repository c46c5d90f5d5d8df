"""Acts: the audit trail of who changed what in production, by hand. Only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.schema import act as act_table


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did."""

    id: int  # later acts have higher ones
    at: datetime  # UTC
    actor: str  # the name of the token
    verb: str  # "promote"
    subject: str  # "trash@2"
    detail: Mapping[str, Any]


def add_act(connection: sa.Connection, actor: str, verb: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Writes one act down."""
    values = {"at": now_of(connection), "actor": actor, "verb": verb, "subject": subject, "detail": dict(detail)}
    connection.execute(sa.insert(act_table).values(**values))


def newest_acts(connection: sa.Connection, most: int, *, before: int | None = None) -> list[Act]:
    """At most so many acts, newest first.

    Args:
        before: only acts with a lower id than this one.
    """
    query = sa.select(act_table).order_by(act_table.c.id.desc()).limit(most)
    if before is not None:
        query = query.where(act_table.c.id < before)
    return [Act(row.id, row.at, row.actor, row.verb, row.subject, row.detail) for row in connection.execute(query)]
