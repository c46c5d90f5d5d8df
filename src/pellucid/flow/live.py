"""The live model: the champion as it was trained, and all that its ledger says it has learnt and unlearnt since.

The trained model is the checkpoint and the ledger is the journal. Because learning and unlearning are exact and their
order does not matter, every process that follows the ledger holds the same model, and one that was killed comes back
to it: it takes the net effect of the ledger in one block.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.errors import StorageError
from pellucid.flow.embed import embed_samples
from pellucid.flow.predict import open_predictor
from pellucid.flow.predictor import Predictor
from pellucid.flow.workspace import Workspace
from pellucid.heads.online import OnlineHead, Snapshot, Span, learns_online
from pellucid.labels.halves import halve
from pellucid.store.datasets import get_version
from pellucid.store.ledger import Entry, entries_after
from pellucid.store.live_vectors import vectors_of
from pellucid.store.manifests import read_manifest
from pellucid.types import TRUST_SCALE, ModelVersion, Row, Split, Status

UNLEARNT = (-1, 0.0)
COPY = 0.995  # the cosine of two vectors above which they are taken for copies of one image
FRESH = 2000  # images among which copies are looked for, the newest


@dataclass(frozen=True, slots=True, eq=False)
class Answerer:
    """One state of the live model; it never changes."""

    model: ModelVersion
    classes: tuple[str, ...]  # in index order; those that came after training are at the end
    ledger: int  # the newest entry that is learnt; 0 for the model as it was trained
    predictor: Predictor
    snapshot: Snapshot | None  # None for a head that cannot learn online
    span: Span | None  # what was learnt in training

    def probabilities(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, K) in the order of ``classes``, of vectors (n, d); a class never learnt gets 0."""
        if self.snapshot is None:
            return self.predictor.predict_vectors(X)
        found = np.zeros((len(X), len(self.classes)))
        if len(X):
            found[:, self.snapshot.classes] = self.snapshot.predict_proba(self.snapshot.lift(X))
        return found

    def probabilities_of(self, views: Views) -> NDArray[np.float64]:
        """The same of views."""
        if self.snapshot is None:
            return self.predictor.predict_vectors(views.X)
        found = np.zeros((len(views.X), len(self.classes)))
        found[:, self.snapshot.classes] = self.snapshot.predict_proba(views.rows)
        return found

    def novelty(self, X: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """The share, (n,) 0..1, of training images that lie nearer to what was learnt; None where nothing tells."""
        return None if self.span is None or self.snapshot is None else self.span.novelty(self.snapshot.lift(X))

    def sets(self, shares: NDArray[np.float64], alpha: float = 0.1) -> NDArray[np.bool_]:
        """Which classes, (n, K), hold the true one with probability 1 - alpha."""
        if self.snapshot is None:
            return np.asarray(np.arange(shares.shape[1]) == shares.argmax(axis=1)[:, None])
        held = np.zeros(shares.shape, np.bool_)
        columns = self.snapshot.classes
        held[:, columns] = self.snapshot.predict_set(shares[:, columns], alpha)
        return held


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Samples as the model sees them."""

    X: NDArray[np.float32]  # (n, d) vectors
    rows: NDArray[np.floating[Any]]  # (n, p) the same, lifted

    def only(self, chosen: NDArray[np.bool_]) -> Views:
        """Those that are chosen, (n,)."""
        return self if chosen.all() else Views(self.X[chosen], self.rows[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """One half of the trusted images: what no feedback touches, and an online step must not hurt."""

    rows: NDArray[np.floating[Any]]  # (n, p) lifted
    y: NDArray[np.intp]  # (n,) class numbers

    def accuracy(self, snapshot: Snapshot) -> float:
        """The share of the guard that is answered rightly, 0..1."""
        return float((snapshot.classes[snapshot.scores(self.rows).argmax(axis=1)] == self.y).mean())


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
        self._stands: dict[str, tuple[int, float]] = {}  # class number and weight of each sample that is learnt
        self._fresh: dict[str, NDArray[np.float32]] = {}  # unit vectors of the samples that moved last
        self._ledger = 0
        with workspace.database.read() as connection:
            version = get_version(connection, model.dataset)
            newest = get_version(connection, version.dataset)
        rows = read_manifest(workspace.blobs, version.content_id)
        present = {row.sample: row for row in read_manifest(workspace.blobs, newest.content_id)}
        self.rows: Mapping[str, Row] = {row.sample: row for row in rows} | present
        self.guard: Guard | None = None
        if learns_online(self.predictor.head):
            self._resume(rows)
            self.guard = self._guard(list(present.values()))
        self.answerer = self.newest()
        self.best = self.guarded()  # the accuracy on the guard of the model as it was trained

    @property
    def learns(self) -> bool:
        """Whether the model learns single rows; logistic regression and networks wait for the next training."""
        return self._online is not None

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

    def stands(self, sample: str) -> tuple[int, float]:
        """The class number and weight with which the model has learnt the sample; -1 and 0 where it has not."""
        return self._stands.get(sample, UNLEARNT)

    def learnt(self) -> Mapping[str, tuple[int, float]]:
        """Every sample that is learnt, with its class number and weight."""
        return self._stands

    def class_number(self, label: str) -> int:
        """The number of the class; a new one is appended."""
        if label not in self.classes:
            self.classes = (*self.classes, label)
        return self.classes.index(label)

    def drop_unlearnt_classes(self) -> None:
        """Forgets new classes that were named and not learnt, so that all who follow the ledger have the same."""
        learnt = 0 if self._online is None else 1 + int(max(self._online.classes))
        self.classes = self.classes[: max(learnt, len(self.predictor.classes))]

    def look_up(self, connection: sa.Connection, ids: Sequence[str]) -> Views:
        """How the model sees samples; vectors that are not kept are computed."""
        kept = vectors_of(connection, self.model.fingerprint, ids)
        missing = [name for name in dict.fromkeys(ids) if name not in kept]
        if missing:
            made = embed_samples(self.workspace, self.predictor.extractor, missing)
            kept |= dict(zip(missing, made, strict=True))
        X = np.stack([kept[name] for name in ids]) if ids else np.empty((0, self.predictor.extractor.dim), "f4")
        return Views(X, self._online.lift(X) if self._online is not None else X)

    def follow(self, connection: sa.Connection) -> int:
        """Takes in what others have added to the ledger; returns how many entries there were."""
        if self._online is None:
            return 0
        entries = entries_after(connection, self.model, self._ledger)
        if entries:
            net = {item.sample: item for item in entries}
            self.apply(list(net.values()), self.look_up(connection, list(net)))
            self._ledger = entries[-1].id
            self.publish(self._ledger)
        return len(entries)

    def apply(self, entries: Sequence[Entry], views: Views) -> dict[str, tuple[int, float]]:
        """Puts samples, each named once, where the entries say; returns where they stood before.

        Nobody sees it until `publish`.
        """
        before = {item.sample: self.stands(item.sample) for item in entries}
        after = {
            item.sample: (self.class_number(item.label), item.weight)
            if item.label is not None and item.weight > 0
            else UNLEARNT
            for item in entries
        }
        moved = np.array([before[item.sample] != after[item.sample] for item in entries], np.bool_)
        names = [item.sample for item, is_new in zip(entries, moved, strict=True) if is_new]
        self._move(views.only(moved), names, before, after)
        return before

    def restore(self, before: Mapping[str, tuple[int, float]], views: Views) -> None:
        """Undoes `apply`: samples, in the order of the views, stand where they stood."""
        now = {name: self.stands(name) for name in before}
        moved = np.array([now[name] != before[name] for name in before], np.bool_)
        names = [name for name, is_new in zip(before, moved, strict=True) if is_new]
        self._move(views.only(moved), names, now, before)

    def publish(self, ledger: int) -> None:
        """What is learnt by now answers from now on."""
        self.drop_unlearnt_classes()
        self._ledger = ledger
        self.answerer = self.newest()

    def guarded(self) -> float | None:
        """The accuracy on the guard as the model now is, 0..1; None without trusted images."""
        if self.guard is None or self._online is None:
            return None
        return self.guard.accuracy(self._online.snapshot())

    def weight_of_copies(self, sample: str, x: NDArray[np.float32]) -> float:
        """The weight, 0 or more, with which near-copies of the vector x (d,) have been learnt from feedback.

        All copies of an image together get the weight of one, so that nobody gains by repeating a picture.
        """
        names = [name for name in self._fresh if name != sample and name in self._stands]
        if not names:
            return 0.0
        likeness = np.stack([self._fresh[name] for name in names]) @ _unit(x)
        return float(
            sum(self._stands[name][1] for name, is_copy in zip(names, likeness > COPY, strict=True) if is_copy)
        )

    def _move(
        self,
        views: Views,
        names: Sequence[str],
        old: Mapping[str, tuple[int, float]],
        new: Mapping[str, tuple[int, float]],
    ) -> None:
        """Learns first and forgets then: a statistic never runs empty on the way."""
        for places, act in ((new, self.online.learn), (old, self.online.forget)):
            some = [(row, *places[name]) for row, name in enumerate(names) if places[name][1] > 0]
            if some:
                rows, y, weight = (np.array(column) for column in zip(*some, strict=True))
                act(views.rows[rows], y.astype(np.intp), weight.astype(np.float64))
        for name in names:
            if new[name][1] > 0:
                self._stands[name] = new[name]
            else:
                self._stands.pop(name, None)
        for row, name in enumerate(names):
            self._fresh.pop(name, None)
            self._fresh[name] = _unit(views.X[row])
        while len(self._fresh) > FRESH:
            self._fresh.pop(next(iter(self._fresh)))

    def _resume(self, rows: Sequence[Row]) -> None:
        index = {name: number for number, name in enumerate(self.classes)}
        learnt = [
            (row.sample, index[row.label], row.trust / TRUST_SCALE)
            for row in rows
            if row.status is Status.OK and row.split is Split.TRAIN and row.label is not None and row.trust
        ]
        names, y, weight = zip(*learnt, strict=True)
        X = embed_samples(self.workspace, self.predictor.extractor, names)
        self._online = OnlineHead.resume(self.predictor.head, X, np.array(y, np.intp), np.array(weight, np.float64))
        self._span = self._online.span(self._online.lift(X))
        self._stands = {name: (number, share) for name, number, share in learnt}

    def _guard(self, rows: Sequence[Row]) -> Guard | None:
        trusted = [
            row for row in rows if row.split is Split.TRUSTED and row.status is Status.OK and row.label in self.classes
        ]
        mine = set(halve([row.sample for row in trusted], [row.group for row in trusted])[0])
        kept = [row for row in trusted if row.sample in mine]
        if not kept:
            return None
        X = embed_samples(self.workspace, self.predictor.extractor, [row.sample for row in kept])
        return Guard(self.online.lift(X), np.array([self.classes.index(str(row.label)) for row in kept], np.intp))

    def newest(self) -> Answerer:
        """The model as it now is, published or not."""
        snapshot = self._online.snapshot() if self._online is not None else None
        return Answerer(self.model, self.classes, self._ledger, self.predictor, snapshot, self._span)


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(x / max(float(np.linalg.norm(x)), 1e-12), np.float32)
