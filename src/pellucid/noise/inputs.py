"""What the noise functions are handed, checked once at the boundary so that the mathematics behind stays pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError, UsageError
from pellucid.heads.statistic import blocks

_HEAVIEST = 1e9  # weight of a row; far beyond it sums of squares overflow
_EXACT = 2**53  # up to here a float holds every whole number
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
    if len(known) == 0:
        raise DataError("classes names none; name every class, or leave it out for those that occur")
    if len(np.unique(known)) < len(known):
        raise DataError(f"classes are {known.tolist()}; name each once")
    if (known.dtype.kind == "U") != (labels.dtype.kind == "U"):
        raise DataError(f"y holds {labels.dtype} and classes {known.dtype}; give both in the same type")
    order = np.argsort(known)
    index = order[np.minimum(np.searchsorted(known, labels, sorter=order), len(known) - 1)]
    strange = np.unique(labels[known[index] != labels])
    if len(strange):
        raise DataError(
            f"labels {strange[:5].tolist()} are not among the classes {known[:20].tolist()}; name them too, or "
            "leave those rows out"
        )
    return Labels(known, index.astype(np.intp))


def check_probabilities(pred_probs: ArrayLike, n: int | None = None) -> NDArray[np.float64]:
    """Probabilities (n, K), of any n where none is said, as float64; each row is divided by its sum, and so sums to 1.

    Raises:
        DataError: another shape, no class, numbers that are negative, infinite or missing, rows that do not
            sum to 1.

    >>> check_probabilities([[0.25, 0.75]], 1)
    array([[0.25, 0.75]])
    """
    p = _numbers(pred_probs, "pred_probs", "give an array (n, K)")
    if p.ndim != 2 or 0 in p.shape or n not in (None, len(p)):
        size = "" if n is None else f" with n = {n}"
        raise DataError(f"pred_probs has shape {p.shape}; wanted (n, K){size}, one row for each label")
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
    single = isinstance(X, np.ndarray) and X.dtype == np.float32
    features: NDArray[Any] = np.asarray(X) if single else _numbers(X, "X", "give an array (n, d)")
    if features.ndim != 2 or 0 in features.shape:
        raise DataError(f"X has shape {features.shape}; wanted (n, d), a row for each sample")
    if not all(np.isfinite(features[rows]).all() for rows in blocks(len(features))):
        raise DataError("X holds NaN or infinity; give finite features, or leave those rows out")
    return features


def check_weight(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Weights (n,), 1 where none are given. Raises DataError for negative, missing, huge, or nothing but zeros.

    >>> check_weight([1, 0], 2)
    array([1., 0.])
    """
    if sample_weight is None:
        return np.ones(n)
    weight = _numbers(sample_weight, "sample_weight", "give one for each row").copy()
    if weight.shape != (n,):
        raise DataError(f"sample_weight has shape {weight.shape}; wanted ({n},), one for each row")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError("sample_weight holds negative, infinite or missing numbers; wanted 0 or more")
    if not weight.any():
        raise DataError("sample_weight is 0 everywhere; there is nothing to learn from")
    if weight.max() > _HEAVIEST:
        raise DataError(
            f"sample_weight is up to {weight.max():g}; a weight of 1 is one row, and {_HEAVIEST:g} the most"
        )
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
        for kind, types in (("U", str), ("?", bool | np.bool_), ("l", int | np.integer)):
            if all(isinstance(value, types) for value in listed):
                try:
                    return np.array(listed, dtype=kind)
                except OverflowError:
                    raise DataError(f"{name} holds whole numbers beyond 64 bits; give strings") from None
        raise DataError(f"{name} mixes kinds or has missing values; give strings, or whole numbers")
    if array.dtype.kind == "f" and array.size:
        if not np.isfinite(array).all() or (array != np.floor(array)).any():
            raise DataError(f"{name} holds fractions or missing values; give whole numbers or strings")
        if np.abs(array).max() > _EXACT:
            raise DataError(f"{name} holds floats too large to be exact; give whole numbers or strings")
        return array.astype(np.int64)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} holds {array.dtype}; give whole numbers or strings")
    return array


def _numbers(values: ArrayLike, name: str, cure: str) -> NDArray[np.float64]:
    """An array of real numbers as float64, not copied where it is one."""
    try:
        array = np.asarray(values)
        if array.dtype.kind == "c":
            raise TypeError("complex numbers")
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} cannot be read as numbers ({' '.join(str(error).split())}); {cure}") from error
