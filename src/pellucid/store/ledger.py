"""The ledger: how samples stand in a model that goes on learning. Only ever added to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.schema import alias
from pellucid.store.schema import ledger as table
from pellucid.store.schema import model as model_table
from pellucid.types import ModelVersion

_NAME, _VERSION = sa.bindparam("name", type_=sa.String), sa.bindparam("version", type_=sa.Integer)
_STANDING = sa.select(  # made once, because every server asks it ten times a second
    sa.select(alias.c.version).where(alias.c.name == _NAME, alias.c.alias == "champion").scalar_subquery(),
    sa.select(sa.func.max(table.c.id))
    .where(table.c.model_name == _NAME, table.c.model_version == _VERSION)
    .scalar_subquery(),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """From here on the sample stands in the model so, whatever stood before."""

    sample: str  # Sample.id
    label: str | None  # None where it is no longer learnt
    weight: float  # 0..1: how much the image counts
    action: str  # "learn", "unlearn", "carry", "guard" or "audit"
    reason: str
    vote: int | None = None  # the number of the vote that was the occasion
    id: int = 0  # its number in the ledger; given by the store
    strength: float = 1.0  # 0..1: how much of the label is learnt

    @property
    def credit(self) -> float:
        """How much the model learns of the label from this image, 0..1: weight times strength."""
        return self.weight * self.strength


def hold(connection: sa.Connection, model: ModelVersion) -> None:
    """Keeps all others from adding to the model's ledger until this transaction ends.

    Numbers then become visible in their order, so that whoever has read up to one has missed none below it. Answers,
    which refer to the model, are not kept waiting. On SQLite a write transaction alone does that.
    """
    if connection.dialect.name == "postgresql":
        mine = (model_table.c.name == model.name, model_table.c.version == model.version)
        connection.execute(sa.select(model_table.c.id).where(*mine).with_for_update(key_share=True))


def add_entries(connection: sa.Connection, model: ModelVersion, entries: Sequence[Entry]) -> int:
    """Adds to the ledger of a model that is held, and returns the newest number."""
    now = datetime.now(UTC)
    for item in entries:  # one by one: numbers are to be in this order
        values = {
            "model_name": model.name,
            "model_version": model.version,
            "sample_id": item.sample,
            "label": item.label,
            "weight": item.weight,
            "strength": item.strength,
            "action": item.action,
            "reason": item.reason,
            "vote_id": item.vote,
            "at": now,
        }
        connection.execute(sa.insert(table).values(**values))
    return newest_entry(connection, model)


def newest_entry(connection: sa.Connection, model: ModelVersion) -> int:
    """The newest number in the model's ledger; 0 where it is empty."""
    query = sa.select(sa.func.max(table.c.id)).where(*_of(model))
    return int(connection.execute(query).scalar() or 0)


def standing(connection: sa.Connection, model: ModelVersion) -> tuple[int | None, int]:
    """The champion's version of the model's name, None where there is none, and the newest number in its ledger."""
    row = connection.execute(_STANDING, {"name": model.name, "version": model.version}).one()
    return row[0], int(row[1] or 0)


def entries_after(connection: sa.Connection, model: ModelVersion, after: int) -> list[Entry]:
    """The entries with a number above ``after``, in their order."""
    return _entries(connection, sa.select(table).where(*_of(model), table.c.id > after))


def entries_of(connection: sa.Connection, model: ModelVersion, sample: str) -> list[Entry]:
    """The entries of one sample, in their order."""
    return _entries(connection, sa.select(table).where(*_of(model), table.c.sample_id == sample))


def lines_on(connection: sa.Connection, sample: str, most: int) -> list[tuple[str, datetime, Entry]]:
    """The newest entries of one sample in the ledgers of all models, newest first, each with its model and time."""
    query = sa.select(table).where(table.c.sample_id == sample).order_by(table.c.id.desc()).limit(most)
    return [(f"{row.model_name}@{row.model_version}", row.at, _entry(row)) for row in connection.execute(query).all()]


def _entries(connection: sa.Connection, query: sa.Select[Any]) -> list[Entry]:
    return [_entry(row) for row in connection.execute(query.order_by(table.c.id)).all()]


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(row.sample_id, row.label, row.weight, row.action, row.reason, row.vote_id, row.id, row.strength)


def _of(model: ModelVersion) -> tuple[sa.ColumnElement[bool], ...]:
    return (table.c.model_name == model.name, table.c.model_version == model.version)
