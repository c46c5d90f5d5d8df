"""Transport: the contract of whatever carries events, and how to open one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import sqlalchemy as sa

from pellucid.errors import ConfigError, UsageError
from pellucid.store.database import Database
from pellucid.stream.event import MAX_DATA_BYTES, Event

EMBEDDED = "embedded"
KAFKA = "kafka://"
MAX_BATCH_BYTES = 64 * 2**20  # data of the events that one read gives, but for the last of them

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(\d{1,5})")
_WANTED = f"wanted is {EMBEDDED} or {KAFKA}HOST:PORT[,HOST:PORT...]"


@dataclass(frozen=True, slots=True)
class Received:
    """One message of a topic: an event, or the reason why there is none."""

    topic: str
    partition: int
    offset: int  # where it lies in the partition
    next: int  # the offset to go on from once this one is dealt with
    event: Event | None  # None where the message is malformed, or lost
    reason: str = ""  # why there is no event
    lost: bool = False  # messages from ``offset`` on were removed before they were read; it goes on at ``next``


class Transport(Protocol):
    """Carries events. Each topic has partitions; what lies in one partition is read in the order of publishing.

    Where a consumer stands is not the transport's business: it is told with every read, and kept in the database in the
    transaction of the events' effects (``store.offsets``).
    """

    transactional: bool  # whether publishing becomes a part of the caller's transaction

    def publish(
        self,
        topic: str,
        events: Sequence[Event],
        *,
        key: str | None = None,
        connection: sa.Connection | None = None,
    ) -> None:
        """Publishes the events, in order; once it returns they are durable.

        Where it raises, some of them may have been taken: publish them all again, they are recognised by source and id.

        Args:
            key: events of one key stay in order among each other; None takes each event's extension ``partitionkey``,
                and spreads events without one over the partitions.
            connection: the caller's write transaction. The embedded stream publishes in it, so that the events come
                about with it or not at all; Kafka has taken them before it commits.

        Raises:
            DataError: an event's data are larger than the transport takes; none was published.
            StorageError: the events were not taken in time.
            UsageError: the topic cannot be called that.
        """

    def read(
        self, topic: str, consumer: str, *, start: Mapping[int, int], limit: int, timeout: float
    ) -> list[Received]:
        """The next messages, at most ``limit`` of them and not much more than ``MAX_BATCH_BYTES``.

        An empty list says that nothing lies beyond ``start``, never that the broker was too slow to say so. A topic
        that does not exist yet is empty.

        Args:
            consumer: who reads; consumers do not disturb each other.
            start: the offset to read from by partition; other partitions are read from their beginning.
            timeout: seconds to wait for a message where there is none.

        Raises:
            StorageError: the broker or the database cannot be reached, or does not answer.
            UsageError: topic or consumer cannot be called that.
        """

    def ends(self, topic: str) -> dict[int, int]:
        """The offset behind the last message of each partition: what a consumer's lag is measured against.

        Raises:
            StorageError: the broker or the database cannot be reached, or does not answer.
        """

    def lag(self, topic: str, start: Mapping[int, int]) -> int:
        """How many messages of the topic a consumer has not read yet that is to read the offsets ``start`` next.

        Raises:
            StorageError: the broker or the database cannot be reached, or does not answer.
        """

    def close(self) -> None:
        """Gives all connections back."""


def open_transport(
    url: str,
    database: Database,
    *,
    timeout: float = 30.0,
    max_bytes: int = MAX_DATA_BYTES,
    keep_for: timedelta | None = timedelta(days=7),
    keep: int | None = 1_000_000,
) -> Transport:
    """The transport at the URL.

    >>> database = Database.open("sqlite://")
    >>> transport = open_transport("embedded", database)
    >>> transport.publish("images", [Event("1", "/cameras/3", "ai.pellucid.image.v1", data=b"...")])
    >>> [received.event.id for received in transport.read("images", "predict", start={}, limit=10, timeout=0.0)]
    ['1']

    Args:
        url: ``embedded``, in the database, or ``kafka://HOST:PORT[,HOST:PORT...]``.
        timeout: seconds after which a broker counts as down.
        max_bytes: an event of more data is not published, and set aside where it is read.
        keep_for, keep: the embedded stream removes what is older, and what is not among the newest so many of its
            topic, read or not; Kafka's topics have settings of their own.

    Raises:
        ConfigError: the URL is neither.
        MissingExtraError: Kafka is asked for and its client is not installed.
    """
    if url == EMBEDDED:
        from pellucid.stream.embedded import EmbeddedTransport

        return EmbeddedTransport(database, max_bytes=max_bytes, keep_for=keep_for, keep=keep)
    if not url.startswith(KAFKA):
        raise ConfigError(f"the stream is {url!r}; {_WANTED}")
    hosts = url.removeprefix(KAFKA).rstrip("/").split(",")
    for host in hosts:
        found = _HOST.fullmatch(host)
        if not found or not 0 < int(found[1]) < 65536:
            raise ConfigError(f"the stream {url!r} holds {host!r}, which is no HOST:PORT; {_WANTED}")
    from pellucid.stream.kafka import KafkaTransport

    return KafkaTransport(",".join(hosts), timeout=timeout, max_bytes=max_bytes)


def check_topic(name: str) -> None:
    """Raises UsageError for what Kafka takes for no topic."""
    if not _NAME.fullmatch(name) or len(name) > 249 or name in {".", ".."}:
        raise UsageError(f"a topic cannot be called {name!r}; wanted are 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'")


def check_consumer(name: str) -> None:
    """Raises UsageError for what is no consumer's name."""
    if not _NAME.fullmatch(name) or len(name) > 128:
        raise UsageError(
            f"a consumer cannot be called {name!r}; wanted are 1 to 128 of a-z, A-Z, 0-9, '.', '_' and '-'"
        )
