"""Checks for what ``from_arrays`` is handed: every name, type, shape and range, before any head exists."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import IntegrityError


def expect_names(content: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise IntegrityError unless the content has exactly these names.

    >>> expect_names({"weights": 1}, {"weights"})
    """
    if set(content) != set(names):
        raise IntegrityError(f"a stored head has {sorted(content)} where {sorted(names)} is wanted")


def take_array(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int | None, ...], dtype: type[np.floating] = np.float64
) -> NDArray[Any]:
    """A finite array of this type and shape, ``None`` for any length of at least 1; or IntegrityError.

    >>> take_array({"weights": np.ones((3, 2))}, "weights", (None, 2)).shape
    (3, 2)
    """
    array = arrays[name]
    fits = array.ndim == len(shape) and all(
        have > 0 if want is None else have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = "x".join("any" if length is None else str(length) for length in shape)
        raise IntegrityError(f"stored {name} is {array.dtype} {array.shape}, wanted is {dtype.__name__} {wanted}")
    if not np.isfinite(array).all():
        raise IntegrityError(f"stored {name} holds NaN or infinity")
    return array


def expect_within(name: str, values: float | NDArray[np.floating], low: float, high: float) -> None:
    """Raise IntegrityError unless all of the values lie within the bounds, themselves included.

    >>> expect_within("shrinkage", 0.1, 0.0, 1.0)
    """
    if not (np.min(values) >= low and np.max(values) <= high):
        raise IntegrityError(
            f"stored {name} is {np.min(values):g} to {np.max(values):g}, wanted is {low:g} to {high:g}"
        )


def plain(value: Any) -> Any:
    """A setting as JSON has it: numpy's numbers become Python's.

    >>> plain(np.float32(0.5)), plain("loo")
    (0.5, 'loo')
    """
    return value.item() if isinstance(value, np.generic) else value


def take_number(meta: Mapping[str, Any], name: str, *, above: float) -> float:
    """A finite number greater than ``above``; or IntegrityError.

    >>> take_number({"temperature": 0.1}, "temperature", above=0.0)
    0.1
    """
    value = meta[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not above < value < math.inf:
        raise IntegrityError(f"stored {name} is {value!r}, wanted is a number above {above:g}")
    return value


def take_share(meta: Mapping[str, Any], name: str) -> float:
    """A number from 0 to 1; or IntegrityError.

    >>> take_share({"noise_rate": 0.25}, "noise_rate")
    0.25
    """
    value = meta[name]
    # rounding may leave a mean of ones a little above 1
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 + 1e-9:
        raise IntegrityError(f"stored {name} is {value!r}, wanted is a number from 0 to 1")
    return value


def take_count(meta: Mapping[str, Any], name: str, *, at_least: int) -> int:
    """A whole number; or IntegrityError.

    >>> take_count({"n_learnt": 3}, "n_learnt", at_least=1)
    3
    """
    value = meta[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise IntegrityError(f"stored {name} is {value!r}, wanted is a whole number of at least {at_least}")
    return value


def pack_classes(classes: NDArray[Any]) -> dict[str, Any]:
    """Classes as JSON, with their type, so that they come back as they were.

    >>> pack_classes(np.array(["glass", "paper"]))
    {'dtype': '<U5', 'values': ['glass', 'paper']}
    """
    known = np.array(classes.tolist()) if classes.dtype == object else classes
    return {"dtype": known.dtype.str, "values": known.tolist()}


def take_classes(meta: Mapping[str, Any], *, at_least: int = 2) -> NDArray[Any]:
    """The classes that ``pack_classes`` packed: sorted, each once, as many as this; or IntegrityError.

    >>> take_classes({"classes": {"dtype": "<i8", "values": [0, 3]}})
    array([0, 3])
    """
    packed = meta["classes"]
    try:
        expect_names(packed, {"dtype", "values"})
        dtype = np.dtype(packed["dtype"])
        classes = np.array(packed["values"], dtype=dtype)
        sound = (
            dtype.kind in "biufU"
            and classes.tolist() == packed["values"]
            and classes.ndim == 1
            and len(classes) >= at_least
            and bool((classes[:-1] < classes[1:]).all())
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise IntegrityError(f"stored classes cannot be read: {error}") from error
    if not sound:
        raise IntegrityError(f"stored classes are not sorted numbers or strings, at least {at_least}, each once")
    return classes


def take_mapping(meta: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping; or IntegrityError.

    >>> take_mapping({"ridge": {"n": 1}}, "ridge")
    {'n': 1}
    """
    value = meta[name]
    if not isinstance(value, Mapping):
        raise IntegrityError(f"stored {name} is {value!r}, wanted is a mapping")
    return value


def expect_same(found: int, wanted: int, what: str) -> None:
    """Raise IntegrityError unless two parts of a stored head agree on a number.

    >>> expect_same(3, 3, "classes")
    """
    if found != wanted:
        raise IntegrityError(f"a stored head has {found} {what} in one part and {wanted} in another")


def take_name(meta: Mapping[str, Any], name: str, known: Collection[str]) -> str:
    """One of these names; or IntegrityError.

    >>> take_name({"loss": "ce"}, "loss", ["ce", "gce"])
    'ce'
    """
    value = meta[name]
    if not isinstance(value, str) or value not in known:
        raise IntegrityError(f"stored {name} is {value!r}, wanted is one of {', '.join(known)}")
    return value
