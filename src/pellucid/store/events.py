"""The embedded stream's events: a log for each topic, in the project's own database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.offsets import EARLIEST, lock_name, move_to, next_offsets
from pellucid.store.schema import stream_event

Headers = tuple[tuple[str, str], ...]

_PARTITION = 0  # the embedded stream's topics have one each


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event on its way into the log."""

    headers: Headers
    body: bytes = field(repr=False)
    key: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One line of a topic's log."""

    id: int  # grows along the log, with holes
    headers: Headers
    body: bytes = field(repr=False)
    key: str | None
    at: datetime  # UTC; when it was published


def append_events(connection: sa.Connection, topic: str, events: Sequence[NewEvent]) -> None:
    """Adds the events at the end of the topic's log, in their order.

    Publishers of one topic wait for each other, so that ids become visible in their order: whoever has read an id
    never misses a smaller one that commits later.
    """
    if not events:
        return
    lock_name(connection, "topic", topic)
    now = now_of(connection)
    rows = [
        {
            "topic": topic,
            "key": item.key,
            "headers": [list(pair) for pair in item.headers],
            "body": item.body,
            "at": now,
        }
        for item in events
    ]
    # Without the order said, a database may number the rows of one statement as it likes.
    connection.execute(sa.insert(stream_event).returning(stream_event.c.id, sort_by_parameter_order=True), rows).all()


def events_from(connection: sa.Connection, topic: str, start: int, *, limit: int, max_bytes: int) -> list[StoredEvent]:
    """The topic's events from the id ``start`` on, oldest first: at most ``limit``.

    Args:
        max_bytes: the last event given is the one whose body brings their sum to this many bytes or beyond.
    """
    here = sa.and_(stream_event.c.topic == topic, stream_event.c.id >= start)
    sizes = sa.select(stream_event.c.id, sa.func.length(stream_event.c.body).label("size"))
    last, total = None, 0
    for row in connection.execute(sizes.where(here).order_by(stream_event.c.id).limit(limit)).all():
        last, total = row.id, total + row.size
        if total >= max_bytes:
            break
    if last is None:
        return []
    query = sa.select(stream_event).where(here, stream_event.c.id <= last).order_by(stream_event.c.id)
    return [
        StoredEvent(row.id, tuple((name, value) for name, value in row.headers), row.body, row.key, row.at)
        for row in connection.execute(query).all()
    ]


def earliest_event(connection: sa.Connection, topic: str) -> int:
    """The smallest id that was never removed from the topic's log: whoever is to read a smaller one has lost some."""
    return next_offsets(connection, EARLIEST, topic).get(_PARTITION, 0)


def newest_event(connection: sa.Connection, topic: str) -> int:
    """The id of the topic's last event, 0 where it has none: what a consumer's lag is measured against."""
    return int(connection.execute(_newest(stream_event.c.topic == topic)).scalar() or 0)


def count_events(connection: sa.Connection, topic: str, start: int) -> int:
    """How many events the topic has from the id ``start`` on."""
    query = sa.select(sa.func.count()).select_from(stream_event)
    return int(connection.execute(query.where(stream_event.c.topic == topic, stream_event.c.id >= start)).scalar_one())


def prune_events(connection: sa.Connection, topic: str, *, before: datetime | None, keep: int | None) -> int:
    """Removes the topic's events that are too old or too many, and returns how many those were.

    Args:
        before: events that were published earlier go; None for none.
        keep: only the newest so many stay; None for all.
    """
    lock_name(connection, "topic", topic)
    of_topic = stream_event.c.topic == topic
    bound = 0
    if before is not None:
        bound = max(bound, int(connection.execute(_newest(of_topic, stream_event.c.at < before)).scalar() or 0))
    if keep is not None:
        ids = sa.select(stream_event.c.id).where(of_topic).order_by(stream_event.c.id.desc()).offset(keep).limit(1)
        bound = max(bound, int(connection.execute(ids).scalar() or 0))
    # The table's last row stays: SQLite would give its id to the next event, behind the back of those who read it.
    gone = sa.and_(of_topic, stream_event.c.id <= bound, stream_event.c.id < _newest().scalar_subquery())
    last = connection.execute(_newest(gone)).scalar()
    if last is None:
        return 0
    removed = connection.execute(sa.delete(stream_event).where(of_topic, stream_event.c.id <= last)).rowcount
    move_to(connection, EARLIEST, topic, _PARTITION, last + 1)
    return removed


def _newest(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.func.max(stream_event.c.id)).where(*where)
