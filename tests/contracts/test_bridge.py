"""The bridge between a table and the stream, on SQLite and PostgreSQL, embedded and on Kafka's wire protocol."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid.errors import ConfigError, NotFoundError, StorageError, UsageError
from pellucid.store.blobs import digest_of
from pellucid.store.database import Database
from pellucid.store.foreign import Foreign
from pellucid.stream.bridge import Bridge, Bridged
from pellucid.stream.consume import aside_of
from pellucid.stream.event import Event
from pellucid.stream.payload import feedback_of, image_of, prediction_event
from pellucid.stream.rows import Columns, Rows
from pellucid.stream.topics import Topics
from pellucid.stream.transport import Transport, open_transport
from pellucid.types import Answer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ODD = 'odd "name"; --'  # a column that only quoting can name


class Yard:
    """A database with a table of images, and a project's database with a stream."""

    def __init__(self, database: Database, url: str, stream: str, *, image: Any = sa.LargeBinary, id: Any = sa.Integer):
        self.database = database
        self.foreign = Foreign(url)
        self.stream = stream
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.table = sa.Table(
            self.name,
            sa.MetaData(),
            sa.Column("id", id, primary_key=True),
            sa.Column("time", sa.DateTime(timezone=True)),
            sa.Column(ODD, image),
            sa.Column("label", sa.Text),
        )
        self.table.create(self.foreign.engine)
        mark = uuid.uuid4().hex[:8]
        self.topics = Topics(f"images-{mark}", f"feedback-{mark}", f"predictions-{mark}")
        self.opened: list[Transport] = []

    def open(self, **options: Any) -> Transport:
        self.opened.append(open_transport(self.stream, self.database, **options))
        return self.opened[-1]

    def add(self, id: Any, image: Any, label: str | None = None, *, at: float = 0.0) -> None:
        values = {"id": id, "time": NOON + timedelta(seconds=at), ODD: image, "label": label}
        with self.foreign.engine.begin() as connection:
            connection.execute(sa.insert(self.table).values(**values))

    def bridge(self, name: str = "b", *, folder: Path | None = None, **options: Any) -> Bridge:
        rows = Rows(self.foreign, self.name, Columns(image=ODD), folder=folder, max_bytes=1000)
        return Bridge(self.database, self.open(), name, rows, voter="desk", topics=self.topics, **options)

    def events(self, topic: str) -> list[Event]:
        transport, start = self.open(), dict[int, int]()
        found: list[Event] = []
        while more := transport.read(topic, "reader", start=start, limit=100, timeout=0.0):
            found += [item.event for item in more if item.event is not None]
            start |= {item.partition: item.next for item in more}
        return sorted(found, key=lambda event: event.id)

    def images(self) -> list[tuple[str, bytes]]:
        return [(event.id, image_of(event).data) for event in self.events(self.topics.images)]

    def aside(self, name: str = "b") -> dict[str, str]:
        with self.database.read() as connection:
            return {item.answer["id"]: item.answer["reason"] for item in aside_of(connection, f"bridge-{name}")}


MakeYard = Callable[..., Yard]


@pytest.fixture(params=["embedded", "kafka"])
def make_yard(request: pytest.FixtureRequest, database: Database, database_url: str) -> Iterator[MakeYard]:
    """The table lies beside the project's own tables, which is where a small team would have it."""
    made: list[Yard] = []
    stream = request.getfixturevalue("kafka_broker").url if request.param == "kafka" else "embedded"

    def make(**options: Any) -> Yard:
        made.append(Yard(database, database_url, stream, **options))
        return made[-1]

    yield make
    for yard in made:
        yard.foreign.close()
        for transport in yard.opened:
            transport.close()


