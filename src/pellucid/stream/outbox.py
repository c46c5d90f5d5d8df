"""Outbox: recorded answers go out as events, from a stored position."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import sqlalchemy as sa

from pellucid.errors import PellucidError
from pellucid.flow.rounds import go_round
from pellucid.store.database import Database
from pellucid.store.offsets import advance, lock_offsets, next_offsets
from pellucid.store.predictions import answers_from, count_answers, newest_answer, settled_answers
from pellucid.stream.event import Event
from pellucid.stream.payload import prediction_event
from pellucid.stream.transport import Transport, check_consumer
from pellucid.types import Answer

SOURCE = "/pellucid"  # of prediction events

_PARTITION = 0  # the record of answers has this one
_OWNER = "publish:"  # no consumer's name has a colon


@dataclass(frozen=True, slots=True)
class Published:
    """What became of the answers since the loop began."""

    published: int = 0  # answers that went out
    retries: int = 0  # batches that were begun again
    trouble: str = ""  # why the last batch is to be tried again; empty where it went well


def publish_answers(
    database: Database,
    transport: Transport,
    topic: str,
    publisher: str,
    *,
    source: str = SOURCE,
    batch: int = 100,
    stop: threading.Event | None = None,
    report: Callable[[Published], None] = lambda published: None,
    drain: bool = False,
    wait: float = 1.0,
) -> Published:
    """Sends every answer that is recorded with a uid to the topic, over HTTP or from the stream, oldest first.

    How far it has come is kept in the database. On the embedded stream the position moves in the transaction of the
    events, so each goes out once. Kafka has taken them before the position moves: a publisher that dies in between
    sends them again, under the same id, which is the answer's uid. For an image event that id follows from consumer,
    source and id of the event, so that whoever reads counts each once.

    Args:
        publisher: under whose name the position is kept; another one sends all of them once more.
        source: of the events.
        batch: answers that are sent together.
        stop, report, drain, wait: as of ``consume``.

    Raises:
        ConcurrencyError, StorageError: there is trouble, and ``drain`` was asked for.
        UsageError: topic or publisher cannot be called that.
    """
    check_consumer(_OWNER.replace(":", "-") + publisher)
    so_far = Published()

    def send() -> bool:
        nonlocal so_far
        count = _send(database, transport, topic, publisher, source, batch)
        if count:
            so_far = replace(so_far, published=so_far.published + count, trouble="")
            report(so_far)
        return count > 0

    def tell(error: PellucidError) -> None:
        nonlocal so_far
        so_far = replace(so_far, retries=so_far.retries + 1, trouble=str(error))
        report(so_far)

    go_round(send, stop=stop or threading.Event(), drain=drain, trouble=tell, wait=wait)
    return so_far


def unpublished(connection: sa.Connection, topic: str, publisher: str) -> int:
    """How many recorded answers the publisher has not sent to the topic yet."""
    return count_answers(connection, next_offsets(connection, _OWNER + publisher, topic).get(_PARTITION, 0))


def publisher_of(consumer: str) -> str | None:
    """The publisher that keeps its position under a consumer's name; None where a consumer does."""
    return consumer.removeprefix(_OWNER) if consumer.startswith(_OWNER) else None


def _send(database: Database, transport: Transport, topic: str, publisher: str, source: str, batch: int) -> int:
    owner = _OWNER + publisher
    with database.read() as connection:
        start = next_offsets(connection, owner, topic)
        if newest_answer(connection) < start.get(_PARTITION, 0):
            return 0
    with database.write() as connection:
        upto = settled_answers(connection)
    if not transport.transactional:
        with database.read() as connection:
            found = answers_from(connection, start.get(_PARTITION, 0), upto, limit=batch)
        transport.publish(topic, _events(found, source))  # nobody's writing waits for the broker
    with database.write() as connection:
        if lock_offsets(connection, owner, topic) != start:
            return 0  # another publisher of this name was faster
        if transport.transactional:
            found = answers_from(connection, start.get(_PARTITION, 0), upto, limit=batch)
            transport.publish(topic, _events(found, source), connection=connection)
        if found:
            advance(connection, owner, topic, _PARTITION, found[-1][0] + 1)
    return len(found)


def _events(found: list[tuple[int, Answer]], source: str) -> list[Event]:
    return [prediction_event(answer, source=source) for _, answer in found]
