"""Opening a transport, and what only Kafka's can meet."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from pellucid.errors import ConfigError, MissingExtraError, StorageError
from pellucid.store.database import Database
from pellucid.stream.event import IMAGE, Event
from pellucid.stream.transport import open_transport

if TYPE_CHECKING:
    from tests.conftest import KafkaBroker


@pytest.fixture
def database() -> Database:
    return Database.open("sqlite://")


@pytest.mark.parametrize(
    "url", ["", "Embedded", "embedded://", "kafka", "kafka://", "kafka://host", "kafka://:9092", "kafka://host:0",
            "kafka://host:99999", "kafka://a:1,,b:2", "kafka://u:p@host:1", "http://host:1", "kafka://host:1\n"],
)  # fmt: skip
def test_what_is_no_transport_is_refused(database: Database, url: str) -> None:
    with pytest.raises(ConfigError, match="wanted is embedded or kafka://HOST:PORT"):
        open_transport(url, database)


@pytest.mark.parametrize("url", ["kafka://localhost:9092", "kafka://a.b-c:1,10.0.0.1:65535,[::1]:9092"])
def test_brokers_are_not_asked_before_they_are_needed(database: Database, url: str) -> None:
    open_transport(url, database).close()


def test_without_the_client_the_cure_is_said(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[kafka\]'"):
        open_transport("kafka://localhost:9092", database)


def test_a_broker_that_was_never_there_is_said(database: Database) -> None:
    transport = open_transport("kafka://127.0.0.1:1", database, timeout=1.0)
    with pytest.raises(StorageError, match=r"127.0.0.1:1 took 0 of 2 events .* start it again"):
        transport.publish("t", [Event("1", "/x", IMAGE), Event("2", "/x", IMAGE)])
    with pytest.raises(StorageError, match="does not give t"):
        transport.read("t", "c", start={}, limit=1, timeout=0.0)
    with pytest.raises(StorageError, match="does not say where t ends"):
        transport.ends("t")
    transport.close()


def test_events_whose_answer_was_lost_can_be_published_again(database: Database, kafka_broker: KafkaBroker) -> None:
    topic = uuid.uuid4().hex
    wanted = [Event(str(n), "/x", IMAGE) for n in range(3)]
    transport = open_transport(kafka_broker.url, database, timeout=2.0)
    transport.publish(topic, wanted[:1], key="k")
    kafka_broker.swallow_answers()
    with pytest.raises(StorageError, match="took 0 of 2"):
        transport.publish(topic, wanted[1:], key="k")
    kafka_broker.down()
    kafka_broker.up()
    again = open_transport(kafka_broker.url, database, timeout=20.0)
    again.publish(topic, wanted[1:], key="k")
    found = [item.event for item in again.read(topic, "c", start={}, limit=10, timeout=0.0)]
    assert found[0] == wanted[0]
    assert found[-2:] == wanted[1:]
    assert {event.id for event in found if event} == {"0", "1", "2"}
    for opened in (transport, again):
        opened.close()


def test_an_offset_behind_the_end_is_said_and_the_topic_read_again(
    database: Database, kafka_broker: KafkaBroker
) -> None:
    topic = uuid.uuid4().hex
    transport = open_transport(kafka_broker.url, database, timeout=20.0)
    transport.publish(topic, [Event("1", "/x", IMAGE)], key="k")
    (first,) = transport.read(topic, "c", start={}, limit=10, timeout=0.0)
    lost = [
        item
        for item in transport.read(topic, "c", start={first.partition: 1000}, limit=10, timeout=0.0)
        if item.partition == first.partition
    ]
    assert [(item.lost, item.offset, item.next, item.event) for item in lost] == [(True, 1000, 0, None)]
    assert "it was made anew or restored" in lost[0].reason
    assert transport.read(topic, "c", start={first.partition: lost[0].next}, limit=10, timeout=0.0) == [first]
    transport.close()
