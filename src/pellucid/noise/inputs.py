"""What the noise functions are handed, checked once at the boundary so that the mathematics behind stays pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError, UsageError

SUM_TOLERANCE = 1e-3  # how far a row of probabilities may be from 1: float16 softmax stays well within


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels as indices: ``classes[index]`` are the labels again, in their own type."""

    classes: NDArray[Any]  # (K,) sorted where they were not given, each once
    index: NDArray[np.intp]  # (n,) 0..K-1


def check_labels(y: ArrayLike, classes: ArrayLike | None = None) -> Labels:
    """Labels (n,), whole numbers, booleans or strings, as indices into the classes.

    ``classes`` (K,) names the classes and their order; without it they are the labels that occur, sorted.

    Raises:
        DataError: no labels, not one per row, missing or fractional ones, kinds mixed, a label that is not
            among the given classes, or a class named twice.

    >>> check_labels(["b", "a", "b"])
    Labels(classes=array(['a', 'b'], dtype='<U1'), index=array([1, 0, 1]))
    """
    labels = _plain(y, "y")
    if len(labels) == 0:
        raise DataError("there are no labels; give one for each sample")
    if classes is None:
        known, index = np.unique(labels, return_inverse=True)
        return Labels(known, index.astype(np.intp))
    known = _plain(classes, "classes")
    if len(np.unique(known)) < len(known):
        raise DataError(f"classes are {known.tolist()}; name each once")
    if (known.dtype.kind == "U") != (labels.dtype.kind == "U"):
        raise DataError(f"y holds {labels.dtype} and classes {known.dtype}; give both in the same type")
    order = np.argsort(known)
    index = order[np.minimum(np.searchsorted(known, labels, sorter=order), len(known) - 1)]
    strange = np.unique(labels[known[index] != labels])
    if len(strange):
        raise DataError(f"labels {strange[:5].tolist()} are not among the classes {known[:20].tolist()}")
    return Labels(known, index.astype(np.intp))


def check_probabilities(pred_probs: ArrayLike, n: int) -> NDArray[np.float64]:
    """Probabilities (n, K) as float64, each row divided by its sum so that it is 1 exactly.

    Raises:
        DataError: another shape, no class, numbers that are negative, infinite or missing, rows that do not
            sum to 1.

    >>> check_probabilities([[0.25, 0.75]], 1)
    array([[0.25, 0.75]])
    """
    try:
        p = np.asarray(pred_probs, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"pred_probs cannot be read as numbers ({error}); give an array (n, K)") from error
    if p.ndim != 2 or len(p) != n or p.shape[1] == 0:
        raise DataError(f"pred_probs has shape {p.shape}; wanted (n, K) with n = {n}, one row for each label")
    if not np.isfinite(p).all() or (p < 0).any():
        raise DataError("pred_probs holds negative, infinite or missing numbers; wanted probabilities from 0 to 1")
    sums = p.sum(axis=1)
    row = int(np.abs(sums - 1).argmax())
    if abs(sums[row] - 1) > SUM_TOLERANCE:
        raise DataError(f"row {row} of pred_probs sums to {sums[row]:.4g}; wanted 1 (give scores a softmax first)")
    normalised: NDArray[np.float64] = p / sums[:, None]
    return normalised


def column_labels(y: ArrayLike, K: int, classes: ArrayLike | None) -> Labels:
    """Labels as indices of K columns of probabilities.

    Without ``classes`` whole numbers are the indices themselves, and anything else stands for its place among
    the labels that occur, which then have to be K. Raises DataError.

    >>> column_labels([2, 0], 3, None).classes
    array([0, 1, 2])
    """
    labels = check_labels(y, classes)
    if classes is None and labels.classes.dtype.kind in "iu":
        low, high = int(labels.classes[0]), int(labels.classes[-1])
        if low < 0 or high >= max(K, 1):
            raise DataError(f"y ranges from {low} to {high}; wanted 0 to K-1 = {K - 1}, or give classes")
        return Labels(np.arange(K), labels.classes[labels.index].astype(np.intp))
    if len(labels.classes) != K:
        raise DataError(f"there are {len(labels.classes)} classes for {K} columns of pred_probs; give classes")
    return labels


