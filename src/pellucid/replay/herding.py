"""Herding: the rows whose running mean stays nearest to the mean of their class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pellucid.heads.statistic import unit


def herding(X: NDArray[np.floating], y: NDArray[np.intp], n_keep: int) -> NDArray[np.intp]:
    """``n_keep`` rows of X (n, d), of each class its share, as sorted indices.

    Of each class the rows are taken one by one, each the one that brings the mean of those taken nearest to the mean of
    the class, on rows of unit length: M. Welling (2009), "Herding dynamical weights to learn", ICML; as exemplars, S.
    Rebuffi et al. (2017), "iCaRL", CVPR.

    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7], [-1.0, 0.0]])
    >>> herding(X, np.array([0, 0, 0, 1]), 2).tolist()  # three of four are of the first class, and so get both
    [0, 2]
    """
    if not len(y) or n_keep < 1:
        return np.empty(0, dtype=np.intp)
    rows = unit(X)
    classes, counts = np.unique(y, return_counts=True)
    shares = _shares(counts, min(n_keep, len(y)))
    kept: list[int] = []
    for label, share in zip(classes.tolist(), shares.tolist(), strict=True):
        own = np.flatnonzero(y == label)
        mean, total = rows[own].mean(axis=0), np.zeros(rows.shape[1])
        left = np.ones(len(own), dtype=bool)
        for taken in range(share):
            distances = np.square(mean - (total + rows[own]) / (taken + 1)).sum(axis=1)
            best = int(np.where(left, distances, np.inf).argmin())
            left[best] = False
            total += rows[own[best]]
            kept.append(int(own[best]))
    return np.sort(np.array(kept, dtype=np.intp))


def _shares(counts: NDArray[np.intp], n_keep: int) -> NDArray[np.intp]:
    """So many of each class, in proportion, the largest remainders rounded up."""
    exact = counts * (n_keep / counts.sum())
    shares: NDArray[np.intp] = np.floor(exact).astype(np.intp)
    for place in np.argsort(-(exact - shares), kind="stable")[: n_keep - shares.sum()]:
        shares[place] += 1
    return shares
