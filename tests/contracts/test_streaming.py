"""What streams do to a project: answers, votes and what is learnt, each once, whatever fails when.

Every test runs on the embedded stream and on Kafka's wire protocol, each with its records on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.errors import StorageError
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.place import NOWHERE
from pellucid.store.blobs import digest_of
from pellucid.store.database import Database
from pellucid.store.offsets import next_offsets
from pellucid.store.predictions import answers_from
from pellucid.store.schema import ledger, receipt, vote
from pellucid.stream.consume import Consumed, aside_of, consume
from pellucid.stream.effects import Effects, uid_of
from pellucid.stream.event import FEEDBACK, IMAGE, Event
from pellucid.stream.housekeeping import Housekeeping
from pellucid.stream.outbox import Published, publish_answers
from pellucid.stream.payload import Feedback, feedback_event, image_event, prediction_of
from pellucid.stream.standing import standings, waiting
from pellucid.stream.transport import Transport, open_transport
from pellucid.types import Answer, Role

from .conftest import postgres_database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Door(Database):
    """The embedded stream's database, which can be out of reach while the records are not."""

    shut = False

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        if self.shut:
            raise StorageError("the stream is out of reach")
        with super().read() as connection:
            yield connection


@dataclass
class Stage:
    """A project with a champion, and a stream."""

    project: Project
    url: str
    broker: Any
    picture: Callable[..., bytes]
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    opened: list[Transport] = field(default_factory=list)

    @property
    def database(self) -> Any:
        return self.project.workspace.database

    @property
    def topics(self) -> tuple[str, str]:
        return f"images-{self.mark}", f"feedback-{self.mark}"

    def open(self, **options: Any) -> Transport:
        self.opened.append(
            open_transport(self.url, self.broker if self.url == "embedded" else self.database, **options)
        )
        return self.opened[-1]

    def down(self) -> None:
        if isinstance(self.broker, Door):
            self.broker.shut = True
        else:
            self.broker.down()

    def up(self) -> None:
        if isinstance(self.broker, Door):
            self.broker.shut = False
        else:
            self.broker.up()

    def sample(self, number: int) -> str:
        return digest_of(self.picture("dog" if number % 2 else "cat", 100 + number))

    def images(self, *numbers: int, source: str = "/camera") -> list[Event]:
        return [
            image_event(self.picture("dog" if n % 2 else "cat", 100 + n), id=str(n), source=source, subject=f"shot {n}")
            for n in numbers
        ]

    def words(self, *numbers: int, label: str = "", voter: str = "ann", **options: Any) -> list[Event]:
        return [
            feedback_event(
                Feedback(label or ("dog" if n % 2 else "cat"), voter, sample=self.sample(n)),
                id=f"{voter}-{n}",
                source="/desk",
                **options,
            )
            for n in numbers
        ]

    def publish(self, images: Sequence[Event] = (), feedback: Sequence[Event] = ()) -> None:
        transport = self.open()
        for topic, events in zip(self.topics, (images, feedback), strict=True):
            transport.publish(topic, events, key="k")

    def consume(self, name: str = "c", *, effects: Any = None, **options: Any) -> Consumed:
        made = effects or Effects(self.project.workspace, name, **options.pop("how", {}))
        options = {"prepare": made.prepare, "around": made.around, "drain": True, **options}
        try:
            return consume(self.database, self.open(), self.topics, name, made.handle, **options)
        finally:
            made.close()

    def answers(self) -> list[Answer]:
        with self.database.read() as connection:
            return [answer for _, answer in answers_from(connection, 0, 10**9, limit=10**6)]

    def votes(self) -> list[Any]:
        """What people have said directly, in that order."""
        query = sa.select(vote).where(vote.c.ingest_id.is_(None)).order_by(vote.c.id)
        with self.database.read() as connection:
            return list(connection.execute(query).all())

    def entries(self) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(sa.select(ledger).order_by(ledger.c.id)).all())

    def aside(self, name: str = "c") -> list[Any]:
        with self.database.read() as connection:
            return [receipt.answer for receipt in aside_of(connection, name)]


