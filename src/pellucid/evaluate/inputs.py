"""The one check at the boundary: true classes and probabilities that fit together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError

SUM_TOLERANCE = 1e-3  # how far a row of probabilities may be from 1: float16 softmax stays well within


def check_outcomes(y: ArrayLike, proba: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ``y`` (n,) as int64 and ``proba`` (n, K) as float64, or say what is wrong with them.

    Raises:
        DataError: no images, lengths or shapes that do not fit, indices outside 0..K-1, probabilities that
            are negative, not finite, or do not sum to 1 in each row.

    >>> check_outcomes([1], [[0.25, 0.75]])
    (array([1]), array([[0.25, 0.75]]))
    """
    truth, probability = np.asarray(y), np.asarray(proba, dtype=np.float64)
    if probability.ndim != 2 or truth.ndim != 1 or len(truth) != len(probability):
        raise DataError(
            f"y has shape {truth.shape} and proba {probability.shape}; wanted (n,) and (n, K) of one length n"
        )
    if len(truth) == 0:
        raise DataError("there are no test images; give a test split, or ingest with one")
    if truth.dtype.kind not in "iu":
        raise DataError(f"y holds {truth.dtype}; wanted class indices, integers from 0 to K-1")
    classes = probability.shape[1]
    if classes == 0 or truth.min() < 0 or truth.max() >= classes:
        raise DataError(
            f"y ranges from {truth.min()} to {truth.max()}; wanted 0 to K-1, proba has K = {classes} columns"
        )
    if not np.isfinite(probability).all() or (probability < 0).any():
        raise DataError("proba holds negative, infinite or missing numbers; wanted probabilities from 0 to 1")
    off = np.abs(probability.sum(axis=1) - 1)
    if off.max() > SUM_TOLERANCE:
        row = int(off.argmax())
        raise DataError(
            f"row {row} of proba sums to {probability[row].sum():.4g}; wanted 1 (give scores a softmax first)"
        )
    return truth.astype(np.int64), probability


def check_groups(groups: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    """Return one code 0..G-1 per image, None where there are no groups.

    Raises:
        DataError: not one group for each of the ``n`` images.

    >>> check_groups(["b", "a", "b"], 3)
    array([1, 0, 1])
    """
    if groups is None:
        return None
    given: NDArray[Any] = np.asarray(groups)
    if given.shape != (n,):
        raise DataError(f"groups has shape {given.shape}; wanted one group for each of the {n} images")
    return np.unique(given, return_inverse=True)[1].astype(np.int64)
