"""Standing: how far everybody who reads or writes the stream has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.store.database import Database
from pellucid.store.datasets import dataset_names
from pellucid.store.offsets import EARLIEST, next_offsets, readers
from pellucid.stream.consume import count_aside
from pellucid.stream.outbox import publisher_of, unpublished
from pellucid.stream.transport import Transport
from pellucid.stream.waiting import count_waiting


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one consumer has come in a topic, or one publisher in the record of answers."""

    topic: str
    name: str | None  # of the consumer or publisher; None for a topic that nobody has read yet
    role: str  # "consumer" or "publisher"
    lag: int  # messages not read, or answers not sent, yet
    set_aside: int  # messages that could not be used, of all topics that the consumer reads


def standings(database: Database, transport: Transport, topics: Sequence[str]) -> list[Standing]:
    """Everybody's standing, by topic and name; of ``topics`` also those that nobody has read yet.

    Raises:
        StorageError: the broker or the database cannot be reached.
    """
    with database.read() as connection:
        known = [(name, topic) for name, topic in readers(connection) if name != EARLIEST]
        starts = {(name, topic): next_offsets(connection, name, topic) for name, topic in known}
        aside = {name: count_aside(connection, name) for name, _ in known}
        unsent = {
            (name, topic): unpublished(connection, topic, publisher)
            for name, topic in known
            if (publisher := publisher_of(name)) is not None
        }
    found = [
        Standing(topic, publisher_of(name), "publisher", unsent[name, topic], 0)
        if (name, topic) in unsent
        else Standing(topic, name, "consumer", transport.lag(topic, start), aside[name])
        for (name, topic), start in starts.items()
    ]
    read = {item.topic for item in found if item.role == "consumer"}
    found += [Standing(topic, None, "consumer", transport.lag(topic, {}), 0) for topic in topics if topic not in read]
    return sorted(found, key=lambda item: (item.topic, item.role, item.name or ""))


def waiting(database: Database) -> dict[str, int]:
    """How many feedback events wait for an image that has not come yet, by dataset."""
    with database.read() as connection:
        found = {name: count_waiting(connection, name) for name in dataset_names(connection)}
    return {name: count for name, count in found.items() if count}
