"""The vectors of the samples that moved last, side by side, to tell whether a picture is a copy of one of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_FIRST = 64  # rows of the array at first; doubled whenever it is full


class RecentVectors:
    """At most so many unit vectors by sample, the newest; one array holds them, so that nothing is copied to compare.

    Thread-safe.

    >>> recent = RecentVectors(dim=2, most=2)
    >>> recent.put(["a", "b", "c"], np.eye(3, 2, dtype=np.float32))
    >>> sorted(recent.vectors())
    ['b', 'c']

    Args:
        dim: of a vector.
        most: samples that are kept.
    """

    def __init__(self, dim: int, most: int) -> None:
        self._most = most
        self._X = np.empty((min(_FIRST, most), dim), np.float32)
        self._rows: dict[str, int] = {}  # of the array, by sample; the one that moved longest ago comes first
        self._names: list[str] = []  # by row
        self._lock = threading.Lock()

    def copy(self) -> RecentVectors:
        """Another one with the same samples, of which none of its changes is known here."""
        with self._lock:
            other = RecentVectors(self._X.shape[1], self._most)
            other._X, other._rows, other._names = self._X.copy(), dict(self._rows), list(self._names)
            return other

    def put(self, names: Sequence[str], X: NDArray[np.float32]) -> None:
        """Samples have moved, with these unit vectors (n, d); where there is no room, the oldest ones go."""
        with self._lock:
            for name, x in zip(names, X, strict=True):
                row = self._row(name)
                self._X[row] = x
                self._rows[name] = row

    def alike(self, X: NDArray[np.float32], above: float) -> tuple[list[str], NDArray[np.bool_]]:
        """The samples whose cosine with one of the unit vectors (n, d) is higher, and with which of them, (n, found).

        >>> recent = RecentVectors(dim=2, most=9)
        >>> recent.put(["a", "b"], np.eye(2, dtype=np.float32))
        >>> recent.alike(np.array([[0.0, 1.0], [0.6, 0.8]], np.float32), 0.7)
        (['b'], array([[ True],
               [ True]]))
        """
        with self._lock:
            cosines = X @ self._X[: len(self._names)].T
            close = cosines > above
            found = np.flatnonzero(close.any(axis=0))
            return [self._names[row] for row in found.tolist()], close[:, found]

    def vectors(self) -> Mapping[str, NDArray[np.float32]]:
        """A copy of all of them, by sample, oldest first."""
        with self._lock:
            X = self._X[: len(self._names)].copy()
            return {name: X[row] for name, row in self._rows.items()}

    def _row(self, name: str) -> int:
        """Where the sample's vector goes; the sample is then the newest."""
        if name in self._rows:
            return self._rows.pop(name)
        if len(self._names) == self._most:
            row = self._rows.pop(next(iter(self._rows)))
            self._names[row] = name
            return row
        self._names.append(name)
        if len(self._names) > len(self._X):
            room = min(2 * len(self._X), self._most) - len(self._X)
            self._X = np.concatenate([self._X, np.empty((room, self._X.shape[1]), np.float32)])
        return len(self._names) - 1
