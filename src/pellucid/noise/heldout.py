"""What all other rows say of each row: ridge without the row, or without its whole group, for any soft targets.

`pellucid.heads.statistic` does this for hard labels. The audit teaches probabilities too, and several times on the
same rows, so that here everything that the targets do not change is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pellucid.heads.ridge import LAMBDAS
from pellucid.heads.statistic import Spectrum, blocks, decompose, design, group_scores

FEW_FEATURES = 256  # at most so many are lifted; a network's features are not
LIFTED = 2_000  # features of a lift
_LIFT_CELLS = 10**8  # rows x lifted features at most, 400 MB


class HeldOut:
    """Ridge on rows X (n, d) with weights (n,), ready for any targets (n, K).

    Rows of one group (n,), whole numbers, leave together. A group of m rows costs m^2 d + m^3 at each lambda, and one
    of more than d/2 rows m d^2 and d^3 at each.
    """

    def __init__(
        self, X: NDArray[np.floating], weight: NDArray[np.float64], groups: NDArray[np.intp] | None = None
    ) -> None:
        self.X = X
        self.weight = weight
        self.lambdas = np.array(LAMBDAS)
        spectrum = decompose(X, np.zeros(len(X), dtype=np.intp), weight, 1)
        self.values, self.vectors = spectrum.values, spectrum.vectors
        self.leverages = self._leverages()
        self.groups = np.arange(len(X)) if groups is None else groups
        self.grouped = np.flatnonzero(np.bincount(self.groups)[self.groups] > 1)  # rows that do not leave alone

    def scores(self, targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Scores (n, K) at the lambda of the least mean squared held-out error, and that error."""
        weighted = self.weight[:, None] * targets
        B = np.zeros((self.vectors.shape[0], targets.shape[1]))
        for block in blocks(len(self.X)):
            B += design(self.X[block]).T @ weighted[block]
        turned = self.vectors.T @ B
        best, error = self._best(targets, turned)
        chosen = np.empty_like(targets)
        W = self._weights(turned, best)
        for block in blocks(len(self.X)):
            h = self.leverages[block, best]
            chosen[block] = (design(self.X[block]) @ W - h * targets[block]) / (1 - h)
        for rows, scores in self._together(targets, turned, best):
            chosen[rows] = scores[0]
        return chosen, error

    def _best(self, targets: NDArray[np.float64], turned: NDArray[np.float64]) -> tuple[slice, float]:
        """Which lambda has the least mean squared held-out error, and that error."""
        every, K = slice(None), targets.shape[1]
        errors = np.zeros(len(self.lambdas))
        alone = self.weight.copy()
        alone[self.grouped] = 0
        for rows, scores in self._together(targets, turned, every):
            errors += np.square(scores - targets[rows]).sum(axis=2) @ self.weight[rows]
        W = self._weights(turned, every)
        for block in blocks(len(self.X)):
            residual = (design(self.X[block]) @ W).reshape(-1, len(self.lambdas), K)
            residual -= targets[block, None]  # that of a row's own fit; without the row it is 1 / (1 - h) times it
            squares = np.einsum("ijk,ijk->ij", residual, residual)
            errors += alone[block] @ (squares / np.square(1 - self.leverages[block]))
        best = int(errors.argmin())
        return slice(best, best + 1), float(errors[best] / self.weight.sum())

    def _weights(self, turned: NDArray[np.float64], which: slice) -> NDArray[np.float64]:
        """W at some lambdas side by side, (d + 1, L K)."""
        shrunk = turned[:, None, :] / (self.values[:, None] + self.lambdas[which])[:, :, None]
        return np.asarray(self.vectors @ shrunk.reshape(len(turned), -1))

    def _leverages(self) -> NDArray[np.float64]:
        """h = w x'(A + lambda I)^-1 x, (n, L), kept below what is possible for any data."""
        inverse = 1 / (self.values[:, None] + self.lambdas)
        leverages = np.empty((len(self.X), len(self.lambdas)))
        for rows in blocks(len(self.X)):
            x, w = design(self.X[rows]), self.weight[rows, None]
            alone = w * np.einsum("ij,ij->i", x, x)[:, None]
            bound = np.minimum(alone / (self.lambdas + alone), 1 - np.finfo(np.float64).eps)
            leverages[rows] = np.minimum(w * (np.square(x @ self.vectors) @ inverse), bound)
        return leverages

    def _together(
        self, targets: NDArray[np.float64], turned: NDArray[np.float64], which: slice
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Rows (m,) of larger groups and their scores (L, m, K) without the group, at some lambdas."""
        rows, spectrum = self.grouped, Spectrum(self.values, self.vectors, turned)
        parts = group_scores(
            self.X[rows], targets[rows], self.weight[rows], self.groups[rows], spectrum, self.lambdas[which]
        )
        for members, scores in parts:
            yield rows[members], scores


def held_out(
    X: NDArray[np.floating],
    weight: NDArray[np.float64],
    groups: NDArray[np.intp] | None,
    targets: NDArray[np.float64],
) -> tuple[HeldOut, NDArray[np.float64]]:
    """The machine for these rows, and what it says of these targets (n, K).

    Few features are also tried through a lift, which is taken where its held-out error is the lower.
    """
    plain = HeldOut(X, weight, groups)
    scores, error = plain.scores(targets)
    if X.shape[1] > FEW_FEATURES or len(X) * LIFTED > _LIFT_CELLS:
        return plain, scores
    lifted = HeldOut(lift(X), weight, groups)
    lifted_scores, lifted_error = lifted.scores(targets)
    return (lifted, lifted_scores) if lifted_error < error else (plain, scores)


def lift(X: NDArray[np.floating]) -> NDArray[np.float32]:
    """Fixed random ReLU features max(0, U x + v), (n, d) -> (n, 2000), of rows x of unit length.

    U and v are normal with standard deviations 1 and 1/2, from a seed of their own. A linear learner on them
    approximates a kernel machine: A. Rahimi, B. Recht (2008), "Weighted sums of random kitchen sinks", NIPS; the
    kernel is that of Y. Cho, L. Saul (2009), "Kernel methods for deep learning", NIPS.

    >>> lift(np.ones((3, 2))).shape
    (3, 2000)
    """
    rng = np.random.default_rng(20)
    U, v = rng.normal(size=(X.shape[1], LIFTED)), rng.normal(size=LIFTED) / 2
    lifted = np.empty((len(X), LIFTED), dtype=np.float32)
    for rows in blocks(len(X)):
        lifted[rows] = np.maximum(design(X[rows])[:, :-1] @ U + v, 0)
    return lifted


def once(X: NDArray[np.floating], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weights (n,) under which the rows of a group (n,) count as often as they differ, from 1 / m to 1.

    A group of m rows whose features, less the mean of all, have the mean cosine rho to each other holds as much as
    m / (1 + (m - 1) rho) independent rows: the design effect of L. Kish (1965), "Survey sampling". Copies have rho 1
    and count once; different pictures of one patient count nearly in full.

    >>> X = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [-2.0, 0.0]])
    >>> once(X, np.array([0, 0, 1, 1, 2])).tolist()
    [0.5, 0.5, 1.0, 1.0, 1.0]
    """
    sizes = np.bincount(groups)
    weight, centre = np.ones(len(X)), X.mean(axis=0, dtype=np.float64)
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(sizes)
    for group in np.flatnonzero(sizes > 1):
        rows, m = order[ends[group] - sizes[group] : ends[group]], sizes[group]
        total = design(X[rows] - centre)[:, :-1].sum(axis=0)
        rho = (total @ total - m) / (m * (m - 1))
        weight[rows] = 1 / (1 + (m - 1) * np.clip(rho, 0, 1))
    return weight
