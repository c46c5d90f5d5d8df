"""Reservoir: an even sample of a stream whose length nobody knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Reservoir:
    """Keeps ``size`` of the rows that pass, each with the same probability, whenever the stream stops.

    Algorithm R: J. Vitter (1985), "Random sampling with a reservoir", ACM TOMS 11.

    >>> reservoir = Reservoir(2, seed=0)
    >>> _ = [reservoir.offer(row) for row in range(5)]
    >>> len(reservoir.rows), reservoir.seen
    (2, 5)
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.rows: list[int] = []  # what is kept now
        self.seen = 0
        self._rng = np.random.default_rng(seed)

    def offer(self, row: int) -> bool:
        """Takes the row in or lets it pass; whether it was taken."""
        self.seen += 1
        if len(self.rows) < self.size:
            self.rows.append(row)
            return True
        place = int(self._rng.integers(self.seen))
        if place < self.size:
            self.rows[place] = row
            return True
        return False


def reservoir(n: int, n_keep: int, seed: int) -> NDArray[np.intp]:
    """``n_keep`` of n rows that came one after the other, as sorted indices.

    >>> len(reservoir(10, 3, seed=0))
    3
    """
    kept = Reservoir(n_keep, seed)
    for row in range(n):
        kept.offer(row)
    return np.sort(np.array(kept.rows, dtype=np.intp))
