"""The contract of the transports: what is published is read in order, and each event counts once, whatever fails when.

Every test runs on the embedded stream and on Kafka's wire protocol, each with its offsets on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

import pellucid.stream
from pellucid.errors import ConcurrencyError, DataError, ImageError, StorageError, UsageError
from pellucid.store.database import Database
from pellucid.store.events import NewEvent, append_events
from pellucid.store.offsets import next_offsets
from pellucid.stream.consume import Consumed, aside_of, consume
from pellucid.stream.embedded import EmbeddedTransport
from pellucid.stream.event import IMAGE, Event
from pellucid.stream.kafka import KafkaTransport
from pellucid.stream.transport import Received, Transport, open_transport

EFFECTS = sa.Table(
    "effect_of_a_test",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("consumer", sa.String(64)),
    sa.Column("event", sa.String(300)),
)


class Door(Database):
    """A database that can be out of reach; the embedded stream's broker."""

    shut = False

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        self._check()
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        self._check()
        with super().write() as connection:
            yield connection

    def _check(self) -> None:
        if self.shut:
            raise StorageError("the database is out of reach")


@dataclass
class Stream:
    """A transport under test, the database of its consumers' offsets, and ways to break it."""

    kind: str
    database: Database
    broker: Any  # a Door or a KafkaBroker
    topic: str = field(default_factory=lambda: f"t-{uuid.uuid4().hex}")
    opened: list[Transport] = field(default_factory=list)

    def open(self, *, timeout: float = 20.0, **options: Any) -> Transport:
        if self.kind == "embedded":
            made = open_transport("embedded", self.broker, timeout=timeout, **options)
        else:
            made = open_transport(self.broker.url, self.database, timeout=timeout, **options)
        self.opened.append(made)
        return made

    def down(self) -> None:
        if self.kind == "embedded":
            self.broker.shut = True
        else:
            self.broker.down()

    def up(self) -> None:
        if self.kind == "embedded":
            self.broker.shut = False
        else:
            self.broker.up()

    def put_raw(self, headers: list[tuple[str, str]], body: bytes) -> None:
        """A message that no honest publisher would write."""
        if self.kind == "embedded":
            with self.database.write() as connection:
                append_events(connection, self.topic, [NewEvent(tuple(headers), body, "k")])
            return
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self.broker.servers})
        producer.produce(self.topic, value=body, key="k", headers=list(headers))
        assert producer.flush(20.0) == 0

    def consume(self, transport: Transport, consumer: str = "c", **options: Any) -> Consumed:
        handle = options.pop("handle", self.effect(consumer))
        return consume(self.database, transport, self.topic, consumer, handle, **{"drain": True, **options})

    def effect(self, consumer: str = "c") -> Callable[[sa.Connection, Event], None]:
        def handle(connection: sa.Connection, event: Event) -> None:
            connection.execute(sa.insert(EFFECTS).values(consumer=consumer, event=event.id))

        return handle

    def effects(self, consumer: str = "c") -> list[str]:
        """The ids of the events that had their effect, in that order."""
        query = sa.select(EFFECTS.c.event).where(EFFECTS.c.consumer == consumer).order_by(EFFECTS.c.id)
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())

    def offsets(self, consumer: str = "c") -> dict[int, int]:
        with self.database.read() as connection:
            return next_offsets(connection, consumer, self.topic)

    def aside(self, consumer: str = "c") -> list[Any]:
        with self.database.read() as connection:
            return [receipt.answer for receipt in aside_of(connection, consumer)]


@pytest.fixture(params=["embedded", "kafka"])
def stream(request: pytest.FixtureRequest, database: Database) -> Iterator[Stream]:
    EFFECTS.metadata.create_all(database.engine)
    embedded = request.param == "embedded"
    made = Stream(
        request.param, database, Door(database.engine) if embedded else request.getfixturevalue("kafka_broker")
    )
    yield made
    for transport in made.opened:
        transport.close()


def events(count: int, *, start: int = 0, source: str = "/cameras/3", data: bytes = b"pixels") -> list[Event]:
    return [Event(str(n), source, IMAGE, data=data + b"%d" % n) for n in range(start, start + count)]


def ids(count: int, *, start: int = 0) -> list[str]:
    return [str(n) for n in range(start, start + count)]


