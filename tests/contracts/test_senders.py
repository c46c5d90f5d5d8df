"""The contract of all senders: a server's, the stream's on both transports, and a table's on both databases."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

import pellucid.stream
from pellucid.errors import ConfigError, StorageError, UsageError
from pellucid.flow.production.simulate import Picture, Shown, Visit
from pellucid.store.database import Database
from pellucid.stream.event_sender import EventSender
from pellucid.stream.http_sender import HttpSender
from pellucid.stream.payload import feedback_of, image_of, prediction_event
from pellucid.stream.sender import Sender
from pellucid.stream.simulation import play
from pellucid.stream.table_sender import TableSender
from pellucid.stream.topics import Topics
from pellucid.stream.transport import Transport, open_transport
from pellucid.types import Answer

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = ("http", "embedded", "kafka", "table-sqlite", "table-postgresql")
CLASSES = {"http": HttpSender, "embedded": EventSender, "kafka": EventSender}


@dataclass(frozen=True)
class Case:
    """A sender, and what has arrived: visit id, image, label and voter, each visit once."""

    sender: Sender
    arrived: Callable[[], list[tuple[str, str, str]]]


@pytest.fixture
def topics() -> Topics:
    mark = uuid.uuid4().hex
    return Topics(f"images-{mark}", f"feedback-{mark}", f"predictions-{mark}")


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Any, topics: Topics) -> Iterator[Case]:
    kind = request.param
    if kind == "http":
        server = request.getfixturevalue("live_server")
        sender: Sender = HttpSender(server.url, server.token)
        yield Case(sender, lambda: [(name, said["label"], said["voter"]) for name, said in server.heard.items()])
        sender.close()
    elif kind in {"embedded", "kafka"}:
        database = Database.open("sqlite://")
        url = request.getfixturevalue("kafka_broker").url if kind == "kafka" else "embedded"
        transport = open_transport(url, database)
        sender = EventSender(transport, topics, wait=0.0)
        yield Case(sender, lambda: said_in(transport, topics))
        sender.close()
        database.close()
    else:
        url = f"sqlite:///{tmp_path / 'rows.db'}"
        if kind == "table-postgresql":
            url = request.getfixturevalue("fresh_postgres")
        table = TableSender(url)
        yield Case(table, lambda: rows_in(url, table.table))
        table.close()


def said_in(transport: Transport, topics: Topics) -> list[tuple[str, str, str]]:
    found: dict[str, tuple[str, str, str]] = {}  # consumers take an id once
    for item in read_all(transport, topics.feedback):
        said = feedback_of(item)
        found[item.id] = (item.id, said.label, said.voter)
    return list(found.values())


def read_all(transport: Transport, topic: str) -> list[Any]:
    received = transport.read(topic, "test", start={}, limit=1000, timeout=5.0)
    return [item.event for item in received]


def rows_in(url: str, table: sa.Table) -> list[tuple[str, str, str]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        query = sa.select(table.c.id, table.c.label, table.c.voter).order_by(table.c.time)
        found = [(row.id, row.label, row.voter) for row in connection.execute(query)]
    engine.dispose()
    return found


def visit(number: int, said: str = "cat") -> Visit:
    return Visit(f"v-{number}", "monday", Picture(f"{number:064x}", f"{number}.png", "cat", "g", bytes), "user-1", said)


@pytest.fixture
def shown(picture: Callable[..., bytes]) -> Callable[[int], Shown]:
    return lambda number: Shown(picture("cat", number), "image/png", "")


def test_the_suite_finds_every_sender() -> None:
    found = set()
    for module in pkgutil.iter_modules(pellucid.stream.__path__):
        names = vars(importlib.import_module(f"pellucid.stream.{module.name}"))
        found |= {item for item in names.values() if inspect.isclass(item) and item.__name__.endswith("Sender")}
    assert found - {Sender} == {*CLASSES.values(), TableSender}


def test_what_is_sent_arrives_in_order(case: Case, shown: Any) -> None:
    for number, label in enumerate(("cat", "dog", "cat")):
        at = AT + timedelta(seconds=number)
        reply = case.sender.send(visit(number, label), shown(number), at, threading.Event())
        assert reply.error == ""
    assert case.arrived() == [("v-0", "cat", "user-1"), ("v-1", "dog", "user-1"), ("v-2", "cat", "user-1")]


def test_the_same_visit_again_counts_once(case: Case, shown: Any) -> None:
    for _ in range(2):
        case.sender.send(visit(0, "dog"), shown(0), AT, threading.Event())
    assert case.arrived() == [("v-0", "dog", "user-1")]


def test_there_is_nothing_to_gather_where_nobody_answers(case: Case, shown: Any) -> None:
    case.sender.send(visit(0), shown(0), AT, threading.Event())
    assert case.sender.gather() == {}
    assert case.sender.parallel == 1


@pytest.fixture(params=["embedded", "kafka"])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    database = Database.open("sqlite://")
    url = request.getfixturevalue("kafka_broker").url if request.param == "kafka" else "embedded"
    opened = open_transport(url, database)
    yield opened
    opened.close()
    database.close()


def test_events_bring_all_that_consumers_need(transport: Transport, topics: Topics, shown: Any) -> None:
    sender = EventSender(transport, topics)
    sender.send(visit(7, "dog"), shown(7), AT, threading.Event())
    [image] = read_all(transport, topics.images)
    [said] = read_all(transport, topics.feedback)
    assert (image.id, said.id, image.source, image.time, image.datacontenttype) == (
        "v-7", "v-7", "/pellucid/simulate", AT, "image/png"
    )  # fmt: skip
    assert image_of(image).data == feedback_of(said).image == shown(7).data
    assert image_of(image).name == "7.png"


def test_predictions_are_matched_by_what_the_image_is(transport: Transport, topics: Topics, shown: Any) -> None:
    def answer(uid: str, number: int, label: str) -> Any:
        sample = hashlib.sha256(shown(number).data).hexdigest()
        found = Answer(uid, sample, label, 0.5, {label: 0.5}, (label,), 0.0, None, "pets@1", 0, AT)
        return prediction_event(found, source="/serve")

    transport.publish(topics.predictions, [answer("old", 1, "eel")])
    sender = EventSender(transport, topics, wait=30.0)
    for number in (1, 2, 3):
        sender.send(visit(number), shown(number), AT, threading.Event())
    answers = [answer("a", 3, "dog"), answer("b", 1, "cat"), answer("c", 9, "cat"), answer("d", 1, "dog")]
    transport.publish(topics.predictions, [*answers, answer("e", 2, "eel")])
    found = sender.gather()
    assert {name: reply.prediction for name, reply in found.items()} == {"v-3": "dog", "v-1": "cat", "v-2": "eel"}
    assert found["v-1"].confidence == 0.5


def test_predictions_that_never_come_are_not_waited_for_for_ever(
    transport: Transport, topics: Topics, shown: Any
) -> None:
    sender = EventSender(transport, topics, wait=1.0)
    sender.send(visit(1), shown(1), AT, threading.Event())
    assert sender.gather() == {}


def test_a_topic_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="a topic cannot be called"):
        EventSender(open_transport("embedded", Database.open("sqlite://")), Topics(feedback="a b"))


@pytest.fixture(params=["sqlite", "postgresql"])
def rows_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rows.db'}"
    return str(request.getfixturevalue("fresh_postgres"))


def test_a_row_holds_the_image_and_its_time(rows_url: str, shown: Any) -> None:
    sender = TableSender(rows_url, "sightings")
    sender.send(visit(1, "dog"), shown(1), AT, threading.Event())
    sender.close()
    engine = sa.create_engine(rows_url)
    with engine.connect() as connection:
        [row] = connection.execute(sa.text("SELECT id, image, label, voter FROM sightings")).all()
        [time] = connection.execute(sa.select(sender.table.c.time)).scalars()
    engine.dispose()
    assert (row.id, bytes(row.image), row.label, row.voter) == ("v-1", shown(1).data, "dog", "user-1")
    assert time.replace(tzinfo=time.tzinfo or UTC) == AT


def test_another_table_of_that_name_is_left_alone(rows_url: str) -> None:
    engine = sa.create_engine(rows_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE live_images (id VARCHAR(64), other INTEGER)"))
    engine.dispose()
    with pytest.raises(StorageError, match="has no time, image, label, voter; name another --table"):
        TableSender(rows_url)


def test_what_is_no_table_and_no_database_is_refused(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="a table cannot be called"):
        TableSender(f"sqlite:///{tmp_path / 'a.db'}", "a; DROP TABLE b")
    with pytest.raises(ConfigError, match="--url is mysql"):
        TableSender("mysql://ann:hunter2@host/db")
    with pytest.raises(StorageError, match="check that it is there") as failed:
        TableSender("postgresql+psycopg://ann:hunter2@127.0.0.1:1/db?connect_timeout=2")
    assert "hunter2" not in str(failed.value)
    with pytest.raises(StorageError, match="unable to open"):
        TableSender(f"sqlite:///{tmp_path / 'nowhere' / 'a.db'}")


def test_a_database_that_fails_ends_the_simulation(tmp_path: Any, shown: Any) -> None:
    from pellucid.features.decode import DEFAULT_LIMITS
    from pellucid.flow.production.simulate import Play, Traffic

    sender = TableSender(f"sqlite:///{tmp_path / 'rows.db'}")
    sender.table.drop(sender._engine)
    played = play(Traffic(Play(), (visit(1), visit(2)), (), ("cat",), DEFAULT_LIMITS), sender)
    sender.close()
    assert isinstance(played.stopped, StorageError)
    assert played.outcomes == ()
