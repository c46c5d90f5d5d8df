"""The embedded stream: topics in the project's own database, for those who run no broker."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa

from pellucid.errors import DataError
from pellucid.store.database import Database, now_of
from pellucid.store.events import (
    NewEvent,
    StoredEvent,
    append_events,
    count_events,
    earliest_event,
    events_from,
    newest_event,
    prune_events,
)
from pellucid.stream.event import Event, check_data, from_headers
from pellucid.stream.transport import MAX_BATCH_BYTES, Received, check_consumer, check_topic

PARTITION = 0  # each topic has this one

_LOOK = 0.02  # seconds between the first two looks for something new; each wait is twice the one before
_LOOK_AT_MOST = 0.5  # seconds
_PRUNE_AFTER = 60.0  # seconds between two removals of what is too old or too many


class EmbeddedTransport:
    """Events in the tables of the database; see ``Transport``.

    Args:
        max_bytes: an event of more data is not published, and is malformed where it is read.
        keep_for: events that were published longer ago are removed; None for none.
        keep: only the newest so many events of a topic stay; None for all.
    """

    transactional = True

    def __init__(self, database: Database, *, max_bytes: int, keep_for: timedelta | None, keep: int | None) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self._keep_for = keep_for
        self._keep = keep
        self._prune_at: dict[str, float] = {}  # by topic, on the monotonic clock

    def publish(
        self,
        topic: str,
        events: Sequence[Event],
        *,
        key: str | None = None,
        connection: sa.Connection | None = None,
    ) -> None:
        """See ``Transport``."""
        check_topic(topic)
        for event in events:
            check_data(event.data, self._max_bytes)
        if not events:
            return
        new = [NewEvent(event.headers(), event.data, key or event.extensions.get("partitionkey")) for event in events]
        if connection is not None:
            self._append(connection, topic, new)
            return
        with self._database.write() as own:
            self._append(own, topic, new)

    def prune(self, topic: str) -> int:
        """Removes the topic's events that are too old or too many, read or not, and returns how many those were."""
        with self._database.write() as connection:
            return self._prune(connection, topic)

    def read(
        self, topic: str, consumer: str, *, start: Mapping[int, int], limit: int, timeout: float
    ) -> list[Received]:
        """See ``Transport``."""
        check_topic(topic)
        check_consumer(consumer)
        until, pause = time.monotonic() + timeout, _LOOK
        while not (found := self._look(topic, start.get(PARTITION), limit)):
            left = until - time.monotonic()
            if left <= 0:
                return []
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LOOK_AT_MOST)
        return found

    def ends(self, topic: str) -> dict[int, int]:
        """See ``Transport``."""
        check_topic(topic)
        with self._database.read() as connection:
            newest = newest_event(connection, topic)
        return {PARTITION: newest + 1} if newest else {}

    def lag(self, topic: str, start: Mapping[int, int]) -> int:
        """See ``Transport``."""
        check_topic(topic)
        with self._database.read() as connection:
            return count_events(connection, topic, start.get(PARTITION, 0))

    def close(self) -> None:
        """See ``Transport``; the database stays open, it is the project's."""

    def _append(self, connection: sa.Connection, topic: str, new: Sequence[NewEvent]) -> None:
        append_events(connection, topic, new)
        if time.monotonic() >= self._prune_at.get(topic, 0.0):
            self._prune_at[topic] = time.monotonic() + _PRUNE_AFTER
            self._prune(connection, topic)

    def _prune(self, connection: sa.Connection, topic: str) -> int:
        before = now_of(connection) - self._keep_for if self._keep_for is not None else None
        return prune_events(connection, topic, before=before, keep=self._keep)

    def _look(self, topic: str, start: int | None, limit: int) -> list[Received]:
        with self._database.read() as connection:
            earliest = earliest_event(connection, topic)
            if start is not None and start < earliest:
                reason = f"events from offset {start} to {earliest - 1} were removed, too old or too many, before "
                reason += "they were read; keep them longer, or consume more often"
                return [Received(topic, PARTITION, start, earliest, None, reason, lost=True)]
            rows = events_from(connection, topic, start or 0, limit=limit, max_bytes=MAX_BATCH_BYTES)
        return [self._received(topic, row) for row in rows]

    def _received(self, topic: str, row: StoredEvent) -> Received:
        headers = [(name, value.encode()) for name, value in row.headers]
        try:
            event = from_headers(headers, row.body, max_data_bytes=self._max_bytes)
        except DataError as error:
            return Received(topic, PARTITION, row.id, row.id + 1, None, str(error))
        return Received(topic, PARTITION, row.id, row.id + 1, event)