def read(transport: Transport, stream: Stream, start: dict[int, int] | None = None, **options: Any) -> list[Received]:
    return transport.read(stream.topic, "c", **{"start": start or {}, "limit": 1000, "timeout": 0.0, **options})


def read_all(transport: Transport, stream: Stream, *, limit: int = 1000) -> list[Received]:
    start: dict[int, int] = {}
    found: list[Received] = []
    while more := read(transport, stream, start, limit=limit):
        assert len(more) <= limit
        found += more
        start |= {item.partition: item.next for item in more}
    return found


def test_the_suite_runs_every_transport() -> None:
    found = set()
    for module in pkgutil.iter_modules(pellucid.stream.__path__, "pellucid.stream."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind is not Transport and all(hasattr(kind, name) for name in ("publish", "read", "ends", "close")):
                found.add(kind)
    assert found == {EmbeddedTransport, KafkaTransport}


def test_events_of_one_key_are_read_as_they_were_published(stream: Stream) -> None:
    transport = stream.open()
    published = [
        Event(
            "a",
            "/x",
            IMAGE,
            subject="кот 🐈",
            datacontenttype="image/png",
            data=bytes(range(256)),
            extensions={"n": ""},
        ),
        *events(50),
    ]
    transport.publish(stream.topic, published, key="k")
    transport.publish(stream.topic, events(50, start=50), key="k")
    found = read_all(transport, stream, limit=7)
    assert [item.event for item in found] == [*published, *events(50, start=50)]
    assert len({item.partition for item in found}) == 1
    assert all(item.next == item.offset + 1 and item.topic == stream.topic and not item.lost for item in found)
    assert [item.offset for item in found] == sorted(item.offset for item in found)


def test_events_of_the_same_partitionkey_stay_in_order(stream: Stream) -> None:
    transport = stream.open()
    keys = ["a", "b", "c", "d", "e"]
    mixed = [Event(str(n), "/x", IMAGE, extensions={"partitionkey": keys[n % 5]}) for n in range(100)]
    transport.publish(stream.topic, mixed)
    found = [item.event for item in read_all(transport, stream) if item.event]
    for key in keys:
        wanted = [event.id for event in mixed if event.extensions["partitionkey"] == key]
        assert [event.id for event in found if event.extensions["partitionkey"] == key] == wanted


def test_a_topic_that_does_not_exist_is_empty_until_it_does(stream: Stream) -> None:
    transport = stream.open()
    assert read(transport, stream) == []
    assert transport.ends(stream.topic) == {}
    transport.publish(stream.topic, [])
    transport.publish(stream.topic, events(3), key="k")
    assert [item.event for item in read_all(transport, stream)] == events(3)
    last = read_all(transport, stream)[-1]
    assert transport.ends(stream.topic) == {last.partition: last.next}


def test_topics_do_not_mix(stream: Stream) -> None:
    transport = stream.open()
    transport.publish(f"{stream.topic}-other", events(5, start=10), key="k")
    transport.publish(stream.topic, events(5), key="k")
    transport.publish(f"{stream.topic}-other", events(5, start=20), key="k")
    assert [item.event for item in read_all(transport, stream)] == events(5)


def test_reading_goes_where_it_is_told(stream: Stream) -> None:
    transport = stream.open()
    transport.publish(stream.topic, events(10), key="k")
    found = read_all(transport, stream)
    for index in (7, 2, 9, 0):
        assert read(transport, stream, {found[index].partition: found[index].offset}) == found[index:]
    end = {found[-1].partition: found[-1].next}
    assert read(transport, stream, end) == read(transport, stream, end) == []
    transport.publish(stream.topic, events(1, start=10), key="k")
    assert [item.event for item in read(transport, stream, end)] == events(1, start=10)


def test_a_reader_that_waits_is_woken(stream: Stream) -> None:
    transport, other = stream.open(), stream.open()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read, transport, stream, timeout=60.0)
        other.publish(stream.topic, events(1), key="k")
        assert [item.event for item in waiting.result(timeout=50.0)] == events(1)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 250, ".", "ü", "a\n"])
