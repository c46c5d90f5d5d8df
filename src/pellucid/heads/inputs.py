"""What a head is asked to learn, checked once at the boundary so that the mathematics behind stays pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from pellucid.errors import DataError

Given = ArrayLike | None  # one number for each row, or None for all alike

_LARGEST = 1e100  # of a feature that is squared


class HeadInputError(DataError, ValueError):
    """Features, labels or weights that no head can use; a ValueError too, as scikit-learn asks."""


@dataclass(frozen=True, slots=True)
class LearningSet:
    """Rows that are fit to be learnt: finite, at least two classes, as many labels and weights as rows."""

    X: NDArray[np.floating[Any]]  # (n, d) float32 or float64, as given
    y: NDArray[np.intp]  # (n,) index into classes; -1 where only rows of weight 0 have the class
    weight: NDArray[np.float64]  # (n,) 0 or more
    strength: NDArray[np.float64]  # (n,) 0..1, how far the label's target stands out; 1 is a label that is believed
    classes: NDArray[Any]  # (K,) sorted, K >= 2


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows of positive weight, of any number of classes, none included: what is learnt or forgotten bit by bit."""

    X: NDArray[np.floating[Any]]  # (n, d) float32 or float64, as given
    labels: NDArray[Any]  # (n,) as given
    weight: NDArray[np.float64]  # (n,) above 0
    strength: NDArray[np.float64]  # (n,) 0..1
    index: NDArray[np.intp]  # (n,) which of the offered rows these are


def learning_set(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    strength: ArrayLike | None = None,
) -> LearningSet:
    """Check features, labels, weights and strengths; sets the estimator's ``n_features_in_``.

    Raises HeadInputError, with what is wrong in one line.
    """
    rows, labels, weight = _checked(estimator, X, y, sample_weight, reset=True)
    if not weight.any():
        raise HeadInputError("all sample weights are zero; a classifier needs rows of at least 2 classes that count")
    classes = np.unique(labels[weight > 0])
    if len(classes) < 2:
        raise HeadInputError(
            f"a classifier needs rows of at least 2 classes with a positive weight, got {len(classes)} class"
        )
    return LearningSet(rows, class_index(classes, labels), weight, _strengths(strength, len(labels)), classes)


def labelled_rows(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    strength: ArrayLike | None = None,
    *,
    first: bool,
) -> LabelledRows:
    """Check a part of the data, be it a single row; only the ``first`` sets the estimator's ``n_features_in_``.

    Raises HeadInputError, with what is wrong in one line.
    """
    rows, labels, weight = _checked(estimator, X, y, sample_weight, reset=first)
    strengths, index = _strengths(strength, len(labels)), np.flatnonzero(weight)
    if len(index) == len(weight):
        return LabelledRows(rows, labels, weight, strengths, index)
    return LabelledRows(rows[index], labels[index], weight[index], strengths[index], index)


def class_index(classes: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.intp]:
    """Where each label (n,) stands in the sorted classes, -1 where it is none of them.

    >>> class_index(np.array(["glass", "paper"]), np.array(["paper", "metal"]))
    array([ 1, -1])
    """
    if not len(classes) or _is_text(classes) != _is_text(labels):
        return np.full(len(labels), -1)
    index = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    index[classes[index] != labels] = -1
    return index


