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