def test_names_are_checked(stream: Stream, name: str) -> None:
    transport = stream.open()
    for act in (
        lambda: transport.publish(name, events(1)),
        lambda: transport.read(name, "c", start={}, limit=1, timeout=0.0),
        lambda: transport.ends(name),
        lambda: consume(stream.database, transport, name, "c", stream.effect(), drain=True),
    ):
        with pytest.raises(UsageError, match="a topic cannot be called"):
            act()
    if name != ".":
        with pytest.raises(UsageError, match="a consumer cannot be called"):
            transport.read(stream.topic, name, start={}, limit=1, timeout=0.0)
        with pytest.raises(UsageError, match="a consumer cannot be called"):
            stream.consume(transport, name)


def test_too_large_an_event_is_refused_before_any_is_published(stream: Stream) -> None:
    transport = stream.open(max_bytes=1000)
    with pytest.raises(DataError, match=r"1,001 bytes; wanted are at most 1,000"):
        transport.publish(stream.topic, [*events(2), Event("big", "/x", IMAGE, data=bytes(1001))])
    assert read(transport, stream) == []
    stream.open().publish(stream.topic, [Event("big", "/x", IMAGE, data=bytes(1001))])
    (found,) = read(transport, stream)
    assert found.event is None
    assert "1,001 bytes" in found.reason


def test_each_event_has_its_effect_in_order_and_each_consumer_gets_all(stream: Stream) -> None:
    transport = stream.open()
    transport.publish(stream.topic, events(25), key="k")
    assert stream.consume(transport, batch=10) == Consumed(handled=25)
    assert stream.consume(transport, "other", batch=3) == Consumed(handled=25)
    assert stream.effects() == stream.effects("other") == ids(25)
    assert stream.consume(transport) == Consumed()
    assert stream.offsets() == stream.offsets("other") == transport.ends(stream.topic)


def test_a_restart_goes_on_where_it_left_off(stream: Stream) -> None:
    for round_ in range(3):
        transport = stream.open()
        transport.publish(stream.topic, events(10, start=10 * round_), key="k")
        assert stream.consume(transport, batch=4).handled == 10
        transport.close()
    assert stream.effects() == ids(30)


def test_duplicates_count_once(stream: Stream) -> None:
    transport = stream.open()
    transport.publish(stream.topic, [*events(5), *events(5), *events(7)], key="k")
    transport.publish(stream.topic, [*events(2, source="/cameras/4"), *reversed(events(7))], key="else")
    assert stream.consume(transport, batch=4) == Consumed(handled=9, duplicates=17)
    assert Counter(stream.effects()) == Counter([*ids(7), *ids(2)])


def test_names_that_are_too_long_for_a_column_still_count_once(stream: Stream) -> None:
    transport = stream.open()
    long = "/" + "s" * 255
    twins = [Event("i" * 255 + last, long, IMAGE) for last in "ab"]
    transport.publish(stream.topic, [*twins, *twins], key="k")
    consumer = "c" * 60
    assert stream.consume(transport, consumer) == Consumed(handled=2, duplicates=2)
    assert stream.effects(consumer) == [event.id for event in twins]


def test_malformed_messages_are_set_aside_with_the_reason(stream: Stream) -> None:
    envelope = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "/x"), ("ce_type", IMAGE)]
    malformed = [
        ([], b"", "no ce_specversion"),
        ([], bytes(range(256)), "no ce_specversion"),
        ([("ce_specversion", "0.3"), *envelope[1:]], b"", "specversion '0.3'"),
        ([*envelope[:2], ("ce_source", "a b"), envelope[3]], b"", "URI reference"),
        ([*envelope, ("ce_time", "yesterday")], b"", "RFC 3339"),
        ([("content-type", "application/cloudevents+json")], b"{}", "structured"),
    ]
    transport = stream.open()
    transport.publish(stream.topic, events(2), key="k")
    for headers, body, _ in malformed:
        stream.put_raw(headers, body)
    transport.publish(stream.topic, events(2, start=2), key="k")
    assert stream.consume(transport, batch=3) == Consumed(handled=4, set_aside=len(malformed))
    assert stream.effects() == ids(4)
    found = sorted(stream.aside(), key=lambda item: item["offset"])
    for item, (_, _, reason) in zip(found, malformed, strict=True):
        assert reason in item["reason"]
        assert set(item) == {"topic", "partition", "offset", "reason"}
    assert stream.consume(transport) == Consumed()
    assert stream.aside("other") == []


