"""What detectors and tests are handed, checked once at the boundary so that the mathematics behind stays pure."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError, UsageError


def check_value(value: Any) -> float:
    """One value of a stream as a float.

    Raises:
        DataError: no number, or one that is not finite.

    >>> check_value(True)
    1.0
    """
    if not isinstance(value, Real | np.bool_) or not math.isfinite(value):
        raise DataError(f"value {value!r} is no finite number; leave out what is missing")
    return float(value)


def check_number(
    name: str, value: Any, *, low: float, high: float = math.inf, open_low: bool = False, whole: bool = False
) -> float:
    """A setting within its range, as a float.

    Raises:
        UsageError: no number, or one outside the range.

    >>> check_number("alpha", 0.01, low=0.001, high=0.5)
    0.01
    """
    kind = "a whole number" if whole else "a number"
    fits = not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
    if not fits or value < low or value > high or (open_low and value == low) or (whole and value != int(value)):
        start = f"above {low:g}" if open_low else f"{low:g} or more" if high == math.inf else f"from {low:g}"
        end = "" if high == math.inf else f" to {high:g}"
        raise UsageError(f"{name} is {value!r}; wanted {kind} {start}{end}")
    return float(value)


def check_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """One-dimensional values (n,), n >= 1, as float64.

    Raises:
        DataError: another shape, none at all, no numbers, or missing or infinite ones.

    >>> check_values([1, 2], "reference")
    array([1., 2.])
    """
    array = _numbers(values, name)
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{name} has shape {array.shape}; wanted (n,) with at least one value")
    _check_finite(array, name)
    return array.astype(np.float64)


def check_rows(rows: ArrayLike, name: str) -> NDArray[np.floating[Any]]:
    """Feature vectors (n, d), n >= 2 and d >= 1, as float32 or float64 as given.

    Raises:
        DataError: another shape, fewer than two rows, no numbers, or missing or infinite ones.
    """
    array = _numbers(rows, name)
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"{name} has shape {array.shape}; wanted (n, d), a vector for each image")
    if len(array) < 2:
        raise DataError(
            f"{name} has {len(array)} row(s); wanted at least 2, and 50 or more to see anything but a big shift"
        )
    _check_finite(array, name)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def check_classes(labels: ArrayLike, name: str) -> NDArray[Any]:
    """Predicted classes (n,), n >= 1: whole numbers or strings, one type throughout.

    Raises:
        DataError: another shape, none at all, missing or fractional ones, or numbers and strings mixed.

    >>> check_classes(["cat", "dog"], "current").tolist()
    ['cat', 'dog']
    """
    try:
        array: NDArray[Any] = np.asarray(labels)
    except ValueError as error:
        raise DataError(f"{name} cannot be read as classes ({error}); wanted one for each image") from error
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{name} has shape {array.shape}; wanted (n,) with the class of at least one image")
    given = array if isinstance(labels, np.ndarray) else labels
    if array.dtype.kind in "OU":
        if not all(isinstance(label, str) for label in given):  # type: ignore[union-attr]
            raise DataError(f"{name} mixes kinds of classes or lacks some; wanted whole numbers or strings throughout")
        array = array.astype(np.str_)
    if array.dtype.kind not in "biuU":
        raise DataError(f"{name} holds {array.dtype}; wanted classes as whole numbers or strings")
    return array


def _numbers(values: ArrayLike, name: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(values)
        return array if array.dtype.kind in "fiub" else array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name} cannot be read as numbers ({error}); wanted an array of numbers") from error


def _check_finite(array: NDArray[Any], name: str) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        first = int(np.argwhere(~finite)[0][0])
        raise DataError(
            f"{name} holds {int((~finite).sum())} missing or infinite number(s), the first in row {first}; "
            "leave such images out"
        )
