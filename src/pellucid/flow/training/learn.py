"""Learn and judge: a dataset version and a head become a fitted head and its results on the test images."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.evaluate.curve import EpochPoint, SizePoint, learning_curve
from pellucid.evaluate.evaluation import Evaluation
from pellucid.evaluate.metrics import evaluate
from pellucid.features.extractor import Extractor
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.training.predictor import Predictor
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.heads.head import Head, build_head, iterates, learn_trusting, takes_groups
from pellucid.store.ingests import metadata_of
from pellucid.store.manifests import read_manifest
from pellucid.types import TRUST_SCALE, DatasetVersion, Row, Split, Status

_CURVE_POINTS = 6  # sizes of the learning curve
_MAX_EPOCH_POINTS = 40  # epochs of an iterative head that are judged


@dataclass(frozen=True, slots=True)
class Portion:
    """The usable images of one split, as arrays."""

    rows: tuple[Row, ...]
    X: NDArray[np.float32]  # (n, d)
    y: NDArray[np.intp]  # (n,) class indices
    trust: NDArray[np.float64]  # (n,) 0..1, P(the label is right)

    @property
    def ids(self) -> list[str]:
        """The samples, in row order."""
        return [row.sample for row in self.rows]

    @property
    def groups(self) -> list[str] | None:
        """The group of each image; None where every image is its own."""
        groups = [row.group for row in self.rows]
        return groups if len(set(groups)) < len(groups) else None


@dataclass(frozen=True, slots=True)
class Material:
    """What a dataset version offers to a training."""

    version: DatasetVersion
    rows: tuple[Row, ...]  # all of them
    train: Portion
    test: Portion
    slices: Mapping[str, Sequence[str]]  # metadata of the test images, by key


@dataclass(frozen=True, slots=True)
class Learnt:
    """A fitted head and how good it is."""

    predictor: Predictor
    probabilities: NDArray[np.float64]  # (n_test, K)
    evaluation: Evaluation
    sizes: tuple[SizePoint, ...]  # accuracy over the number of training images
    epochs: tuple[EpochPoint, ...]  # accuracy over epochs; empty for a head that does not iterate


def gather(
    workspace: Workspace, version: DatasetVersion, extractor: Extractor, *, progress: Progress = no_progress
) -> Material:
    """Vectors, classes and trust of a version's training and test images.

    Raises:
        DataError: there are no test images, or fewer than two classes to learn; the message says what to do.
    """
    rows = read_manifest(workspace.blobs, version.content_id)
    usable = [row for row in rows if row.status is Status.OK and row.label is not None]
    train = [row for row in usable if row.split is Split.TRAIN]
    test = [row for row in usable if row.split is Split.TEST] or [row for row in usable if row.split is Split.TRUSTED]
    classes = {row.label for row in train}
    if len(classes) < 2:
        raise DataError(
            f"{version.ref} has {len(train)} usable training images in {len(classes)} classes; training needs at least "
            "two classes: ingest more images, or settle its conflicts (`pellucid datasets show`)"
        )
    if not test:
        raise DataError(
            f"{version.ref} has no test images, so no model of it could be judged; ingest with a --test fraction above "
            "0, or give a test split"
        )
    X = embed_samples(workspace, extractor, [row.sample for row in [*train, *test]], progress=progress)
    index = version.class_to_idx
    with workspace.database.read() as connection:
        metadata = metadata_of(connection, version.dataset, [row.sample for row in test])
    keys = sorted({key for values in metadata.values() for key in values})
    slices = {key: [str(metadata.get(row.sample, {}).get(key, "")) for row in test] for key in keys}
    return Material(
        version=version,
        rows=rows,
        train=_portion(train, X[: len(train)], index),
        test=_portion(test, X[len(train) :], index),
        slices=slices,
    )


def learn(
    material: Material,
    extractor: Extractor,
    model: str,
    settings: Mapping[str, Any],
    seed: int,
    *,
    progress: Progress = no_progress,
) -> Learnt:
    """Fits the head on the training images and judges it on the test images.

    Raises:
        DataError, UsageError: the head cannot learn from this, or not with these settings.
    """
    train, test, classes = material.train, material.test, material.version.classes
    groups = None if train.groups is None else np.array(train.groups)

    def fit(rows: NDArray[np.int64] | slice, on_epoch: Callable[[int, Head], None] | None = None) -> Predictor:
        head = build_head(model, settings, seed=seed)
        options: dict[str, Any] = {"on_epoch": on_epoch} if on_epoch and iterates(head) else {}
        if groups is not None and takes_groups(head):
            options["groups"] = groups[rows]
        learn_trusting(head, train.X[rows], train.y[rows], train.trust[rows], **options)
        return Predictor(extractor, head, classes)

    watch = _EpochWatch(material)
    progress("training", 0, None)
    predictor = fit(slice(None), watch)
    probabilities = predictor.predict_vectors(test.X)
    sizes = itertools.count(1)

    def answer(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        progress("judging", next(sizes), _CURVE_POINTS)
        return fit(rows).predict_vectors(test.X)

    progress("judging", 0, _CURVE_POINTS)
    return Learnt(
        predictor=predictor,
        probabilities=probabilities,
        evaluation=evaluate(test.y, probabilities, classes, slices=material.slices, groups=test.groups, seed=seed),
        sizes=learning_curve(answer, train.y, test.y, points=_CURVE_POINTS, seed=seed),
        epochs=tuple(watch.points),
    )


class _EpochWatch:
    """Judges an iterative head now and then while it learns: at 1, 2, 3, ... and then ever more rarely."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._next = 1
        self.points: list[EpochPoint] = []

    def __call__(self, epoch: int, head: Head) -> None:
        if epoch < self._next or len(self.points) >= _MAX_EPOCH_POINTS:
            return
        self._next = max(epoch + 1, round(epoch * 1.15))
        train, test = self._material.train, self._material.test
        self.points.append(EpochPoint(epoch, _accuracy(head, train), _accuracy(head, test)))


def _accuracy(head: Head, portion: Portion) -> float:
    answers = np.asarray(head.classes_)[np.argmax(head.predict_proba(portion.X), axis=1)]
    return float(np.mean(answers == portion.y))


def _portion(rows: Sequence[Row], X: NDArray[np.float32], index: Mapping[str, int]) -> Portion:
    y = np.array([index[row.label] for row in rows if row.label is not None], np.intp)
    trust = np.array([row.trust for row in rows], np.float64) / TRUST_SCALE
    return Portion(tuple(rows), X, y, trust)
