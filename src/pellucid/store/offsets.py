"""Offsets: how far each consumer of a stream has come, kept beside the effects of what it has read."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.store.schema import stream_offset

EARLIEST = ""  # nobody's name: its offset is where a topic of the embedded stream begins

_NOWHERE = -1  # no partition's number: who has it reads the topic


def next_offsets(connection: sa.Connection, consumer: str, topic: str) -> dict[int, int]:
    """The offset that the consumer is to read next in each partition; partitions that it never read are not there.

    >>> from pellucid.store.database import Database
    >>> with Database.open("sqlite://").write() as connection:
    ...     advance(connection, "predict", "images", 0, 42)
    ...     next_offsets(connection, "predict", "images")
    {0: 42}
    """
    query = sa.select(stream_offset.c.partition, stream_offset.c.next)
    mine = (stream_offset.c.consumer == consumer, stream_offset.c.topic == topic)
    rows = connection.execute(query.where(*mine, stream_offset.c.partition != _NOWHERE))
    return {row.partition: row.next for row in rows}


def appear(connection: sa.Connection, consumer: str, topic: str) -> None:
    """Records that the consumer reads the topic, so that `readers` knows it before its first message."""
    _move(connection, consumer, topic, _NOWHERE, 0, sa.true())


def readers(connection: sa.Connection) -> list[tuple[str, str]]:
    """Everybody who keeps an offset or has appeared, and of which topic."""
    query = sa.select(stream_offset.c.consumer, stream_offset.c.topic).distinct()
    return [(row.consumer, row.topic) for row in connection.execute(query.order_by(*query.selected_columns))]


def lock_offsets(connection: sa.Connection, consumer: str, topic: str) -> dict[int, int]:
    """As ``next_offsets``, and until this transaction ends no other one gets here for the same consumer and topic."""
    lock_name(connection, "consumer", consumer, topic)
    return next_offsets(connection, consumer, topic)


def advance(connection: sa.Connection, consumer: str, topic: str, partition: int, next: int) -> None:
    """Records that the consumer is to read ``next`` next.

    Raises:
        ConcurrencyError: it is further already; somebody else reads under the same name.
    """
    if not _move(connection, consumer, topic, partition, next, stream_offset.c.next <= next):
        further = next_offsets(connection, consumer, topic)[partition]
        raise ConcurrencyError(
            f"the consumer {consumer!r} is at offset {further} of {topic}/{partition} already and was to be set back "
            f"to {next}: another process reads under the same name; nothing was changed, read again from {further}"
        )


def move_to(connection: sa.Connection, consumer: str, topic: str, partition: int, next: int) -> None:
    """Records that the consumer is to read ``next`` next, also where that is a step back."""
    _move(connection, consumer, topic, partition, next, sa.true())


def lock_name(connection: sa.Connection, *names: str) -> None:
    """Makes those who name the same wait for each other until the end of the transaction."""
    if connection.dialect.name == "postgresql":  # on SQLite whoever writes is alone anyway
        digest = hashlib.sha256("\0".join(names).encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _move(
    connection: sa.Connection, consumer: str, topic: str, partition: int, next: int, when: sa.ColumnElement[bool]
) -> bool:
    keys = {"consumer": consumer, "topic": topic, "partition": partition}
    where = sa.and_(*(stream_offset.c[name] == value for name, value in keys.items()))
    if connection.execute(sa.update(stream_offset).where(where, when).values(next=next)).rowcount:
        return True
    if connection.execute(sa.select(stream_offset.c.next).where(where)).first() is not None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(stream_offset).values(**keys, next=next))
    except sa.exc.IntegrityError:  # somebody else's first one came in between
        return _move(connection, consumer, topic, partition, next, when)
    return True
