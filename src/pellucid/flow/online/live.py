"""The live model: the champion as it was trained, and all that its ledger says it has learnt and unlearnt since.

The trained model is the checkpoint and the ledger is the journal. Because learning and unlearning are exact and their
order does not matter, every process that follows the ledger holds the same model, and one that was killed comes back
to it: it takes the net effect of the ledger in one block.
"""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.errors import StorageError
from pellucid.flow.data.embed import embed_intact, embed_samples
from pellucid.flow.online.answerer import Answerer, Views
from pellucid.flow.online.guard import Guard
from pellucid.flow.online.place import NOWHERE, Place, as_arrays
from pellucid.flow.online.recent import RecentVectors
from pellucid.flow.online.vectors import SampleVectors
from pellucid.flow.training.learn import gather
from pellucid.flow.training.predict import open_predictor
from pellucid.flow.training.replay import REPLAY, replayed
from pellucid.flow.workspace import Workspace
from pellucid.heads.online import OnlineHead, Span, learns_online
from pellucid.heads.statistic import strength
from pellucid.labels.halves import halve_trusted
from pellucid.noise.copies import USUAL, copy_cosine, unit
from pellucid.store.datasets import get_version
from pellucid.store.ledger import Entry, entries_after
from pellucid.store.manifests import read_manifest
from pellucid.types import TRUST_SCALE, ModelVersion, Row, Split, Status

_BLOCK = 256  # samples that are lifted at a time
RECENT = 2000  # images among which copies are looked for, the newest


@dataclass(frozen=True, slots=True, eq=False)
class Undo:
    """How samples stood before a step."""

    places: Mapping[str, Place]  # of each that was moved
    views: Views  # of them, in that order
    classes: tuple[str, ...]  # that there were


