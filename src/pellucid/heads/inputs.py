"""What a head is asked to learn, checked once at the boundary so that the mathematics behind stays pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from pellucid.errors import DataError


class HeadInputError(DataError, ValueError):
    """Features, labels or weights that no head can use; a ValueError too, as scikit-learn asks."""


@dataclass(frozen=True, slots=True)
class LearningSet:
    """Rows that are fit to be learnt: finite, at least two classes, as many labels and weights as rows."""

    X: NDArray[np.floating[Any]]  # (n, d) float32 or float64, as given
    y: NDArray[np.intp]  # (n,) index into classes; -1 where only rows of weight 0 have the class
    weight: NDArray[np.float64]  # (n,) 0 or more
    classes: NDArray[Any]  # (K,) sorted, K >= 2


def learning_set(estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> LearningSet:
    """Check features, labels and weights; sets the estimator's ``n_features_in_``.

    Raises HeadInputError, with what is wrong in one line.
    """
    try:
        X, y = validate_data(estimator, X, y, dtype=[np.float64, np.float32])
        if np.asarray(y).dtype.kind not in "biuU":  # names and whole numbers are classes for sure
            check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    except ValueError as error:
        raise HeadInputError(_one_line(error)) from error
    labels = np.asarray(y)
    classes = np.unique(labels[weight > 0])
    if len(classes) < 2:
        raise HeadInputError(
            f"a classifier needs rows of at least 2 classes with a positive weight, got {len(classes)} class"
        )
    index = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    index[classes[index] != labels] = -1
    return LearningSet(np.asarray(X), index, weight, classes)


def query_rows(estimator: BaseEstimator, X: ArrayLike) -> NDArray[np.floating[Any]]:
    """Check features (n, d) against those of ``fit``. Raises HeadInputError."""
    try:
        return np.asarray(validate_data(estimator, X, dtype=[np.float64, np.float32], reset=False))
    except ValueError as error:
        raise HeadInputError(_one_line(error)) from error


def is_positive_number(value: object) -> bool:
    """Whether a setting is a finite number above 0.

    >>> is_positive_number(0.1), is_positive_number(np.float32(2)), is_positive_number(True)
    (True, True, False)
    """
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(0 < value < np.inf)


def is_positive_integer(value: object) -> bool:
    """Whether a setting is a whole number of at least 1.

    >>> is_positive_integer(3), is_positive_integer(3.0), is_positive_integer(0)
    (True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def _one_line(error: ValueError) -> str:
    return " ".join(str(error).split())
