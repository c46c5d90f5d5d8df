"""Aliases: who is champion and candidate, since when, by whom, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, UsageError
from pellucid.store.schema import alias as alias_table
from pellucid.store.schema import alias_history

CHAMPION = "champion"
CANDIDATE = "candidate"
ALIASES = (CHAMPION, CANDIDATE)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the production history."""

    name: str
    alias: str
    revision: int  # 1, 2, 3, ... of this alias
    action: str  # "promote" or "rollback"
    version: int
    previous: int | None
    actor: str
    reason: str
    at: datetime  # UTC


@dataclass(frozen=True, slots=True)
class AliasState:
    """Where an alias points."""

    version: int | None  # None where it never pointed anywhere
    revision: int  # raised by every change; what a compare-and-swap compares


def alias_state(connection: sa.Connection, name: str, alias: str) -> AliasState:
    """Where the alias of the name points now."""
    query = sa.select(alias_table.c.version, alias_table.c.revision)
    row = connection.execute(query.where(alias_table.c.name == name, alias_table.c.alias == alias)).first()
    return AliasState(row.version, row.revision) if row else AliasState(None, 0)


def aliases_of(connection: sa.Connection, name: str) -> dict[int, tuple[str, ...]]:
    """The aliases of each version of the name."""
    query = sa.select(alias_table.c.version, alias_table.c.alias).where(alias_table.c.name == name)
    found: dict[int, tuple[str, ...]] = {}
    for version, alias in connection.execute(query.order_by(alias_table.c.alias)):
        found[version] = (*found.get(version, ()), alias)
    return found


def set_alias(connection: sa.Connection, change: Change) -> None:
    """Carries out the change, in one compare-and-swap with its line of history.

    Raises:
        ConcurrencyError: the alias is no longer at the revision before the change's; nothing was changed.
    """
    where = sa.and_(alias_table.c.name == change.name, alias_table.c.alias == change.alias)
    values = {"version": change.version, "revision": change.revision}
    raced = ConcurrencyError(f"the {change.alias} of {change.name} was changed meanwhile; look again and retry")
    try:
        if change.revision == 1:
            connection.execute(sa.insert(alias_table).values(name=change.name, alias=change.alias, **values))
        else:
            seen = alias_table.c.revision == change.revision - 1
            if not connection.execute(sa.update(alias_table).where(where, seen).values(**values)).rowcount:
                raise raced
        row = {field: getattr(change, field) for field in Change.__slots__}
        connection.execute(sa.insert(alias_history).values(**row))
    except sa.exc.IntegrityError as error:
        raise raced from error


def history_of(connection: sa.Connection, name: str | None = None) -> list[Change]:
    """The production history, oldest first."""
    query = sa.select(alias_history)
    if name is not None:
        query = query.where(alias_history.c.name == name)
    rows = connection.execute(query.order_by(alias_history.c.id))
    return [Change(**{field: getattr(row, field) for field in Change.__slots__}) for row in rows]


def earlier_champion(connection: sa.Connection, name: str) -> int:
    """The version that was champion before the present one.

    Raises:
        UsageError: there was none.
    """
    now = alias_state(connection, name, CHAMPION).version
    stack: list[int] = []
    for change in history_of(connection, name):
        if change.alias == CHAMPION:
            if change.action == "rollback" and change.version in stack:
                while stack[-1] != change.version:
                    stack.pop()
            else:
                stack.append(change.version)
    while stack and stack[-1] == now:
        stack.pop()
    if not stack:
        raise UsageError(f"{name} has no earlier champion to go back to; `pellucid models list` shows its versions")
    return stack[-1]
