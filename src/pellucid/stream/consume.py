"""Consume: turns the events of a topic into effects, each once, whatever is killed when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import sqlalchemy as sa

from pellucid.errors import DataError, ImageError, PellucidError
from pellucid.flow.rounds import go_round
from pellucid.store.database import Database
from pellucid.store.offsets import advance, appear, lock_offsets, move_to, next_offsets, readers
from pellucid.store.receipts import Receipt, claim, count_receipts, receipts_of
from pellucid.stream.event import Event
from pellucid.stream.transport import Received, Transport, check_consumer, check_topic

BATCH = 100  # events a transaction: enough to make its commit cheap, few enough to do again
WAIT = 1.0  # seconds that one read waits for events, and about how long a stop takes

Handler = Callable[[sa.Connection, Event], None]
Preparer = Callable[[Sequence[Event]], None]
Surrounder = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Consumed:
    """What became of the events since the loop began."""

    handled: int = 0  # events that had their effect
    duplicates: int = 0  # events that had had it before
    set_aside: int = 0  # messages that are no event, or one that the handler cannot use; `aside_of` tells the reasons
    lost: int = 0  # times that messages had been removed from the topic before they were read; `aside_of` tells which
    retries: int = 0  # batches that were begun again
    trouble: str = ""  # why the last batch is to be tried again; empty where it went well


Housekeeper = Callable[[], int]
Watcher = Callable[[Consumed], None]


def consume(
    database: Database,
    transport: Transport,
    topics: str | Sequence[str],
    consumer: str,
    handle: Handler,
    *,
    prepare: Preparer = lambda events: None,
    around: Surrounder = nullcontext,
    between: Housekeeper = lambda: 0,
    batch: int = BATCH,
    stop: threading.Event | None = None,
    report: Watcher = lambda consumed: None,
    drain: bool = False,
    wait: float = WAIT,
) -> Consumed:
    """Reads one topic or several, in turn, and handles each event once; returns what became of all in the end.

    A batch is one transaction: receipts, effects and offsets are committed together or not at all, so that a process
    that is killed leaves nothing half done. An event counts once for each consumer, by its source and id, also where it
    was published twice. Processes that share a consumer's name take turns.

    Args:
        consumer: under whose name to read; other consumers see all events too.
        handle: has the event's effect through the connection, in the batch's transaction, and nowhere else. Where it
            raises DataError or ImageError, its effect is undone and the event set aside for good. Where it raises
            ConcurrencyError or StorageError, the batch is tried again; where it raises anything else, the batch is
            undone and the loop ends.
        prepare: is given each batch's events before its transaction begins, for what takes long and has no effect, such
            as computing the vectors of many images at once; a batch that is tried again comes again.
        around: makes what is entered before each batch's transaction begins and left after it is committed, or left
            with the error where it is not: what lives in memory follows the database with it.
        between: is called before each round of reading, also where nothing comes; returns how many events that were
            put off it has set aside.
        batch: events a transaction.
        stop: set it to end the loop after the batch in hand.
        report: told after each batch that was committed, and each that is to be tried again.
        drain: ends where nothing is left to read, and raises the trouble instead of trying again.
        wait: seconds to wait for events where no topic has any.

    Raises:
        ConcurrencyError, StorageError: there is trouble, and ``drain`` was asked for.
        UsageError: topic or consumer cannot be called that.
    """
    check_consumer(consumer)
    stop = stop or threading.Event()
    names = [topics] if isinstance(topics, str) else list(topics)
    for name in names:
        check_topic(name)
    so_far = Consumed()
    patience = 0.0  # seconds that a read waits: none before all topics have been looked at in vain
    known = False  # whether others can see that this consumer reads

    def read_each() -> bool:
        nonlocal so_far, patience, known
        if not known:
            _appear(database, consumer, names)
            known = True
        if given_up := between():
            so_far = replace(so_far, set_aside=so_far.set_aside + given_up)
            report(so_far)
        quiet = True
        for topic in names:
            with database.read() as connection:
                start = next_offsets(connection, consumer, topic)
            received = transport.read(topic, consumer, start=start, limit=batch, timeout=patience)
            if received:
                quiet, patience = False, 0.0
                prepare([item.event for item in received if item.event is not None])
                with around():
                    so_far = _commit(database, topic, consumer, handle, start, received, so_far)
                report(so_far)
            if stop.is_set():
                break
        patience = wait / len(names) if quiet else 0.0
        return not quiet

    def tell(error: PellucidError) -> None:
        nonlocal so_far
        so_far = replace(so_far, retries=so_far.retries + 1, trouble=str(error))
        report(so_far)

    go_round(read_each, stop=stop, drain=drain, trouble=tell)
    return so_far


def aside_of(connection: sa.Connection, consumer: str, *, limit: int | None = None) -> list[Receipt]:
    """What the consumer set aside, newest first.

    The ``answer`` of each has topic, partition, offset and reason; source, id and type, too, where it was an event.
    """
    return receipts_of(connection, _aside(consumer), limit=limit)


def count_aside(connection: sa.Connection, consumer: str) -> int:
    """How much the consumer has set aside."""
    return count_receipts(connection, _aside(consumer))


def refuse(connection: sa.Connection, consumer: str, event: Event, reason: str) -> None:
    """Sets aside an event that was put off before, and has turned out to be of no use."""
    place = {"topic": "", "partition": 0, "offset": 0, "reason": reason}
    place |= {"source": event.source, "id": event.id, "type": event.type}
    claim(connection, _aside(consumer), f"early:{event.source}#{event.id}", place)


def _appear(database: Database, consumer: str, topics: Sequence[str]) -> None:
    with database.read() as connection:
        known = set(readers(connection))
    new = [topic for topic in topics if (consumer, topic) not in known]
    if new:
        with database.write() as connection:
            for topic in new:
                appear(connection, consumer, topic)


def _commit(
    database: Database,
    topic: str,
    consumer: str,
    handle: Handler,
    start: dict[int, int],
    received: Sequence[Received],
    so_far: Consumed,
) -> Consumed:
    handled = duplicates = set_aside = lost = 0
    with database.write() as connection:
        if lock_offsets(connection, consumer, topic) != start:
            return so_far  # another process of this name was faster: read on from where it came to
        for item in received:
            if item.event is None:
                lost, set_aside = lost + item.lost, set_aside + (not item.lost)
                _set_aside(connection, consumer, item, item.reason)
            elif not _first(connection, consumer, item, item.event):
                duplicates += 1
            else:
                try:
                    with connection.begin_nested():
                        handle(connection, item.event)
                    handled += 1
                except (DataError, ImageError) as error:
                    _set_aside(connection, consumer, item, str(error))
                    set_aside += 1
        ends = {item.partition: item for item in received}
        for partition, item in sorted(ends.items()):
            went_back = any(other.lost and other.partition == partition for other in received)
            (move_to if went_back else advance)(connection, consumer, topic, partition, item.next)
    return replace(
        so_far,
        handled=so_far.handled + handled,
        duplicates=so_far.duplicates + duplicates,
        set_aside=so_far.set_aside + set_aside,
        lost=so_far.lost + lost,
        trouble="",
    )


def _first(connection: sa.Connection, consumer: str, item: Received, event: Event) -> bool:
    place = {"topic": item.topic, "partition": item.partition, "offset": item.offset, "type": event.type}
    return claim(connection, f"event:{consumer}:{event.source}", event.id, place) is None


def _set_aside(connection: sa.Connection, consumer: str, item: Received, reason: str) -> None:
    place = {"topic": item.topic, "partition": item.partition, "offset": item.offset, "reason": reason}
    if item.event is not None:
        place |= {"source": item.event.source, "id": item.event.id, "type": item.event.type}
    key = f"{'lost:' if item.lost else ''}{item.topic}:{item.partition}:{item.offset}"
    claim(connection, _aside(consumer), key, place)


def _aside(consumer: str) -> str:
    return f"aside:{consumer}"