def check_features(X: ArrayLike) -> NDArray[np.floating[Any]]:
    """Features (n, d) as float32 or float64. Raises DataError for other shapes and for NaN or infinity.

    >>> check_features([[1, 2]])
    array([[1., 2.]])
    """
    try:
        features = np.asarray(X)
        if features.dtype not in (np.float32, np.float64):
            features = features.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"X cannot be read as numbers ({error}); give an array (n, d)") from error
    if features.ndim != 2 or 0 in features.shape:
        raise DataError(f"X has shape {features.shape}; wanted (n, d), a row for each sample")
    if not np.isfinite(features).all():
        raise DataError("X holds NaN or infinity; give finite features, or leave those rows out")
    return features


def check_weight(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Weights (n,), 1 where none are given. Raises DataError for negative, missing, or nothing but zeros.

    >>> check_weight([1, 0], 2)
    array([1., 0.])
    """
    if sample_weight is None:
        return np.ones(n)
    try:
        weight = np.array(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"sample_weight cannot be read as numbers ({error}); give one for each row") from error
    if weight.shape != (n,):
        raise DataError(f"sample_weight has shape {weight.shape}; wanted ({n},), one for each row")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError("sample_weight holds negative, infinite or missing numbers; wanted 0 or more")
    if not weight.any():
        raise DataError("sample_weight is 0 everywhere; there is nothing to learn from")
    return weight


def check_trusted(trusted: ArrayLike | None, n: int) -> NDArray[np.bool_]:
    """A flag for each row, False where none are given. Raises DataError for anything but booleans.

    >>> check_trusted(None, 2)
    array([False, False])
    """
    if trusted is None:
        return np.zeros(n, dtype=bool)
    flags = np.asarray(trusted)
    if flags.shape != (n,) or flags.dtype != bool:
        raise DataError(f"trusted is {flags.dtype} {flags.shape}; wanted a boolean for each of {n} rows")
    return flags


def check_codes(values: ArrayLike, n: int, name: str) -> NDArray[np.intp]:
    """Names, whole numbers or strings, one for each row, as 0, 1, 2, ... Raises DataError.

    >>> check_codes(["ann", "bob", "ann"], 3, "voter")
    array([0, 1, 0])
    """
    codes = np.unique(_plain(values, name), return_inverse=True)[1]
    if len(codes) != n:
        raise DataError(f"{name} has {len(codes)} entries for {n} rows; give one for each")
    return np.asarray(codes, dtype=np.intp)


def check_fraction(value: object, name: str) -> float:
    """A number from 0 to 1, both allowed; or UsageError.

    >>> check_fraction(0.3, "rate")
    0.3
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise UsageError(f"{name} is {value!r}; give a number from 0 to 1")
    return float(value)


def check_seed(seed: object) -> int:
    """A whole number of 0 or more; or UsageError.

    >>> check_seed(7)
    7
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed is {seed!r}; give a whole number of 0 or more")
    return int(seed)


def _plain(values: ArrayLike, name: str) -> NDArray[Any]:
    """A one-dimensional array of integers, booleans or strings."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} is no plain list ({error}); give one label for each sample") from error
    if array.ndim != 1:
        raise DataError(f"{name} has shape {array.shape}; wanted (n,), one label for each sample")
    if array.dtype.kind == "U":  # numpy makes strings of mixed kinds without a word
        given = values if isinstance(values, list | tuple) else ()
        if not all(isinstance(value, str) for value in given):
            raise DataError(f"{name} mixes strings with other things; give labels of one kind")
        return array
    if array.dtype.kind == "O" or array.dtype.kind == "T":
        listed = array.tolist()
        for kind in (str, bool, int):
            if all(isinstance(value, kind) for value in listed):
                return np.array(listed, dtype=kind)
        raise DataError(f"{name} mixes kinds or has missing values; give strings, or whole numbers")
    if array.dtype.kind == "f" and array.size:
        if not np.isfinite(array).all() or (array != np.floor(array)).any():
            raise DataError(f"{name} holds fractions or missing values; give whole numbers or strings")
        return array.astype(np.int64)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} holds {array.dtype}; give whole numbers or strings")
    return array
