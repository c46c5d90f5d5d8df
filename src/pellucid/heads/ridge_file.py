"""What a ridge head is stored as: weights and calibration, and where wanted the statistic, so that it learns on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import IntegrityError, VersionError
from pellucid.heads import stored
from pellucid.heads.conformal import LEVELS, REPORTED, ConformalSets

# The number of the meta that `pack` writes; how to change it stands beside PROTOCOL in head.py.
#   1 (which did not write its number): classes, l2, lambda, n_learnt, temperature; the array weights
#   2: noise_rate, class_count, sets; the array thresholds where there are sets, upper and targets with the statistic
VERSION = 2
_FIRST = ("classes", "l2", "lambda", "n_learnt", "temperature")
_SECOND = (*_FIRST, "version", "noise_rate", "class_count", "sets")


@dataclass(frozen=True, slots=True, eq=False)
class RidgeContent:
    """A fitted ridge head as plain values."""

    classes: NDArray[Any]  # (K,)
    weights: NDArray[np.float64]  # W (d + 1, K)
    l2: float | str  # as given: a number above 0, or "loo"
    lambda_: float  # above 0
    temperature: float  # above 0
    noise_rate: float  # 0..1
    n_learnt: int
    counts: NDArray[np.intp] | None  # (K,) rows of each class; None from a file of version 1
    sets: ConformalSets | None
    statistic: tuple[NDArray[np.float64], NDArray[np.float64]] | None  # A (d + 1, d + 1) upper triangle, B (d + 1, K)


def pack(content: RidgeContent) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays for safetensors, and the rest as JSON."""
    sets, counts = content.sets, content.counts
    meta: dict[str, Any] = {
        "version": VERSION,
        "classes": stored.pack_classes(content.classes),
        "l2": content.l2 if isinstance(content.l2, str) else float(content.l2),
        "lambda": content.lambda_,
        "n_learnt": content.n_learnt,
        "temperature": content.temperature,
        "noise_rate": content.noise_rate,
        "class_count": None if counts is None else counts.tolist(),
        "sets": None,
    }
    arrays = {"weights": np.ascontiguousarray(content.weights)}
    if sets is not None:
        arrays["thresholds"] = sets.thresholds
        meta["sets"] = {
            "approximate": sets.approximate,
            "noise_rate": sets.noise_rate,
            "coverage": [sets.coverage[level] for level in REPORTED],
            "sizes": [sets.sizes[level] for level in REPORTED],
        }
    if content.statistic is not None:
        A, B = content.statistic
        arrays["upper"] = A[np.triu_indices(len(A))]
        arrays["targets"] = np.ascontiguousarray(B)
    return arrays, meta


def unpack(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> RidgeContent:
    """Check names, types, shapes and ranges. Raises IntegrityError, or VersionError for a newer file."""
    version = meta.get("version", 1)
    if isinstance(version, int) and version > VERSION:
        raise VersionError(f"a stored ridge has version {version}, this Pellucid reads up to {VERSION}; upgrade it")
    if "version" in meta and version != VERSION:
        raise IntegrityError(f"a stored ridge has version {version!r}, wanted is {VERSION}")
    first = version == 1
    stored.expect_names(meta, _FIRST if first else _SECOND)
    with_sets = not first and meta["sets"] is not None
    with_statistic = not first and bool({"upper", "targets"} & set(arrays))
    names = ["weights", *["thresholds"] * with_sets, *["upper", "targets"] * with_statistic]
    stored.expect_names(arrays, names)
    classes = stored.take_classes(meta, at_least=1 if with_statistic else 2)
    weights = stored.take_array(arrays, "weights", (None, len(classes)))
    n_learnt = stored.take_count(meta, "n_learnt", at_least=0 if with_statistic else 1)
    counts = None if first or meta["class_count"] is None else _counts(meta["class_count"], len(classes), n_learnt)
    if with_statistic and counts is None:
        raise IntegrityError("a stored ridge has a statistic but no class_count; save it again")
    return RidgeContent(
        classes,
        weights,
        l2=meta["l2"] if meta["l2"] == "loo" else stored.take_number(meta, "l2", above=0),
        lambda_=stored.take_number(meta, "lambda", above=0),
        temperature=stored.take_number(meta, "temperature", above=0),
        noise_rate=0.0 if first else stored.take_share(meta, "noise_rate"),
        n_learnt=n_learnt,
        counts=counts,
        sets=_sets(arrays, meta["sets"]) if with_sets else None,
        statistic=_statistic(arrays, weights.shape) if with_statistic else None,
    )


def _counts(values: Any, n_classes: int, total: int) -> NDArray[np.intp]:
    whole = isinstance(values, list) and all(type(value) is int and 0 <= value <= total for value in values)
    if not whole or len(values) != n_classes or sum(values) != total:
        raise IntegrityError(f"stored class_count is {values!r}, wanted are {n_classes} numbers that sum to {total}")
    return np.array(values, dtype=np.intp)


def _sets(arrays: Mapping[str, NDArray[Any]], packed: Any) -> ConformalSets:
    if not isinstance(packed, dict):
        raise IntegrityError(f"stored sets are {packed!r}, wanted is an object")
    stored.expect_names(packed, ("approximate", "noise_rate", "coverage", "sizes"))
    thresholds = stored.take_array(arrays, "thresholds", (LEVELS,))
    if not ((thresholds >= 0) & (thresholds <= 1)).all() or (np.diff(thresholds) < 0).any():
        raise IntegrityError("stored thresholds are to rise within 0 and 1")
    if not isinstance(packed["approximate"], bool):
        raise IntegrityError(f"stored approximate is {packed['approximate']!r}, wanted is true or false")
    for name in ("coverage", "sizes"):
        values = packed[name]
        if not isinstance(values, list) or len(values) != len(REPORTED):
            raise IntegrityError(f"stored {name} is {values!r}, wanted is a list of {len(REPORTED)} numbers")
    coverage = [stored.take_share({"coverage": value}, "coverage") for value in packed["coverage"]]
    sizes = [stored.take_number({"sizes": value}, "sizes", above=0) for value in packed["sizes"]]
    return ConformalSets(
        thresholds,
        approximate=packed["approximate"],
        noise_rate=stored.take_share(packed, "noise_rate"),
        coverage=dict(zip(REPORTED, coverage, strict=True)),
        sizes=dict(zip(REPORTED, sizes, strict=True)),
    )


def _statistic(
    arrays: Mapping[str, NDArray[Any]], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p = shape[0]
    upper = stored.take_array(arrays, "upper", (p * (p + 1) // 2,))
    targets = stored.take_array(arrays, "targets", shape)
    A = np.zeros((p, p))
    A[np.triu_indices(p)] = upper
    if (np.diag(A) < -1e-6 * max(1.0, A[-1, -1])).any():
        raise IntegrityError("stored upper has a negative diagonal, which no sum of squares has")
    return A, targets.copy()