def test_rows_become_events_once_and_in_order_of_time(make_yard: MakeYard) -> None:
    yard = make_yard()
    for n in range(7):
        yard.add(n, b"image %d" % n, "cat" if n % 2 else None, at=n)
    assert yard.bridge().waiting() == 7
    assert yard.bridge(batch=2).run(drain=True) == Bridged(images=7, labels=3)
    assert yard.images() == [(str(n), b"image %d" % n) for n in range(7)]
    [first, *_] = yard.events(yard.topics.images)
    assert (first.source, first.subject, first.time) == ("/bridge/b", "0", NOON)
    words = [feedback_of(event) for event in yard.events(yard.topics.feedback)]
    assert [(word.sample, word.label, word.voter) for word in words] == [
        (digest_of(b"image %d" % n), "cat", "desk") for n in (1, 3, 5)
    ]
    yard.add(7, b"image 7", at=8)
    assert yard.bridge().waiting() == 1
    assert yard.bridge(batch=2).run(drain=True) == Bridged(images=1)
    assert yard.bridge().run(drain=True) == Bridged()
    assert len(yard.images()) == 8


def test_a_row_that_becomes_visible_late_is_carried(make_yard: MakeYard) -> None:
    yard = make_yard()
    yard.add(5, b"five", at=100)
    yard.bridge().run(drain=True)
    yard.add(4, b"four", at=70)
    yard.add(3, b"three", at=100)  # the same moment, a smaller id
    yard.add(1, b"one", at=-500)  # later than anybody waits for
    assert yard.bridge(late=60).run(drain=True) == Bridged(images=2)
    assert [name for name, _ in yard.images()] == ["3", "4", "5"]


def test_a_label_that_comes_later_is_carried_and_the_image_is_not_again(make_yard: MakeYard) -> None:
    yard = make_yard()
    yard.add(1, b"one")
    yard.bridge().run(drain=True)
    for seconds, label in ((5, "cat"), (9, "dog"), (9, " ")):
        with yard.foreign.engine.begin() as connection:
            values = {"label": label, "time": NOON + timedelta(seconds=seconds)}
            connection.execute(sa.update(yard.table).values(**values))
        yard.bridge().run(drain=True)
    assert len(yard.images()) == 1
    assert {feedback_of(event).label for event in yard.events(yard.topics.feedback)} == {"cat", "dog"}


