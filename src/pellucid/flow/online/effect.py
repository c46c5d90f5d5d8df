"""What unlearning changes: one state of a live model against another, on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.evaluate.compare import Comparison, compare
from pellucid.flow.data.embed import embed_intact
from pellucid.flow.online.answerer import Answerer, Views
from pellucid.flow.online.live import LiveModel
from pellucid.flow.workspace import Workspace
from pellucid.store.predictions import newest_answered
from pellucid.types import Split, Status

ANSWERS = 1000  # newest answers that are given again, to see how many change


@dataclass(frozen=True, slots=True)
class Shift:
    """How accurate a model is on the same images before and after."""

    n: int  # images
    before: float  # accuracy, 0..1
    after: float
    comparison: Comparison  # after against before, image by image


@dataclass(frozen=True, slots=True)
class Effect:
    """How two states of a model differ."""

    guard: Shift | None = None  # on the guard's half of the trusted images; None where nobody can tell
    test: Shift | None = None  # on the newest version's test images that the model has not learnt
    answers: int = 0  # newest answers of the model that were given again
    answers_changed: int = 0  # of them, those with another label


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """Labelled images."""

    y: NDArray[np.intp]  # (n,) class numbers
    views: Views
    groups: Sequence[str] | None  # (n,); None where every image is a group of its own


@dataclass(frozen=True, slots=True, eq=False)
class Yardstick:
    """On which images two states are compared. Made by `find_yardstick`."""

    answers: Views
    guard: _Images | None
    test: _Images | None

    def compare(self, before: Answerer, after: Answerer) -> Effect:
        """How the one state differs from the other."""
        n_answers, changed = len(self.answers.X), 0
        if n_answers:
            first, second = (answerer.probabilities_of(self.answers).argmax(axis=1) for answerer in (before, after))
            changed = int((first != second).sum())
        guard, test = (None if images is None else _shift(images, before, after) for images in (self.guard, self.test))
        return Effect(guard, test, n_answers, changed)


def find_yardstick(workspace: Workspace, connection: sa.Connection, live: LiveModel) -> Yardstick:
    """The guard, the test images that people have labelled and the model has not learnt, and the newest answers.

    A test image that the model has learnt became one later, and tells nothing.
    """
    _, answers = live.look_up_intact(connection, newest_answered(connection, live.model, ANSWERS))
    guard = None
    if live.guard is not None:
        unlifted = np.empty((len(live.guard.y), 0), np.float32)
        guard = _Images(live.guard.y, Views(unlifted, live.guard.rows), None)
    return Yardstick(answers, guard, _test_images(workspace, live))


def _test_images(workspace: Workspace, live: LiveModel) -> _Images | None:
    rows = [
        row
        for row in live.rows.values()
        if row.split is Split.TEST
        and row.status is Status.OK
        and row.label in live.classes
        and live.stands(row.sample).weight == 0
    ]
    vectors = embed_intact(workspace, live.predictor.extractor, [row.sample for row in rows])
    rows = [row for row in rows if row.sample in vectors]
    if not rows:
        return None
    y = np.array([live.classes.index(str(row.label)) for row in rows], np.intp)
    groups = [row.group for row in rows]
    grouped = len(set(groups)) < len(groups)
    return _Images(y, live.view(np.stack([vectors[row.sample] for row in rows])), groups if grouped else None)


def _shift(images: _Images, before: Answerer, after: Answerer) -> Shift:
    shares = [answerer.probabilities_of(images.views) for answerer in (before, after)]
    K = max(len(after.classes), len(before.classes))
    first, second = (np.pad(found, ((0, 0), (0, K - found.shape[1]))) for found in shares)
    comparison = compare(images.y, second, first, names=("after", "before"), groups=images.groups)
    return Shift(len(images.y), _accuracy(first, images.y), _accuracy(second, images.y), comparison)


def _accuracy(shares: NDArray[np.float64], y: NDArray[np.intp]) -> float:
    return float((shares.argmax(axis=1) == y).mean())
