"""Effects: what image events and feedback events do to the project, in the transaction that counts them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import sqlalchemy as sa

from pellucid.errors import DataError, NotFoundError, PellucidError, UsageError
from pellucid.flow.online.answer import Asked, Seen, give_answers, look_at, record_looks, store_images
from pellucid.flow.online.draft import Draft, drafting
from pellucid.flow.online.feedback import Said, hear_within
from pellucid.flow.online.live import LiveModel
from pellucid.flow.training.predict import choose_model
from pellucid.flow.workspace import Workspace
from pellucid.store.images import Place
from pellucid.store.predictions import add_answers, answer_of
from pellucid.store.samples import stored_ids
from pellucid.stream.consume import refuse
from pellucid.stream.event import FEEDBACK, IMAGE, Event
from pellucid.stream.payload import Feedback, feedback_of, image_of
from pellucid.stream.transport import check_consumer
from pellucid.stream.waiting import check_order, expect, put_off, wake
from pellucid.types import KEEPER, Answer, Role


class Effects:
    """Answers images and hears feedback with the live model of one name; ``consume`` calls it, batch by batch.

    An image is answered by the champion as it is when the batch begins. The answer's uid follows from consumer, source
    and id of the event, so that whoever sends the image can know it, and a repeated answer is recognised. Feedback on
    an image that has not come yet waits for it; what a voter said before the voter's own later word is set aside.

    Args:
        workspace: the project.
        consumer: under whose name events are read.
        name: of the dataset that the model classifies; the only one with a model where None.
        role: in what capacity feedback is heard: user or annotator.
        new_classes: whether labels that nobody has used yet make new classes; they are set aside where not.

    Raises:
        NotFoundError: there is no champion.
        UsageError: the consumer cannot be called that.
    """

    def __init__(
        self,
        workspace: Workspace,
        consumer: str,
        *,
        name: str | None = None,
        role: Role = Role.USER,
        new_classes: bool = False,
    ) -> None:
        check_consumer(consumer)
        self._workspace = workspace
        self._consumer = consumer
        self._name = choose_model(workspace, name).name
        self._role = role
        self._new_classes = new_classes
        self._pool = ThreadPoolExecutor(workspace.threads, thread_name_prefix="pellucid-look")
        self._live: LiveModel | None = None
        self._draft: Draft | None = None
        self._seen: dict[tuple[str, str], Seen | PellucidError] = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._places: Mapping[str, Place] = {}

    @property
    def live(self) -> LiveModel:
        """The champion as it has learnt up to now; loaded when it is asked for."""
        champion = choose_model(self._workspace, f"{self._name}@champion")
        if self._live is None or self._live.model.ref != champion.ref:
            self._live = LiveModel(self._workspace, champion)
        return self._live

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def prepare(self, events: Sequence[Event]) -> None:
        """Looks at the batch's images and answers them; nobody knows of it yet."""
        live = self.live
        with live.lock, self._workspace.database.read() as connection:
            live.follow(connection)
        images: dict[tuple[str, str], Asked] = {}
        self._seen, self._answers = {}, {}
        for event in events:
            if _key(event) in images or _key(event) in self._seen:
                continue  # of those that have the same name the first one counts
            try:
                asked = self._image_in(event)
            except DataError as error:
                self._seen[_key(event)] = error
                continue
            if asked is not None:
                images[_key(event)] = asked
        extractor = live.predictor.extractor
        looks = look_at(self._workspace, extractor, [item.data for item in images.values()], pool=self._pool)
        self._seen |= dict(zip(images, looks, strict=True))
        good = {key: found for key, found in zip(images, looks, strict=True) if isinstance(found, Seen)}
        self._places = store_images(self._workspace, list(good.values()))
        answers = give_answers(live.answerer, [(images[key], found) for key, found in good.items()])
        self._answers = dict(zip(good, answers, strict=True))

    @contextmanager
    def around(self) -> Iterator[None]:
        """What the batch teaches the live model answers once it is committed, and is undone where it is not."""
        live = self._live or self.live
        with drafting(live) as self._draft:
            yield

    def handle(self, connection: sa.Connection, event: Event) -> None:
        """The event's effect.

        Raises:
            DataError, ImageError: it has none, and never will have.
        """
        if event.type == IMAGE:
            self._answer(connection, event)
        elif event.type == FEEDBACK:
            self._hear(connection, event)
        else:
            raise DataError(f"the event is of type {event.type!r}; wanted are {IMAGE} and {FEEDBACK}")

    def _answer(self, connection: sa.Connection, event: Event) -> None:
        model, answer = self._drafted.live.model, self._answers.get(_key(event))
        seen = self._look_of(event)
        assert answer is not None  # noqa: S101 - what was seen was answered
        for name in (answer.sample, answer.uid):
            expect(connection, model.name, name)
        self._record(connection, seen)
        add_answers(connection, model, [answer])
        for name in (answer.sample, answer.uid):
            wake(connection, model.name, name, lambda early: self._hear_early(connection, early))

    def _hear(self, connection: sa.Connection, event: Event) -> None:
        feedback = feedback_of(event)
        if feedback.voter == KEEPER:
            raise DataError(f"the voter is {KEEPER!r}, which no person may be called; wanted is who says so")
        draft = self._drafted
        dataset = draft.live.model.name
        said = self._said(connection, event, feedback)
        if said is None:
            put_off(connection, self._consumer, dataset, str(feedback.sample or feedback.prediction), event)
            return
        check_order(connection, dataset, said.sample, said.voter, event.time)
        try:
            hear_within(draft, connection, said)
        except UsageError as error:
            raise DataError(str(error)) from None

    def _hear_early(self, connection: sa.Connection, event: Event) -> None:
        """Feedback that waited: where it cannot be used, the image's answer stands all the same."""
        try:
            with connection.begin_nested():
                self._hear(connection, event)
        except DataError as error:
            refuse(connection, self._consumer, event, str(error))

    def _said(self, connection: sa.Connection, event: Event, feedback: Feedback) -> Said | None:
        """What is said of which sample; None where the image has not come yet."""
        dataset = self._drafted.live.model.name
        said = Said("", feedback.label, feedback.voter, self._role, note=feedback.note, new_class=self._new_classes)
        if feedback.image is not None:
            seen = self._look_of(event)
            self._record(connection, seen)
            return replace(said, sample=seen.sample.id)
        expect(connection, dataset, str(feedback.sample or feedback.prediction))
        if feedback.sample is not None:
            return replace(said, sample=feedback.sample) if stored_ids(connection, [feedback.sample]) else None
        try:
            answer = answer_of(connection, str(feedback.prediction))
        except NotFoundError:
            return None
        if answer.model.rpartition("@")[0] != dataset:
            raise DataError(
                f"the prediction {answer.uid} was given by {answer.model}, and this is the stream of {dataset}"
            )
        return replace(
            said, sample=answer.sample, prediction=answer.uid, model=answer.model, confidence=answer.confidence
        )

    def _image_in(self, event: Event) -> Asked | None:
        if event.type == IMAGE:
            image = image_of(event)
            return Asked(image.data, actor=event.source, name=image.name, uid=uid_of(self._consumer, event))
        if event.type == FEEDBACK and (data := feedback_of(event).image) is not None:
            return Asked(data)
        return None

    def _look_of(self, event: Event) -> Seen:
        found = self._seen[_key(event)]
        if isinstance(found, PellucidError):
            raise found
        return found

    def _record(self, connection: sa.Connection, seen: Seen) -> None:
        fingerprint = self._drafted.live.model.fingerprint
        record_looks(self._workspace.database, connection, fingerprint, [seen], self._places)

    @property
    def _drafted(self) -> Draft:
        assert self._draft is not None  # noqa: S101 - `around` has made it
        return self._draft


def uid_of(consumer: str, event: Event) -> str:
    """The uid of the answer to an image event, 32 hexadecimal digits: the same each time that it is given.

    >>> uid_of("predict", Event("7", "/cameras/3", IMAGE, data=b"..."))
    '97da7e9b560c4ffdbd2bd220d09bd9e6'
    """
    return hashlib.sha256(f"{consumer}\0{event.source}\0{event.id}".encode()).hexdigest()[:32]


def _key(event: Event) -> tuple[str, str]:
    return event.source, event.id