MakeStage = Callable[..., Stage]


@contextmanager
def without_mirror() -> Iterator[None]:
    """Neither reports nor a mirror in MLflow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pellucid.flow.training.job._try_to_complete", lambda workspace, model: False)
        patch.setattr("pellucid.flow.training.worker.complete_all", lambda workspace, **options: 0)
        patch.setattr("pellucid.flow.production.promote.mirror_aliases", lambda workspace, name: None)
        yield


def make_champion(root: Path, class_folders: Callable[..., Path], **settings: Any) -> Path:
    """A project with the champion ``pets@1``, which has learnt 12 cats and 12 dogs, less those for testing."""
    Project.init(root / "project").close()
    with without_mirror(), Project(root / "project", settings={"threads": 2, **settings}, environ={}) as project:
        project.ingest(class_folders(root / "source", {"cat": 12, "dog": 12}), "pets", test_fraction=0.25)
        project.train("pets")
        project.promote("pets@1")
    return root / "project"


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path]) -> Path:
    """The folder of a project with a champion, records included; work on a copy."""
    return make_champion(tmp_path_factory.mktemp("on-sqlite"), class_folders)


@pytest.fixture(scope="session")
def on_postgres(
    tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path], postgres: sa.URL
) -> Iterator[tuple[Path, str]]:
    """The folder of a project with a champion, and the name of the database of its records; work on copies."""
    with postgres_database(postgres) as url:
        folder = make_champion(tmp_path_factory.mktemp("on-postgres"), class_folders, database_url=url)
        yield folder, str(sa.make_url(url).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def champion(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """A project of its own with the champion ``pets@1``."""
    settings: dict[str, Any] = {"threads": 2}
    with ExitStack() as stack:
        if request.param == "sqlite":
            folder = request.getfixturevalue("on_sqlite")
            settings["database_url"] = f"sqlite:///{tmp_path / 'project' / '.pellucid' / 'pellucid.db'}"
        else:
            folder, template = request.getfixturevalue("on_postgres")
            database = postgres_database(request.getfixturevalue("postgres"), template)
            settings["database_url"] = stack.enter_context(database)
        shutil.copytree(folder, tmp_path / "project")
        stack.enter_context(without_mirror())
        yield stack.enter_context(Project(tmp_path / "project", settings=settings, environ={}))


@pytest.fixture(params=["embedded", "kafka"])
def stage(request: pytest.FixtureRequest, champion: Project, picture: Callable[..., bytes]) -> Iterator[Stage]:
    """The champion ``pets@1`` and a stream."""
    broker = request.getfixturevalue("kafka_broker") if request.param == "kafka" else None
    door = Door(champion.workspace.database.engine)
    made = Stage(champion, broker.url if broker else "embedded", broker or door, picture)
    yield made
    for transport in made.opened:
        transport.close()


def test_images_are_answered_and_feedback_is_learnt(stage: Stage) -> None:
    stage.publish(stage.images(0, 1, 2, 3), stage.words(0, 1, 2))
    assert stage.consume() == Consumed(handled=7)
    answers = stage.answers()
    assert [answer.uid for answer in answers] == [uid_of("c", event) for event in stage.images(0, 1, 2, 3)]
    assert [answer.sample for answer in answers] == [stage.sample(n) for n in range(4)]
    assert [answer.label for answer in answers] == ["cat", "dog", "cat", "dog"]
    assert [(answer.actor, answer.name) for answer in answers] == [("/camera", f"shot {n}") for n in range(4)]
    votes = stage.votes()
    assert [(row.sample_id, row.label, row.voter, row.role) for row in votes] == [
        (stage.sample(n), "dog" if n % 2 else "cat", "ann", Role.USER) for n in range(3)
    ]
    assert [(row.sample_id, row.action, row.vote_id) for row in stage.entries()] == [
        (row.sample_id, "learn", row.id) for row in votes
    ]
    assert stage.consume() == Consumed()


def test_feedback_names_an_answer_or_brings_its_image(stage: Stage) -> None:
    stage.publish(stage.images(1))
    stage.consume()
    [answer] = stage.answers()
    named = Feedback("cat", "ann", prediction=answer.uid, note="look at its ears")
    brought = Feedback("dog", "bob", image=stage.picture("dog", 500))
    stage.publish((), [feedback_event(said, id=said.voter, source="/desk") for said in (named, brought)])
    assert stage.consume(how={"role": Role.ANNOTATOR}) == Consumed(handled=2)
    first, second = stage.votes()
    assert (first.sample_id, first.prediction, first.model) == (stage.sample(1), answer.uid, "pets@1")
    assert (first.confidence, first.note, first.role) == (pytest.approx(answer.confidence), named.note, "annotator")
    assert second.sample_id == digest_of(stage.picture("dog", 500))
    assert stage.project.workspace.images.get(second.sample_id) == stage.picture("dog", 500)
    assert len(stage.answers()) == 1


def test_feedback_whose_image_never_comes_is_set_aside_in_the_end(stage: Stage) -> None:
    stage.publish(feedback=stage.words(0, 1, 2))
    stage.consume()
    assert waiting(stage.database) == {"pets": 3}
    now = [0.0]
    tidy = Housekeeping(stage.project.workspace, "pets", clock=lambda: now[0])
    age(stage, days=29, but=stage.sample(2))
    assert stage.consume(between=tidy.look).set_aside == 0
    age(stage, days=31, but=stage.sample(2))
    assert stage.consume(between=tidy.look).set_aside == 0, "it looks once an hour"
    now[0] += 3601.0
    assert stage.consume(between=tidy.look).set_aside == 2
    assert waiting(stage.database) == {"pets": 1}
    assert {(item["id"], item["reason"]) for item in stage.aside()} == {
        (f"ann-{n}", "its image has not come within 30 days") for n in (0, 1)
    }
    stage.publish(stage.images(0, 1, 2))
    done = stage.consume(between=tidy.look)
    assert (done.handled, done.set_aside) == (3, 0)
    assert [row.sample_id for row in stage.votes()] == [stage.sample(2)]


def age(stage: Stage, days: float, but: str) -> None:
    """Makes all that waits so old, but for the words on one sample."""
    mine = (receipt.c.source == "waits:pets", ~receipt.c.key.startswith(but))
    with stage.database.write() as connection:
        then = datetime.now(UTC) - timedelta(days=days)
        connection.execute(sa.update(receipt).where(*mine).values(at=then))


def test_feedback_that_comes_before_its_image_waits_and_counts_once(stage: Stage) -> None:
    early = feedback_event(
        Feedback("dog", "bob", prediction=uid_of("c", stage.images(1)[0])), id="by uid", source="/desk"
    )
    stage.publish((), [*stage.words(1, 3), early, *stage.words(1)])
    assert stage.consume() == Consumed(handled=3, duplicates=1)
    assert stage.votes() == []
    assert waiting(stage.database) == {"pets": 3}
    stage.publish(stage.images(1, 0, 1))
    assert stage.consume() == Consumed(handled=2, duplicates=1)
    assert [(row.sample_id, row.voter) for row in stage.votes()] == [
        (stage.sample(1), "ann"),
        (stage.sample(1), "bob"),
    ]
    assert waiting(stage.database) == {"pets": 1}
    stage.publish(stage.images(3), stage.words(1, 3))
    assert stage.consume() == Consumed(handled=1, duplicates=2)
    assert len(stage.votes()) == len(stage.entries()) == 3
    assert waiting(stage.database) == {}


def test_of_a_voter_s_words_the_one_that_was_said_last_stands(stage: Stage) -> None:
    later, earlier = NOON + timedelta(hours=1), NOON
    stage.publish(
        stage.images(1),
        [
            *stage.words(1, label="cat", time=later),
            *[event_as(event, "late") for event in stage.words(1, label="dog", time=earlier)],
            *stage.words(1, label="dog", voter="bob", time=earlier),
            *[event_as(event, "new") for event in stage.words(1, label="dog", time=later + timedelta(seconds=1))],
            *[event_as(event, "no time") for event in stage.words(1, label="cat")],
        ],
    )
    assert stage.consume() == Consumed(handled=5, set_aside=1)
    assert [(row.voter, row.label) for row in stage.votes()] == [
        ("ann", "cat"),
        ("bob", "dog"),
        ("ann", "dog"),
        ("ann", "cat"),
    ]
    [late] = stage.aside()
    assert late["id"] == "late"
    assert "it comes late: ann said at 2026-03-01T12:00:00+00:00" in late["reason"]


def event_as(event: Event, name: str) -> Event:
    return Event(name, event.source, event.type, time=event.time, data=event.data, datacontenttype="application/json")


def test_what_cannot_be_used_is_set_aside_and_the_rest_counts(stage: Stage) -> None:
    whole = stage.picture("cat", 100)
    images = [
        image_event(b"no image", id="a", source="/camera"),
        *stage.images(0),
        image_event(whole[: len(whole) // 2], id="b", source="/camera"),
        Event("c", "/camera", "com.example.other", data=b"?"),
        Event("d", "/camera", IMAGE, data=b""),
        *stage.images(1),
        Event("1", "/camera", IMAGE, data=whole),  # the name of the one before: that one counts
    ]
    words = [
        *stage.words(0, label="zebra"),
        *stage.words(0, voter="pellucid corrupt"),
        Event("e", "/desk", FEEDBACK, data=b"{"),
        feedback_event(Feedback("cat", "ann", image=b"GIF"), id="f", source="/desk"),
        *stage.words(1),
    ]
    stage.publish(images, words)
    assert stage.consume() == Consumed(handled=3, set_aside=8, duplicates=1)
    assert [answer.sample for answer in stage.answers()] == [stage.sample(0), stage.sample(1)]
    assert [row.sample_id for row in stage.votes()] == [stage.sample(1)]
    reasons = {item["id"]: item["reason"] for item in stage.aside()}
    for name, reason in {
        "a": "",
        "b": "truncated",
        "c": "com.example.other",
        "d": "no data",
        "ann-0": "'zebra' is none of the classes cat, dog",
        "pellucid corrupt-0": "no person may be called",
        "e": "no JSON",
        "f": "",
    }.items():
        assert reason in reasons[name]
    with closing(stage.open()) as transport:
        found = {item.topic: item for item in standings(stage.database, transport, stage.topics)}
    assert {found[topic].lag for topic in stage.topics} == {0}
    assert found[stage.topics[0]].set_aside == 8


def test_new_classes_are_taken_where_that_is_wanted(stage: Stage) -> None:
    stage.publish(stage.images(0), stage.words(0, label="zebra"))
    assert stage.consume(how={"new_classes": True}) == Consumed(handled=2)
    assert [row.label for row in stage.votes()] == ["zebra"]


def test_what_was_learnt_is_undone_where_the_batch_is_not_committed(stage: Stage) -> None:
    effects = Effects(stage.project.workspace, "c")
    fail = [True]
    before = effects.live.answerer.reply(vectors(effects.live))[0]
    told: list[Consumed] = []
    stop = threading.Event()

    def handle(connection: sa.Connection, event: Event) -> None:
        effects.handle(connection, event)
        if event.id == "ann-5" and fail.pop():
            fail.append(False)
            assert effects.live.answerer.ledger == 0, "nobody sees what is not committed"
            raise StorageError("the disk is full")

    def report(found: Consumed) -> None:
        told.append(found)
        if found.trouble:
            assert effects.live.answerer.reply(vectors(effects.live))[0] == pytest.approx(before, abs=1e-6)
            assert effects.live.stands(stage.sample(1)) == NOWHERE
        if found.handled == 12:
            stop.set()

    stage.publish(stage.images(*range(6)), stage.words(*range(6), label="cat"))
    done = consume(
        stage.database,
        stage.open(),
        stage.topics,
        "c",
        handle,
        prepare=effects.prepare,
        around=effects.around,
        report=report,
        stop=stop,
        wait=0.1,
    )
    assert (done.handled, done.retries) == (12, 1)
    assert "the disk is full" in [item.trouble for item in told]
    assert len(stage.votes()) == 6
    assert effects.live.answerer.ledger == stage.entries()[-1].id
    other = LiveModel(stage.project.workspace, effects.live.model)
    with stage.database.read() as connection:
        other.follow(connection)
    assert other.learnt().keys() == effects.live.learnt().keys()
    X = vectors(other)
    assert other.answerer.reply(X)[0] == pytest.approx(effects.live.answerer.reply(X)[0], abs=1e-5)
    effects.close()


def vectors(live: LiveModel) -> Any:
    with live.workspace.database.read() as connection:
        return live.look_up(connection, sorted(live.rows)).X


def test_answers_go_out_once_and_under_the_same_name_where_they_go_twice(stage: Stage) -> None:
    stage.publish(stage.images(*range(7)))
    stage.consume()
    topic = f"predictions-{stage.mark}"
    assert publish_answers(stage.database, stage.open(), topic, "p", drain=True, batch=3) == Published(published=7)
    assert publish_answers(stage.database, stage.open(), topic, "p", drain=True) == Published()
    assert publish_answers(stage.database, stage.open(), topic, "other", drain=True) == Published(published=7)
    found = read_all(stage.open(), topic)
    assert len(found) == 14
    assert {event.id: prediction_of(event) for event in found} == {answer.uid: answer for answer in stage.answers()}
    stage.publish(stage.images(7))
    stage.consume()
    assert publish_answers(stage.database, stage.open(), topic, "p", drain=True) == Published(published=1)


def read_all(transport: Transport, topic: str) -> list[Event]:
    start: dict[int, int] = {}
    found: list[Event] = []
    while more := transport.read(topic, "reader", start=start, limit=100, timeout=0.0):
        found += [item.event for item in more if item.event is not None]
        start |= {item.partition: item.next for item in more}
    return found


class _KilledError(BaseException):
    """As good as SIGKILL: nothing of ours catches it."""


def test_a_publisher_that_dies_at_the_commit_loses_no_answer(stage: Stage) -> None:
    stage.publish(stage.images(*range(6)))
    stage.consume()
    topic, commits = f"predictions-{stage.mark}", 0

    def at_commit(connection: sa.Connection) -> None:
        nonlocal commits
        commits += 1
        if commits in {2, 6}:  # each batch has two: one that waits for writers, and the one that moves the position
            raise _KilledError

    deaths = 0
    sa.event.listen(stage.database.engine, "commit", at_commit)
    while True:
        try:
            publish_answers(stage.database, stage.open(), topic, "p", drain=True, batch=2)
            break
        except _KilledError:
            deaths += 1
    sa.event.remove(stage.database.engine, "commit", at_commit)
    assert deaths == 2
    sent = [event.id for event in read_all(stage.open(), topic)]
    assert set(sent) == {answer.uid for answer in stage.answers()}
    assert len(sent) == (6 if stage.url == "embedded" else 10)


@pytest.mark.parametrize("most", [2, pytest.param(8, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_a_consumer_that_is_killed_again_and_again_counts_each_event_once(
    stage: Stage,
    trained_folder: Path,
    make_project: Callable[..., Project],
    child_environ: dict[str, str],
    most: int,
) -> None:
    """Real processes and real kills; the record is that of a run that nobody disturbs."""
    numbers = range(60)
    rng = random.Random(0)
    labels = ["dog" if (n % 2) != (rng.random() < 0.2) else "cat" for n in numbers]
    words = [
        event
        for n, label in zip(numbers, labels, strict=True)
        for event in stage.words(n, label=label, voter=f"v{n % 4}")
    ]
    images = stage.images(*numbers)
    project = make_project("calm", of=trained_folder)
    calm = Stage(project, "embedded", Door(project.workspace.database.engine), stage.picture)
    calm.project.promote("pets@1")
    for each in (stage, calm):
        each.publish([*images, *images[:9]], [*words, *words[-5:]])
    assert calm.consume(batch=4) == Consumed(handled=120, duplicates=14)

    command = [sys.executable, "-m", "pellucid", "-P", str(stage.project.workspace.root), "-c", "threads=2"]
    command += ["-c", f"stream_url={stage.url}"]
    command += ["-c", f"database_url={stage.project.workspace.settings.database_url}"]
    command += ["stream", "consume", "--as", "c", "--batch", "4", "--drain"]
    command += ["--images", stage.topics[0], "--feedback", stage.topics[1]]
    kills = 0
    for _ in range(40):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=child_environ) as process:
            assert process.stderr is not None
            told = process.stderr.readline()
            assert "Ctrl-C ends" in told, told
            timer = threading.Timer(
                rng.uniform(0.0, 0.25) if kills < most else 600.0, process.send_signal, [signal.SIGKILL]
            )
            timer.start()
            process.wait()
            timer.cancel()
        kills += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    assert process.returncode == 0
    assert kills >= 2

    def said(each: Stage) -> list[Any]:
        return [(row.sample_id, row.label, row.voter) for row in each.votes()]

    assert said(stage) == said(calm)
    assert len(said(stage)) == 60
    assert [row.support for row in stage.votes()] == pytest.approx([row.support for row in calm.votes()], abs=1e-3)
    first, second = stage.entries(), calm.entries()
    assert [(row.sample_id, row.label, row.action) for row in first] == [
        (row.sample_id, row.label, row.action) for row in second
    ]
    assert [row.weight for row in first] == pytest.approx([row.weight for row in second], abs=1e-3)
    assert [answer.uid for answer in stage.answers()] == [answer.uid for answer in calm.answers()]
    assert [answer.sample for answer in stage.answers()] == [answer.sample for answer in calm.answers()]


def test_a_consumer_goes_on_when_its_broker_does(stage: Stage) -> None:
    stop, troubled = threading.Event(), threading.Event()
    told: list[Consumed] = []

    def report(found: Consumed) -> None:
        told.append(found)
        if found.trouble:
            troubled.set()
        if found.handled == 6:
            stop.set()

    stage.publish(stage.images(0, 1), stage.words(0, 1))
    effects = Effects(stage.project.workspace, "c")
    transport = stage.open(timeout=1.0)
    with ThreadPoolExecutor(1) as pool, closing(effects):
        running = pool.submit(
            consume,
            stage.database,
            transport,
            stage.topics,
            "c",
            effects.handle,
            prepare=effects.prepare,
            around=effects.around,
            report=report,
            stop=stop,
            wait=0.1,
        )
        try:
            wait_for(lambda: told and told[-1].handled == 4)
            stage.down()
            assert troubled.wait(60.0)
            stage.up()
            stage.publish(stage.images(2), stage.words(2))
            assert running.result(timeout=90.0).handled == 6
        finally:
            stop.set()
    assert len(stage.votes()) == 3
    assert len(stage.answers()) == 3


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_consumers_each_get_all_and_offsets_are_theirs(stage: Stage) -> None:
    stage.publish(stage.images(0, 1, 2))
    assert stage.consume("one").handled == stage.consume("two").handled == 3
    assert len({answer.uid for answer in stage.answers()}) == 6
    with stage.database.read() as connection:
        assert next_offsets(connection, "one", stage.topics[0]) == next_offsets(connection, "two", stage.topics[0])


def test_a_new_champion_answers_from_the_next_batch_on(stage: Stage) -> None:
    stage.publish(stage.images(0))
    effects = Effects(stage.project.workspace, "c")
    run: dict[str, Any] = {"prepare": effects.prepare, "around": effects.around, "drain": True}
    consume(stage.database, stage.open(), stage.topics, "c", effects.handle, **run)
    stage.project.train("pets", models=["ridge"])
    stage.project.promote("pets@2")
    stage.publish(stage.images(1), stage.words(1))
    consume(stage.database, stage.open(), stage.topics, "c", effects.handle, **run)
    effects.close()
    assert [answer.model for answer in stage.answers()] == ["pets@1", "pets@2"]
    assert [(row.model_name, row.model_version) for row in stage.entries()] == [("pets", 2)]