def join_classes(known: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
    """All classes of both, sorted, each once. Raises HeadInputError where text would meet numbers.

    >>> join_classes(np.array([0, 3]), np.array([3, 1])).tolist()
    [0, 1, 3]
    """
    if not len(more):
        return known
    if len(known) and _is_text(known) != _is_text(more):
        raise HeadInputError(f"classes {known[:3].tolist()} are of another type than {more[:3].tolist()}; use one type")
    return np.unique(np.concatenate([known, more]) if len(known) else more)


def row_groups(groups: ArrayLike, n: int) -> NDArray[np.intp]:
    """Groups of n rows, text or numbers, as numbers 0, 1, 2, ... (n,). Raises HeadInputError.

    >>> row_groups(["burst 7", "burst 3", "burst 7"], 3)
    array([1, 0, 1])
    """
    given = np.asarray(groups)
    if given.shape != (n,):
        raise HeadInputError(f"groups have shape {given.shape}, wanted is one for each of {n} rows")
    if given.dtype == object and not all(isinstance(name, str) for name in given):
        raise HeadInputError("groups hold something that is neither all text nor all numbers; give every row a group")
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise HeadInputError("groups hold NaN or infinity; give every row a group of its own or a shared one")
    return np.asarray(np.unique(given, return_inverse=True)[1], dtype=np.intp)


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


def is_seed(value: object) -> bool:
    """Whether a setting is a whole number of 0 or more.

    >>> is_seed(0), is_seed(-1)
    (True, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)


def moderate(X: NDArray[np.floating]) -> NDArray[np.floating]:
    """The features, where they may be squared and summed; HeadInputError for larger ones.

    >>> moderate(np.array([[1.0, -2.0]]))
    array([[ 1., -2.]])
    """
    largest = max(float(X.max()), -float(X.min())) if X.size else 0.0
    if largest > _LARGEST:
        raise HeadInputError(f"features are as large as {largest:.3g}; divide them, {_LARGEST:g} is the most")
    return X


def scale_of(deviation: NDArray[np.float64], mean: NDArray[np.float64], n: float) -> NDArray[np.float64]:
    """What to divide each feature by, (d,): its standard deviation over n rows, 1 where only rounding tells rows apart.

    >>> scale_of(np.array([2.0, 1e-17]), np.array([0.0, 0.1]), 60)
    array([2., 1.])
    """
    return np.where(deviation > n * np.finfo(np.float64).eps * np.abs(mean), deviation, 1.0)


def _checked(
    estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool
) -> tuple[NDArray[np.floating[Any]], NDArray[Any], NDArray[np.float64]]:
    try:
        X, y = validate_data(estimator, X, y, dtype=[np.float64, np.float32], reset=reset)
        labels = np.asarray(y)
        if not (labels.dtype.kind in "biuU" or _is_text(labels)):  # names and whole numbers are classes for sure
            check_classification_targets(labels)
        return np.asarray(X), labels, _weights(sample_weight, len(labels))
    except ValueError as error:
        raise HeadInputError(_one_line(error)) from error


def _weights(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """One weight for each row, 1 where none are given; scikit-learn's own check refuses a lone weight of 0."""
    weight = _for_each_row(sample_weight, n, "sample weights")
    if not np.isfinite(weight).all():
        raise HeadInputError("sample weights hold NaN or infinity; wanted are numbers of 0 or more")
    if (weight < 0).any():
        raise HeadInputError("sample weights hold negative values; wanted are numbers of 0 or more")
    return weight


def _strengths(strength: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """One strength for each row, 1 where none are given."""
    values = _for_each_row(strength, n, "strengths")
    if not ((values >= 0) & (values <= 1)).all():
        raise HeadInputError("strengths hold values outside 0 to 1; `strength` makes them of trust")
    return values


def _for_each_row(given: ArrayLike | None, n: int, what: str) -> NDArray[np.float64]:
    """Numbers (n,): 1 where None is given, a lone one for all rows."""
    if given is None:
        return np.ones(n)
    try:
        values = np.array(given, dtype=np.float64)
    except ValueError as error:
        raise HeadInputError(_one_line(error)) from error
    if values.ndim == 0:
        values = np.full(n, values)
    if values.shape != (n,):
        raise HeadInputError(f"{what} have shape {values.shape}, wanted is one for each of {n} rows")
    return values


def _is_text(labels: NDArray[Any]) -> bool:
    return labels.dtype.kind == "U" or (
        labels.dtype == object and len(labels) > 0 and all(isinstance(label, str) for label in labels)
    )


def _one_line(error: ValueError) -> str:
    return " ".join(str(error).split())