def test_paths_lead_to_files_below_the_folder_only(make_yard: MakeYard, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.png").write_bytes(b"a")
    (folder / "large.png").write_bytes(bytes(1001))
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret")
    (folder / "inner.png").symlink_to(folder / "sub" / "a.png")
    yard = make_yard(image=sa.Text)
    paths = ["sub/a.png", "../secret", str(tmp_path / "secret"), "link.png", "sub", "gone.png", "large.png", None]
    paths += [str(folder / "sub" / "a.png"), "inner.png", "x" * 5000]
    for n, path in enumerate(paths):
        yard.add(n, path, at=n)
    with pytest.raises(UsageError, match="name the folder"):
        yard.bridge()
    assert yard.bridge(folder=folder).run(drain=True) == Bridged(images=3, set_aside=8)
    assert {data for _, data in yard.images()} == {b"a"}
    reasons = yard.aside()
    assert set(reasons) == {"1", "2", "3", "4", "5", "6", "7", "10"}
    assert "no file below" in reasons["1"]
    assert "more than 1000 bytes" in reasons["6"]
    assert "no image" in reasons["7"]
    assert yard.bridge(folder=folder).run(drain=True) == Bridged()
    with pytest.raises(StorageError, match="out of reach"):
        yard.bridge(folder=tmp_path / "gone")


class _KilledError(BaseException):
    """As good as SIGKILL: nothing of ours catches it."""


def test_a_bridge_that_dies_at_the_commit_carries_every_row_once(make_yard: MakeYard) -> None:
    yard = make_yard()
    for n in range(6):
        yard.add(n, b"image %d" % n, "cat", at=n)
    commits = 0

    def at_commit(connection: sa.Connection) -> None:
        nonlocal commits
        commits += 1
        if commits in {1, 3}:
            raise _KilledError

    sa.event.listen(yard.database.engine, "commit", at_commit)
    deaths = 0
    while True:
        try:
            yard.bridge(batch=2).run(drain=True)
            break
        except _KilledError:
            deaths += 1
    sa.event.remove(yard.database.engine, "commit", at_commit)
    assert deaths == 2
    sent = [name for name, _ in yard.images()]
    assert set(sent) == {str(n) for n in range(6)}
    assert len(sent) == (6 if yard.stream == "embedded" else 10)  # Kafka's come twice under the same names
    assert len({(event.source, event.id) for event in yard.events(yard.topics.feedback)}) == 6


def answer(uid: str, row: str, *, actor: str = "/bridge/b") -> Answer:
    return Answer(uid, "a" * 64, "cat", 0.75, {"cat": 0.75}, ("cat",), 0.5, None, "pets@1", 0, NOON, actor, row)


def test_predictions_are_written_into_the_target_once(make_yard: MakeYard) -> None:
    yard = make_yard()
    target = f"answers_{yard.name}"
    given = [answer("u1", "1"), answer("u2", "2"), answer("u3", "3", actor="/camera"), answer("u4", "no number")]
    transport = yard.open()
    events = [prediction_event(item, source="/pellucid") for item in given]
    transport.publish(yard.topics.predictions, [*events, events[0], Event("x", "/x", "other")], key="k")
    bridge = yard.bridge()
    bridge.write_into(yard.foreign, target)
    assert bridge.run(drain=True) == Bridged(predictions=2)
    transport.publish(yard.topics.predictions, [prediction_event(answer("u5", "5"), source="/pellucid")], key="k")
    for name in ("b", "b"):
        again = yard.bridge(name)
        again.write_into(yard.foreign, target)
        again.run(drain=True)
    with yard.foreign.engine.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT prediction, id, label, model FROM {target} ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [(f"u{n}", n, "cat", "pets@1") for n in (1, 2, 5)]
    assert set(yard.aside()) == {"x"}


@pytest.mark.parametrize("kind", [sa.Text, sa.Uuid])
def test_ids_may_be_text(make_yard: MakeYard, kind: Any) -> None:
    names = sorted(uuid.uuid5(uuid.NAMESPACE_URL, str(n)) for n in range(5))
    yard = make_yard(id=kind)
    for name in names:
        yard.add(str(name) if kind is sa.Text else name, name.bytes)
    assert yard.bridge(batch=2).run(drain=True) == Bridged(images=5)
    assert yard.bridge(batch=2).run(drain=True) == Bridged()
    assert len(yard.images()) == 5


def test_what_is_not_there_is_said(make_yard: MakeYard, tmp_path: Path) -> None:
    yard = make_yard()
    with pytest.raises(NotFoundError, match="no table 'nobody'"):
        Rows(yard.foreign, "nobody", Columns(), folder=None, max_bytes=1)
    with pytest.raises(UsageError, match=r"no column 'image'; it has: id, time"):
        Rows(yard.foreign, yard.name, Columns(), folder=None, max_bytes=1)
    with pytest.raises(UsageError, match="wanted is a timestamp or a number"):
        Rows(yard.foreign, yard.name, Columns(time="label", image=ODD), folder=None, max_bytes=1)
    with pytest.raises(ConfigError, match="is no URL"):
        Foreign("no url:secret")
    with pytest.raises(StorageError, match="ann:") as refused:
        Foreign("postgresql://ann:secret@127.0.0.1:1/x").table("t", ["id"])
    assert "secret" not in str(refused.value)


def test_a_table_that_is_out_of_reach_is_waited_for(make_yard: MakeYard) -> None:
    yard, stop, told = make_yard(), threading.Event(), list[Bridged]()
    yard.add(1, b"one")
    bridge = yard.bridge()
    away = f"away_{yard.name}"

    def rename(old: str, new: str) -> None:
        with yard.foreign.engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {old} RENAME TO {new}"))

    def report(found: Bridged) -> None:
        told.append(found)
        if found.trouble:
            rename(away, yard.name)
        else:
            stop.set()

    rename(yard.name, away)
    done = bridge.run(stop=stop, report=report, wait=0.05)
    assert (done.images, done.retries, done.trouble) == (1, 1, "")
    assert yard.name in told[0].trouble
