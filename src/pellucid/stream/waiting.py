"""Feedback that comes before its image waits; what a voter has replaced in the meantime comes too late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from pellucid.errors import DataError
from pellucid.store.offsets import lock_name
from pellucid.store.receipts import Receipt, claim, count_receipts, drop, receipts_before, receipts_from, settle
from pellucid.stream.consume import refuse
from pellucid.stream.event import Event, from_headers

_AT_ONCE = 100  # waits that one transaction ends


def expect(connection: sa.Connection, dataset: str, name: str) -> None:
    """Makes those who hear of the name, a sample's or an answer's, wait for each other until the transaction ends.

    Whoever looks for the image and whoever brings it then see what the other one did.
    """
    lock_name(connection, "waits", dataset, name)


def put_off(connection: sa.Connection, consumer: str, dataset: str, name: str, event: Event) -> None:
    """Keeps the feedback event, which the consumer has read, until somebody wakes the name."""
    headers = [list(pair) for pair in event.headers()]
    note = {"consumer": consumer, "headers": headers, "data": event.data.decode()}
    claim(connection, _waits(dataset), f"{name}:{event.source}#{event.id}", note)


def wake(connection: sa.Connection, dataset: str, name: str, hear: Callable[[Event], None]) -> None:
    """Hears all events that wait for the name, oldest first; what cannot be used is gone with its wait."""
    for note in receipts_from(connection, _waits(dataset), f"{name}:"):
        if drop(connection, _waits(dataset), note.key):
            hear(_event_of(note))


def give_up(connection: sa.Connection, dataset: str, before: datetime, reason: str) -> int:
    """Sets aside feedback that waits since before then, oldest first, at most a hundred; returns how many."""
    given = 0
    for note in receipts_before(connection, _waits(dataset), before, limit=_AT_ONCE):
        expect(connection, dataset, note.key.partition(":")[0])
        if drop(connection, _waits(dataset), note.key):  # its image may have come just now
            refuse(connection, str(note.answer["consumer"]), _event_of(note), reason)
            given += 1
    return given


def count_waiting(connection: sa.Connection, dataset: str) -> int:
    """How many feedback events wait for their image."""
    return count_receipts(connection, _waits(dataset))


def check_order(connection: sa.Connection, dataset: str, sample: str, voter: str, said_at: datetime | None) -> None:
    """Notes when the voter spoke of the sample. Events without a time are taken in the order in which they come.

    Raises:
        DataError: the voter has said something later, which is to stand.
    """
    if said_at is None:
        return
    key, note = f"{sample}:{voter}", {"time": said_at.isoformat()}
    earlier = claim(connection, _said(dataset), key, note)
    if earlier is None:
        return
    if datetime.fromisoformat(earlier["time"]) > said_at:
        raise DataError(
            f"it comes late: {voter} said at {said_at.isoformat()} what {voter} has replaced at {earlier['time']}; "
            "the later word stands"
        )
    settle(connection, _said(dataset), key, note)


def _event_of(note: Receipt) -> Event:
    headers = [(header, value.encode()) for header, value in note.answer["headers"]]
    return from_headers(headers, note.answer["data"].encode())


def _waits(dataset: str) -> str:
    return f"waits:{dataset}"


def _said(dataset: str) -> str:
    return f"said:{dataset}"
