"""Bridge: rows of a table become events, and predictions become rows of another table."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, DataError, ImageError, PellucidError
from pellucid.flow.rounds import go_round
from pellucid.store.database import Database
from pellucid.store.foreign import Foreign
from pellucid.store.offsets import lock_name
from pellucid.store.receipts import answer_to, claim, settle
from pellucid.stream.consume import consume
from pellucid.stream.event import Event
from pellucid.stream.payload import Feedback, feedback_event, image_event, prediction_of
from pellucid.stream.rows import Line, Place, Rows
from pellucid.stream.topics import Topics
from pellucid.stream.transport import MAX_BATCH_BYTES, Transport, check_consumer
from pellucid.types import Answer

LATE = 60.0  # seconds by which a row may become visible after rows of a later time

_WATERMARK = "watermark"


@dataclass(frozen=True, slots=True)
class Bridged:
    """What was carried since the bridge began."""

    images: int = 0  # rows that became image events
    labels: int = 0  # labels that became feedback events
    predictions: int = 0  # predictions that were written into the target table, or stood there
    set_aside: int = 0  # rows that cannot be used; `Bridge.aside` tells the reasons
    retries: int = 0
    trouble: str = ""  # why the last step is to be tried again; empty where it went well


@dataclass(frozen=True, slots=True)
class _Message:
    key: str  # that is claimed for it; once
    event: Event | None  # None where the row cannot be used
    labels: bool = False  # whether it is feedback
    reason: str = ""


class Bridge:
    """Carries a table's new rows to the stream, and predictions back.

    A row is carried once, and each label that it gets, too: where the bridge has come to and what it has carried are
    kept in the project's database, with the events on the embedded stream, and after they were taken by Kafka, where
    the events' ids tell what comes twice. Rows that become visible late, behind the place that was reached, are looked
    for up to ``late`` seconds back.

    Args:
        database: the project's.
        name: of the bridge; another one carries all rows once more.
        rows: the table.
        voter: whose labels they are.
        topics: where events go and predictions come from.
        late: seconds by which a row may become visible after rows of a later time.
    """

    def __init__(
        self,
        database: Database,
        transport: Transport,
        name: str,
        rows: Rows,
        *,
        voter: str,
        topics: Topics,
        late: float = LATE,
        batch: int = 100,
    ) -> None:
        check_consumer(f"bridge-{name}")
        self.source = f"/bridge/{quote(name, safe='')}"
        self._database = database
        self._transport = transport
        self._name = name
        self._rows = rows
        self._voter = voter
        self._topics = topics
        self._late = late
        self._batch = batch
        self._cursor: Place | None = None
        self._underway = False
        self._swept_at: float | None = None  # when late rows were looked for, on the monotonic clock
        self._target: tuple[Foreign, sa.Table] | None = None

    def write_into(self, foreign: Foreign, table: str) -> None:
        """Names the table that predictions are written into; it is made where it does not exist."""
        kinds: dict[str, sa.types.TypeEngine[Any]] = {
            "prediction": sa.String(32),
            "id": self._rows.id_type,
            "label": sa.Text(),
            "confidence": sa.Float(),
            "model": sa.Text(),
            "at": sa.DateTime(timezone=True),
        }
        self._target = foreign, foreign.make(table, kinds, "prediction")

    def run(
        self,
        *,
        stop: threading.Event | None = None,
        report: Callable[[Bridged], None] = lambda bridged: None,
        drain: bool = False,
        wait: float = 1.0,
    ) -> Bridged:
        """Carries until it is told to stop; arguments and errors are those of ``consume``."""
        so_far = Bridged()

        def act() -> bool:
            nonlocal so_far
            seen, now = self.carry(so_far)
            written = self._bring() if self._target is not None else 0
            now = replace(now, predictions=now.predictions + written, trouble="")
            if now != so_far:
                so_far = now
                report(so_far)
            return seen or written > 0

        def tell(error: PellucidError) -> None:
            nonlocal so_far
            so_far = replace(so_far, retries=so_far.retries + 1, trouble=str(error))
            report(so_far)

        go_round(act, stop=stop or threading.Event(), drain=drain, trouble=tell, wait=wait)
        return so_far

    def carry(self, so_far: Bridged) -> tuple[bool, Bridged]:
        """Carries the next few rows; says whether there were any, new or not, and what was carried by then."""
        if not self._underway:
            self._cursor, self._underway = self._beginning(), True
        lines = self._rows.after(self._cursor, self._batch)
        if not lines:
            self._underway = False
            return False, so_far
        done, messages = self._messages(lines)
        if not self._transport.transactional:
            self._publish(messages, None)
        with self._database.write() as connection:
            lock_name(connection, "bridge", self._name)
            first = [item for item in messages if self._claim(connection, item)]
            if self._transport.transactional:
                self._publish(first, connection)
            self._advance(connection, done)
        self._cursor = done
        return True, replace(
            so_far,
            images=so_far.images + sum(item.event is not None and not item.labels for item in first),
            labels=so_far.labels + sum(item.labels for item in first),
            set_aside=so_far.set_aside + sum(item.event is None for item in first),
        )

    def waiting(self) -> int:
        """How many rows would be carried now."""
        place, count = self._beginning(), 0
        while lines := self._rows.after(place, self._batch):
            with self._database.read() as connection:
                count += sum(bool(self._wanted(connection, line)) for line in lines)
            place = lines[-1].place
        self._swept_at = None
        return count

    def _beginning(self) -> Place | None:
        with self._database.read() as connection:
            reached = self._reached(connection)
        now = time.monotonic()
        if reached is None or (self._swept_at is not None and now - self._swept_at < self._late):
            return reached
        # Twice as far back as rows may be late: between two sweeps all of that time may pass.
        self._swept_at = now
        return self._rows.before(reached, 2 * self._late)

    def _reached(self, connection: sa.Connection) -> Place | None:
        found = answer_to(connection, self._own, _WATERMARK)
        return None if found is None else self._rows.from_json(found)

    def _advance(self, connection: sa.Connection, place: Place) -> None:
        reached, note = self._reached(connection), self._rows.to_json(place)
        if reached is None:
            claim(connection, self._own, _WATERMARK, note)
        elif (place.time, place.id) > (reached.time, reached.id):
            settle(connection, self._own, _WATERMARK, note)

    def _messages(self, lines: Sequence[Line]) -> tuple[Place, list[_Message]]:
        """What the rows say that was not carried yet, up to the size of a batch; and the place that it goes up to."""
        messages: list[_Message] = []
        size = 0
        for line in lines:
            with self._database.read() as connection:
                wanted = self._wanted(connection, line)
            if wanted:
                try:
                    data = self._rows.image(line)
                    messages += self._events(line, data, wanted)
                    size += len(data)
                except (DataError, ImageError) as error:
                    messages += [_Message(key, None, reason=str(error)) for key in wanted]
            if size >= MAX_BATCH_BYTES:
                break
        return line.place, messages

    def _wanted(self, connection: sa.Connection, line: Line) -> list[str]:
        """The keys of what the row says that was not carried yet: its image first, then its label."""
        keys = [line.id]
        if line.label is not None:
            said = hashlib.sha256(f"{line.place.time}\0{line.label}".encode()).hexdigest()
            keys.append(f"{line.id}:{said[:16]}")
        return [key for key in keys if answer_to(connection, f"row:{self._name}", key) is None]

    def _events(self, line: Line, data: bytes, wanted: Sequence[str]) -> list[_Message]:
        found = []
        if line.id in wanted:
            event = image_event(data, id=line.id, source=self.source, subject=line.id, time=line.at)
            found.append(_Message(line.id, event))
        for key in wanted:
            if key != line.id:
                said = Feedback(str(line.label), self._voter, sample=hashlib.sha256(data).hexdigest())
                event = feedback_event(said, id=key, source=self.source, time=line.at)
                found.append(_Message(key, event, labels=True))
        return found

    def _claim(self, connection: sa.Connection, item: _Message) -> bool:
        note = {"reason": item.reason} if item.event is None else {}
        if claim(connection, f"row:{self._name}", item.key, note) is not None:
            return False
        if item.event is None:
            claim(connection, f"aside:bridge-{self._name}", item.key, {"source": self.source, "id": item.key, **note})
        return True

    def _publish(self, messages: Sequence[_Message], connection: sa.Connection | None) -> None:
        for topic, labels in ((self._topics.images, False), (self._topics.feedback, True)):
            events = [item.event for item in messages if item.event is not None and item.labels == labels]
            self._transport.publish(topic, events, connection=connection)

    def _bring(self) -> int:
        """Writes the predictions that have come into the target table; returns how many those were."""
        topic, consumer = self._topics.predictions, f"bridge-{self._name}"
        brought = 0

        def write(events: Sequence[Event]) -> None:
            nonlocal brought
            brought += self._write(events)

        def check(connection: sa.Connection, event: Event) -> None:
            prediction_of(event)

        # The rows are written before the offset moves, and recognised by their key where that is done again.
        consume(self._database, self._transport, topic, consumer, check, prepare=write, drain=True)
        return brought

    def _write(self, events: Sequence[Event]) -> int:
        assert self._target is not None  # noqa: S101 - who brings has a target
        foreign, table = self._target
        found: dict[str, Mapping[str, Any]] = {}
        for event in events:
            try:
                answer = prediction_of(event)
                if answer.actor == self.source:
                    found[answer.uid] = self._row(answer)
            except (DataError, ValueError):
                continue  # it is set aside where it is counted
        if not found:
            return 0
        try:
            with foreign.engine.begin() as connection:
                key = table.c.prediction
                there = set(connection.execute(sa.select(key).where(key.in_(list(found)))).scalars())
                new = [dict(row) for uid, row in found.items() if uid not in there]
                if new:
                    connection.execute(sa.insert(table), new)
        except sa.exc.IntegrityError as error:
            raise ConcurrencyError(f"{table.name} got the same predictions from somebody else; try again") from error
        return len(found)

    def _row(self, answer: Answer) -> Mapping[str, Any]:
        return {
            "prediction": answer.uid,
            "id": self._rows.to_id(answer.name),
            "label": answer.label,
            "confidence": answer.confidence,
            "model": answer.model,
            "at": answer.at,
        }

    @property
    def _own(self) -> str:
        return f"bridge:{self._name}"
