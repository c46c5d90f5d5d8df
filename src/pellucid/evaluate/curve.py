"""Accuracy over the number of training images: would more data help?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError
from pellucid.evaluate.evaluation import Estimate
from pellucid.evaluate.inputs import check_outcomes
from pellucid.evaluate.intervals import wilson


@dataclass(frozen=True, slots=True)
class SizePoint:
    """What training on ``n`` images gives."""

    n: int  # training images
    accuracy: Estimate  # on the test images, 0..1, higher is better; Wilson interval


@dataclass(frozen=True, slots=True)
class EpochPoint:
    """Where an iterative head stands after an epoch."""

    epoch: int  # 1, 2, 3, ...
    train: float  # accuracy on the training images, 0..1
    test: float  # accuracy on the test images, 0..1


def nested_order(y: ArrayLike, *, seed: int = 0) -> NDArray[np.int64]:
    """Order training images so that every prefix is a stratified sample, and holds every shorter one.

    The first K images are one of each class; from there on, class c fills up in step with its share.

    Args:
        y: (n,) class of each training image.
        seed: decides which images of a class come first.

    >>> import numpy as np
    >>> y = np.array([0] * 6 + [1] * 3)
    >>> np.bincount(y[nested_order(y)[:6]]).tolist()
    [4, 2]
    """
    truth = np.asarray(y)
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(truth))
    due = np.empty(len(truth))  # the share of the whole at which an image's turn has come
    for label in np.unique(truth):
        members = shuffled[truth[shuffled] == label]
        due[members] = (np.arange(len(members)) + 0.5) / len(members)
        due[members[0]] -= 1.0
    return shuffled[np.argsort(due[shuffled], kind="stable")].astype(np.int64)


def learning_curve(
    fit_predict: Callable[[NDArray[np.int64]], ArrayLike],
    y_train: ArrayLike,
    y_test: ArrayLike,
    *,
    points: int = 6,
    seed: int = 0,
) -> tuple[SizePoint, ...]:
    """Measure test accuracy over geometric training sizes, on nested stratified subsets.

    Args:
        fit_predict: trains on the training rows it is given, (m,) indices into ``y_train``, and returns the
            probabilities (n_test, K) of the test images. It is called once for each size, smallest first.
        y_train: (n,) class of each training image.
        y_test: (n_test,) class index of each test image.
        points: how many sizes at most; the last is all n images, the first at least two for each class.
        seed: decides the subsets.

    Returns:
        The points by rising size. A curve still rising at its end says that more images would help.

    Raises:
        DataError: no training images, or what :func:`~pellucid.evaluate.inputs.check_outcomes` refuses.

    >>> import numpy as np
    >>> y = np.array([0, 1] * 8)
    >>> [point.n for point in learning_curve(lambda rows: np.eye(2)[y], y, y, points=3)]
    [4, 8, 16]
    """
    labels = np.asarray(y_train)
    if labels.ndim != 1 or len(labels) == 0:
        raise DataError(f"y_train has shape {labels.shape}; wanted (n,) with at least one training image")
    n = len(labels)
    start = min(n, max(2 * len(np.unique(labels)), n // 2 ** (points - 1)))
    sizes = np.unique(np.geomspace(start, n, points).round().astype(int))
    order = nested_order(labels, seed=seed)
    curve = []
    for size in sizes.tolist():
        truth, proba = check_outcomes(y_test, fit_predict(order[:size]))
        right = int((proba.argmax(axis=1) == truth).sum())
        curve.append(SizePoint(size, wilson(right, len(truth))))
    return tuple(curve)
