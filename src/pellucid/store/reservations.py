"""Reservations: who is looking at which picture, so that nobody else is shown it meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.firings import lock_dataset
from pellucid.store.schema import reservation as table


def reserve(
    connection: sa.Connection, dataset: str, samples: Iterable[str], holder: str, most: int, lasts: timedelta
) -> list[str]:
    """Takes the first so many of the samples that nobody else holds, and returns them in their order.

    What the holder has already is renewed and counts among them; what it has besides is freed, so that nobody holds
    more than was asked for last. What others have not renewed in time is free. Of one dataset one at a time does so, so
    that no sample is ever held twice.

    Args:
        connection: of a write transaction.
        samples: the most wanted first; no more of them are looked at than needed.
        most: samples, 0 or more.
        lasts: from now on.
    """
    lock_dataset(connection, dataset)
    now = now_of(connection)
    connection.execute(sa.delete(table).where(table.c.dataset == dataset, table.c.until < now))
    rows = connection.execute(sa.select(table.c.sample_id, table.c.holder).where(table.c.dataset == dataset)).all()
    holders = {row.sample_id: row.holder for row in rows}
    taken: list[str] = []
    for name in dict.fromkeys(samples):
        if len(taken) >= most:
            break
        if holders.get(name, holder) == holder:
            taken.append(name)
    again = [name for name in taken if name in holders]
    if again:
        mine = (table.c.dataset == dataset, table.c.holder == holder, table.c.sample_id.in_(again))
        connection.execute(sa.update(table).where(*mine).values(until=now + lasts))
    if any(holders[name] == holder for name in holders.keys() - set(again)):
        mine = (table.c.dataset == dataset, table.c.holder == holder, table.c.sample_id.not_in(again))
        connection.execute(sa.delete(table).where(*mine))
    new = [name for name in taken if name not in holders]
    if new:
        values = {"dataset": dataset, "holder": holder, "until": now + lasts}
        connection.execute(sa.insert(table), [{**values, "sample_id": name} for name in new])
    return taken


def give_back(connection: sa.Connection, dataset: str, holder: str, samples: Sequence[str] | None = None) -> None:
    """Frees what the holder has of the samples, or all of it; what others hold stays theirs."""
    mine = [table.c.dataset == dataset, table.c.holder == holder]
    mine += [table.c.sample_id.in_(list(samples))] if samples is not None else []
    connection.execute(sa.delete(table).where(*mine))


def holders_now(connection: sa.Connection, dataset: str) -> dict[str, str]:
    """Who holds which sample at this moment."""
    query = sa.select(table).where(table.c.dataset == dataset, table.c.until >= now_of(connection))
    return {row.sample_id: row.holder for row in connection.execute(query)}