@pytest.mark.parametrize("error", [DataError("nobody knows it"), ImageError("truncated", "at byte 7")])
def test_an_event_that_the_handler_refuses_is_set_aside_without_effect(stream: Stream, error: Exception) -> None:
    def handle(connection: sa.Connection, event: Event) -> None:
        stream.effect()(connection, event)
        if event.id == "1":
            raise error

    transport = stream.open()
    transport.publish(stream.topic, [*events(3), *events(3)], key="k")
    assert stream.consume(transport, handle=handle) == Consumed(handled=2, set_aside=1, duplicates=3)
    assert stream.effects() == ["0", "2"]
    (found,) = stream.aside()
    assert (found["id"], found["source"], found["type"], found["reason"]) == ("1", "/cameras/3", IMAGE, str(error))


def test_a_handler_that_fails_takes_back_the_whole_batch(stream: Stream) -> None:
    def handle(connection: sa.Connection, event: Event) -> None:
        stream.effect()(connection, event)
        if event.id == "7":
            raise ZeroDivisionError

    transport = stream.open()
    transport.publish(stream.topic, events(10), key="k")
    with pytest.raises(ZeroDivisionError):
        stream.consume(transport, handle=handle, batch=5)
    assert stream.effects() == ids(5)
    assert stream.consume(transport) == Consumed(handled=5)  # on the very same transport, which is further already
    assert stream.effects() == ids(10)


class _KilledError(BaseException):
    """As good as SIGKILL: nothing of ours catches it."""


@pytest.mark.parametrize("moment", ["before the effect", "after the effect", "at the commit", "after the commit"])
def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(stream: Stream, moment: str) -> None:
    stream.open().publish(stream.topic, events(12), key="k")
    die = {3, 4, 9}

    def handle(connection: sa.Connection, event: Event) -> None:
        number = int(event.id)
        if moment == "before the effect" and number in die:
            die.remove(number)
            raise _KilledError
        stream.effect()(connection, event)
        if moment == "after the effect" and number in die:
            die.remove(number)
            raise _KilledError

    def at_commit(connection: sa.Connection) -> None:
        if moment == "at the commit" and die and stream_is_moving:
            die.pop()
            raise _KilledError

    def report(consumed: Consumed) -> None:
        if moment == "after the commit" and die:
            die.pop()
            raise _KilledError

    stream_is_moving = True
    sa.event.listen(stream.database.engine, "commit", at_commit)
    deaths = 0
    while True:
        try:
            stream.consume(stream.open(), handle=handle, report=report, batch=2)
            break
        except _KilledError:
            deaths += 1
    stream_is_moving = False
    assert deaths == 3
    assert stream.effects() == ids(12)


def test_trouble_in_the_batch_is_tried_again(stream: Stream) -> None:
    troubles: list[Exception] = [StorageError("full"), ConcurrencyError("raced"), StorageError("still full")]
    stop = threading.Event()
    told: list[Consumed] = []

    def handle(connection: sa.Connection, event: Event) -> None:
        stream.effect()(connection, event)
        if event.id == "3" and troubles:
            raise troubles.pop(0)

    def report(consumed: Consumed) -> None:
        told.append(consumed)
        if consumed.handled == 5:
            stop.set()

    transport = stream.open()
    transport.publish(stream.topic, events(5), key="k")
    ended = stream.consume(transport, handle=handle, report=report, stop=stop, drain=False, batch=100)
    assert ended == Consumed(handled=5, retries=3)
    assert [item.trouble for item in told if item.trouble] == ["full", "raced", "still full"]
    assert stream.effects() == ids(5)


def test_a_stop_is_heard_between_batches(stream: Stream) -> None:
    stop = threading.Event()
    transport = stream.open()
    transport.publish(stream.topic, events(10), key="k")
    ended = stream.consume(transport, drain=False, stop=stop, report=lambda _: stop.set(), batch=3)
    assert ended.handled == 3
    assert stream.consume(transport, drain=False, stop=stop) == Consumed()
    assert stream.consume(transport).handled == 7
    assert stream.effects() == ids(10)


def test_what_is_down_is_said_and_nothing_is_lost(stream: Stream) -> None:
    transport = stream.open(timeout=3.0)
    transport.publish(stream.topic, events(3), key="k")
    assert stream.consume(transport).handled == 3
    stream.down()
    for act in (
        lambda: transport.publish(stream.topic, events(2, start=3), key="k"),
        lambda: read(transport, stream, stream.offsets()),
        lambda: transport.ends(stream.topic),
        lambda: stream.consume(transport),
    ):
        with pytest.raises(StorageError):
            act()
    stream.up()
    again = stream.open()  # a patient one: what was asked of the impatient one may take it a while to recover
    again.publish(stream.topic, events(2, start=3), key="k")
    assert stream.consume(again).handled == 2
    assert stream.effects() == ids(5)


