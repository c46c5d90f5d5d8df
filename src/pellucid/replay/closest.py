"""Closest pairs: the old rows that lie nearest to a new row of another class, where the two are confused first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pellucid.errors import DataError, UsageError
from pellucid.heads.statistic import unit

_SIDE = 2_000  # rows on each side of the distances held at once, 32 MB


def distance_across(
    X: NDArray[np.floating], y: NDArray[np.intp], new: NDArray[np.floating], y_new: NDArray[np.intp], metric: str
) -> NDArray[np.float64]:
    """For each row X (n, d) the distance to the nearest of ``new`` (m, d) that has another class, (n,).

    Infinite where there is none. ``metric`` is "cosine" (of 0..2), "l1" or "l2". Exact; works through blocks, so that
    no n x m matrix is ever in memory.

    Raises:
        UsageError: an unknown metric.
        DataError: widths or lengths that do not agree.

    >>> X, new = np.array([[0.0], [4.0]]), np.array([[1.0], [9.0]])
    >>> distance_across(X, np.array([0, 1]), new, np.array([0, 1]), "l2").tolist()
    [9.0, 3.0]
    """
    if metric not in METRICS:
        raise UsageError(f"there is no metric {metric!r}; there are {', '.join(METRICS)}")
    if X.ndim != 2 or new.ndim != 2 or X.shape[1] != new.shape[1] or len(X) != len(y) or len(new) != len(y_new):
        raise DataError(
            f"rows of shapes {X.shape} and {new.shape} with {len(y)} and {len(y_new)} labels do not fit together"
        )
    new = np.asarray(new, np.float64)  # once, and not for every block
    found = np.full(len(X), np.inf)
    for start in range(0, len(X), _SIDE):
        rows = slice(start, start + _SIDE)
        for other in range(0, len(new), _SIDE):
            columns = slice(other, other + _SIDE)
            distances = METRICS[metric](X[rows], new[columns])
            distances[y[rows, None] == y_new[columns]] = np.inf
            found[rows] = np.minimum(found[rows], distances.min(axis=1))
    return found


def closest_pairs(
    X: NDArray[np.floating],
    y: NDArray[np.intp],
    n_keep: int,
    new: NDArray[np.floating],
    y_new: NDArray[np.intp],
    metric: str = "cosine",
) -> NDArray[np.intp]:
    """The ``n_keep`` rows of X that are nearest to a new row of another class, as sorted indices.

    As the published system samples for replay: a model that forgets needs the rows beside its borders most. It trusts
    the new labels, and so it is drawn to wrong ones: an old row lies near a new one of its own class that bears
    another's name.

    >>> X, new = np.array([[0.0], [4.0], [8.9]]), np.array([[1.0], [9.0]])
    >>> closest_pairs(X, np.array([0, 0, 0]), 2, new, np.array([1, 1]), "l2").tolist()
    [0, 2]
    """
    distances = distance_across(X, y, new, y_new, metric)
    return np.sort(np.argsort(distances, kind="stable")[:n_keep])


def _cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(1 - unit(a) @ unit(b).T)


def _l2(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1) - 2 * left @ right.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def _l1(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(cdist(a, b, "cityblock"))


METRICS: Mapping[str, Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.float64]]] = MappingProxyType(
    {"cosine": _cosine, "l1": _l1, "l2": _l2}
)