class LiveModel:
    """Learns and unlearns by `apply` and `follow`, one caller at a time; `answerer` may be read by any thread.

    Args:
        workspace: the project.
        model: the version that goes on learning, as a rule the champion.

    Raises:
        IntegrityError, NotFoundError: the model cannot be loaded.
        NeverLearntError: it was trained on other rows than its dataset version has.
    """

    def __init__(self, workspace: Workspace, model: ModelVersion) -> None:
        self.workspace = workspace
        self.model = model
        self.lock = threading.RLock()
        self.predictor = open_predictor(workspace, model)
        self.classes = self.predictor.classes
        self._online: OnlineHead | None = None
        self._span: Span | None = None
        self._trained: dict[str, Place] = {}  # of each sample of the training
        self._stands: dict[str, Place] = {}  # of each sample that is learnt
        self._recent = RecentVectors(self.predictor.extractor.dim, RECENT)
        self._ledger = 0
        self._version = 0  # of the dataset: the newest whose splits are known
        self.rows: Mapping[str, Row] = {}
        self.copy_cosine = USUAL  # of two vectors, above which they are taken for copies of one image
        # Labels that voters are measured by: by the gate's half nothing is chosen that is to be judged on it.
        self.settled: Mapping[str, str] = {}  # of the guard's half of the trusted samples
        self.guard: Guard | None = None
        self.best: float | None = None  # the accuracy on the guard of the model as it was trained
        with workspace.database.read() as connection:
            self.version = get_version(connection, model.dataset)
            if learns_online(self.predictor.head):
                self._resume(read_manifest(workspace.blobs, self.version.content_id))
            self.vectors = SampleVectors(workspace, self.predictor.extractor, model.fingerprint, self._trained)
            self._first = self.online.snapshot() if self.learns else None
            self.refresh(connection)
        self.answerer = self.newest()

    @property
    def learns(self) -> bool:
        """Whether the model learns single rows; logistic regression and networks wait for the next training."""
        return self._online is not None

    @property
    def lost(self) -> frozenset[str]:
        """Samples that were left out because their images are gone."""
        return self.vectors.lost

    @property
    def n_classes(self) -> int:
        """How many it was trained on, at least 2: a wrong vote is spread over these, others anybody may have added."""
        return max(2, len(self.predictor.classes))

    @property
    def ledger(self) -> int:
        """The newest entry of the ledger that is learnt."""
        return self._ledger

    @property
    def online(self) -> OnlineHead:
        """The head that learns. Raises StorageError where there is none."""
        if self._online is None:
            raise StorageError(f"{self.model.ref} has a head that cannot learn single rows; train `kernel` or `ridge`")
        return self._online

    def stands(self, sample: str) -> Place:
        """How the model has learnt the sample; `NOWHERE` where it has not."""
        return self._stands.get(sample, NOWHERE)

    def trained(self, sample: str) -> Place:
        """The same as it was trained, before all learning since."""
        return self._trained.get(sample, NOWHERE)

    def label_at(self, place: Place) -> str | None:
        """The label of what stands there; None where nothing is learnt."""
        return self.classes[place.number] if place.weight > 0 else None

    def taught(self, names: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
        """How the head has learnt samples: class numbers, weights and strengths, (n,)."""
        return as_arrays([self.stands(name) for name in names])

    def learnt(self) -> Mapping[str, Place]:
        """Every sample that is learnt, and how."""
        return self._stands

    def class_number(self, label: str) -> int:
        """The number of the class; a new one is appended."""
        if label not in self.classes:
            self.classes = (*self.classes, label)
        return self.classes.index(label)

    def known(self) -> tuple[str, ...]:
        """The classes of the dataset, and those learnt since of which something stands."""
        return tuple(self.newest().known.values())

    def refresh(self, connection: sa.Connection) -> None:
        """Takes in the splits of the dataset's newest version: what is tested on and what is trusted."""
        newest = get_version(connection, self.version.dataset)
        if newest.number == self._version:
            return
        rows = {row.sample: row for row in read_manifest(self.workspace.blobs, newest.content_id)}
        self.rows, self._version = rows, newest.number
        guards, _ = halve_trusted(rows.values())
        self.settled = {row.sample: str(row.label) for row in guards}
        if self._first is not None:
            self.guard = self._guard(guards)
            self.best = self.guard.accuracy(self._first) if self.guard is not None else None

    def may_learn(self, sample: str) -> bool:
        """Whether feedback may touch the sample: what is tested on or trusted it may not."""
        row = self.rows.get(sample)
        return row is None or row.split is Split.TRAIN

    def look_up(self, connection: sa.Connection, ids: Sequence[str]) -> Views:
        """How the model sees samples, with the errors of `embed_samples`: as in training those that it was trained on,
        and as they came all others.
        """
        return self.view(self.vectors.of(connection, ids))

    def look_up_intact(self, connection: sa.Connection, ids: Sequence[str]) -> tuple[list[str], Views]:
        """The same of those whose images can be had, with their names, each once; the others are then `lost`."""
        names, X = self.vectors.intact(connection, ids)
        return names, self.view(X)

    def view(self, X: NDArray[np.float32]) -> Views:
        """How the model sees the samples of vectors (n, d)."""
        return Views(X, self._online.lift(X) if self._online is not None and len(X) else X)

    def in_blocks(self, X: NDArray[np.float32], rest: Callable[[], None] = lambda: None) -> Iterator[Views]:
        """The same, some at a time: lifted, a vector takes several times its room.

        Args:
            rest: called before each block.
        """
        for start in range(0, len(X), _BLOCK):
            rest()
            yield self.view(X[start : start + _BLOCK])

    def recent(self) -> Mapping[str, NDArray[np.float32]]:
        """The unit vectors of the samples that moved last, at most ``RECENT``; from any thread."""
        return self._recent.vectors()

    def follow(self, connection: sa.Connection) -> int:
        """Takes in what others have added to the ledger; returns how many entries there were."""
        if self._online is None:
            return 0
        with self.lock:
            entries = entries_after(connection, self.model, self._ledger)
            if entries:
                for item in entries:  # in one order everywhere, also of those that stand no more
                    if item.label is not None:
                        self.class_number(item.label)
                net = {item.sample: item for item in entries}
                # What comes before what goes, so that no statistic runs empty on the way.
                names, X = self.vectors.intact(connection, sorted(net, key=lambda name: net[name].weight == 0))
                found = iter(names)
                for views in self.in_blocks(X):
                    self.apply([net[name] for name in itertools.islice(found, len(views.X))], views)
                self.publish(entries[-1].id)
            return len(entries)

    def fork(self) -> LiveModel:
        """A copy in which steps can be tried out; under the ``lock``, which the copy does not share."""
        fork = copy.copy(self)
        fork.lock = threading.RLock()
        fork._online = None if self._online is None else self._online.copy()
        fork._stands, fork._recent = dict(self._stands), self._recent.copy()
        return fork

    def apply(self, entries: Sequence[Entry], views: Views) -> Undo:
        """Puts samples, each named once, where the entries say; what it returns undoes it.

        Nobody sees it until `publish`.
        """
        classes = self.classes
        after = {
            item.sample: Place(self.class_number(item.label), item.weight, item.strength)
            if item.label is not None and item.weight > 0
            else NOWHERE
            for item in entries
        }
        moved = np.array([self.stands(name) != place for name, place in after.items()], np.bool_)
        names = [name for name, is_new in zip(after, moved, strict=True) if is_new]
        undo = Undo({name: self.stands(name) for name in names}, views.only(moved), classes)
        try:
            self._move(undo.views, undo.places, after)
        except BaseException:
            self.classes = classes
            raise
        return undo

    def restore(self, undo: Undo) -> None:
        """Samples stand as they stood before the step."""
        self._move(undo.views, {name: self.stands(name) for name in undo.places}, undo.places)
        self.classes = undo.classes

    def publish(self, ledger: int) -> None:
        """What is learnt by now answers from now on."""
        self._ledger = ledger
        self.answerer = self.newest()

    def guarded(self) -> float | None:
        """The accuracy on the guard as the model now is, 0..1; None without trusted images."""
        if self.guard is None or self._online is None:
            return None
        return self.guard.accuracy(self._online.snapshot())

    def hurt(self, before: float | None) -> str:
        """Why a step has to be undone; empty where it may stay.

        Args:
            before: the accuracy on the guard without it; what was bad before it is not its fault.
        """
        now = self.guarded()
        if now is None or before is None or self.guard is None or self.best is None:
            return ""
        return self.guard.fault(before, now, self.best)

    def credit_of_copies(self, names: Sequence[str], X: NDArray[np.float32]) -> NDArray[np.float64]:
        """How much has been learnt of near-copies of each vector, (n, d), from feedback, 0 or more, (n,).

        All copies of an image together get the weight of one, so that nobody gains by repeating a picture.

        Args:
            names: samples that are left out of account.
        """
        out = set(names)
        others, alike = self._recent.alike(unit(X), self.copy_cosine)
        credits = [
            self.stands(name).credit if name not in out and self.stands(name) != self.trained(name) else 0.0
            for name in others
        ]
        return np.asarray(alike @ np.array(credits, np.float64))

    def _move(self, views: Views, old: Mapping[str, Place], new: Mapping[str, Place]) -> None:
        """Learns first and forgets then, all of it or nothing: a statistic never runs empty on the way.

        Args:
            old: where the samples of the views stand, in that order.
            new: where they are to stand.
        """
        names = list(old)
        come, gone = (_rows_at(views, [places[name] for name in names]) for places in (new, old))
        if come is not None:
            self.online.learn(*come)
        try:
            if gone is not None:
                self.online.forget(*gone)
        except BaseException:
            if come is not None:
                self.online.forget(*come)
            raise
        for name in names:
            if new[name].weight > 0:
                self._stands[name] = new[name]
            else:
                self._stands.pop(name, None)
        self._recent.put(names, unit(views.X))

    def _resume(self, rows: Sequence[Row]) -> None:
        train = [row for row in rows if row.split is Split.TRAIN and row.status is Status.OK and row.label is not None]
        memory = self.model.settings.get(REPLAY)
        if memory is not None:  # it was trained on a part of them
            material = gather(self.workspace, self.version, self.predictor.extractor)
            train = list(replayed(self.workspace, material, memory).train.rows)
        learnt = [row for row in train if row.trust]
        X = embed_samples(self.workspace, self.predictor.extractor, [row.sample for row in learnt])
        y = np.array([self.classes.index(str(row.label)) for row in learnt], np.intp)
        trust = np.array([row.trust / TRUST_SCALE for row in learnt], np.float64)
        strengths = strength(trust, len(np.asarray(self.predictor.head.classes_)))
        self._online = OnlineHead.resume(self.predictor.head, X, y, np.ones(len(y)), strengths)
        self._span = self._online.span(self._online.lift(X))
        self.copy_cosine = copy_cosine(X, [row.group for row in learnt])
        self._trained = {
            row.sample: Place(int(number), 1.0, float(share))
            for row, number, share in zip(learnt, y, strengths, strict=True)
        }
        self._stands = dict(self._trained)

    def _guard(self, guards: Sequence[Row]) -> Guard | None:
        known = [row for row in guards if row.label in self.classes]
        found = embed_intact(self.workspace, self.predictor.extractor, [row.sample for row in known])
        there = [row for row in known if row.sample in found]
        if not there:
            return None
        X = np.stack([found[row.sample] for row in there])
        return Guard(self.online.lift(X), np.array([self.classes.index(str(row.label)) for row in there], np.intp))

    def newest(self) -> Answerer:
        """The model as it now is, published or not."""
        snapshot = self._online.snapshot() if self._online is not None else None
        return Answerer(self.model, self.classes, self._ledger, self.predictor, snapshot, self._span)


def caught_up(workspace: Workspace, model: ModelVersion) -> LiveModel:
    """The model as it answers now: with all that its ledger says. Errors are those of `LiveModel` and `follow`."""
    live = LiveModel(workspace, model)
    with workspace.database.read() as connection:
        live.follow(connection)
    return live


def _rows_at(
    views: Views, places: Sequence[Place]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]] | None:
    """What the head is to learn or to forget of rows at these places; None where that is none."""
    numbers, weights, strengths = as_arrays(places)
    learnt = weights > 0
    return (views.rows[learnt], numbers[learnt], weights[learnt], strengths[learnt]) if learnt.any() else None