def test_a_consumer_outlives_an_outage(stream: Stream) -> None:
    stop, handled, troubled = threading.Event(), threading.Event(), threading.Event()

    def report(consumed: Consumed) -> None:
        if consumed.trouble:
            troubled.set()
        if consumed.handled == 3:
            handled.set()
        if consumed.handled == 8:
            stop.set()

    stream.open().publish(stream.topic, events(3), key="k")
    transport = stream.open(timeout=1.0)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(stream.consume, transport, report=report, stop=stop, drain=False, wait=0.1)
        try:
            assert handled.wait(60.0)
            stream.down()
            assert troubled.wait(60.0)
            stream.up()
            stream.open().publish(stream.topic, events(5, start=3), key="k")
            assert stop.wait(100.0)
        finally:
            stop.set()
        ended = running.result(timeout=60.0)
    assert ended.handled == 8
    assert ended.retries >= 1
    assert stream.effects() == ids(8)


def test_two_processes_of_one_name_share_the_work_without_doubling_it(stream: Stream) -> None:
    stream.open().publish(stream.topic, events(60), key="k")
    stop = threading.Event()

    def run(transport: Transport) -> Consumed:
        def report(consumed: Consumed) -> None:
            if len(stream.effects()) == 60:
                stop.set()

        return stream.consume(transport, report=report, stop=stop, drain=False, batch=5, wait=0.05)

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run, [stream.open(), stream.open()]))
    assert sum(item.handled for item in ended) == 60
    assert sum(item.duplicates for item in ended) == 0
    assert stream.effects() == ids(60)


def test_a_large_batch_goes_through(stream: Stream) -> None:
    transport = stream.open()
    transport.publish(stream.topic, events(3000), key="k")
    assert stream.consume(transport, batch=2000) == Consumed(handled=3000)
    assert stream.effects() == ids(3000)


@pytest.mark.parametrize("live", [False, True])
def test_what_was_removed_unread_is_said_and_reading_goes_on(stream: Stream, live: bool) -> None:
    transport = stream.open(keep=2, keep_for=timedelta(days=1))
    first = [Event(f"a{n}", "/x", IMAGE, data=bytes(100_000)) for n in range(2)]
    transport.publish(stream.topic, first, key="k")
    assert stream.consume(transport).handled == 2
    if not live:  # a live reader of Kafka fetches ahead, so that it may have got some or all before they are removed
        transport.close()
        transport = stream.open(keep=2, keep_for=timedelta(days=1))
    flood = [Event(f"b{n}", "/x", IMAGE, data=bytes(100_000)) for n in range(70)]  # more than the mock broker keeps
    transport.publish(stream.topic, flood, key="k")
    if isinstance(transport, EmbeddedTransport):
        transport.prune(stream.topic)
    ended = stream.consume(transport)
    assert (ended.duplicates, ended.set_aside) == (0, 0)
    said = [
        tuple(map(int, re.findall(r"from offset (\d+) to (\d+) were removed", item["reason"])[0]))
        for item in stream.aside()
    ]
    assert ended.lost == len(said)
    assert live or ended.lost == 1
    left = stream.effects()[2:]
    gone = [n for n in range(70) if f"b{n}" not in left]
    assert left == [event.id for event in flood if event.id in left]
    assert sum(last - first + 1 for first, last in said) == len(gone)  # not one is missing that was not said
    assert len(left) >= 2
    assert stream.consume(transport) == Consumed()
    assert stream.consume(transport, "newcomer").lost == 0  # who never read anything has lost nothing


def test_the_preparer_sees_each_batch_before_it_is_handled(stream: Stream) -> None:
    seen: list[list[str]] = []

    def handle(connection: sa.Connection, event: Event) -> None:
        assert event.id in seen[-1]

    transport = stream.open()
    transport.publish(stream.topic, events(5), key="k")
    stream.put_raw([], b"")
    stream.consume(transport, handle=handle, prepare=lambda batch: seen.append([event.id for event in batch]), batch=4)
    assert [name for batch in seen for name in batch] == ids(5)
