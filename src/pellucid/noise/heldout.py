"""What all other rows say of each row: ridge without the row, or without its whole group, for any soft targets.

`pellucid.heads.statistic` does this for hard labels. The audit teaches probabilities too, and several times on the
same rows, so that here everything that the targets do not change is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.heads.ridge import LAMBDAS
from pellucid.heads.statistic import Spectrum, blocks, decompose, design, group_scores, unit

FEW_FEATURES = 256  # at most so many are lifted; a network's features are not
LIFTED = 2_000  # features of a lift
_LIFT_CELLS = 10**8  # rows x lifted features at most, 400 MB
LEVERAGE_ERROR = 1e-6  # of the average row, at most, by single precision; on 50,000 x 768 none was off by 2e-8
_FEW_ROWS = 128  # at a time where they meet few columns: they stay in the cache
_MANY_ROWS = 4_096  # from which on single precision is worth its while
_DECISIVE = 0.5  # a leverage from which on a row's error is the small residual of its own fit, many times over
_NEAR = 1e-4  # of the least error, within which lambdas are told apart in double precision
_SHORTEST, _LONGEST = 1e-15, 1e15  # of rows whose squares are far from the ends of single precision


class HeldOut:
    """Ridge on rows X (n, d) with weights (n,), ready for any targets (n, K).

    Rows of one group (n,), whole numbers, leave together. A group of m rows costs m^2 d + m^3 at each lambda, and one
    of more than d/2 rows m d^2 and d^3 at each.

    A, B and the scores at the chosen lambda are computed in double precision. Two products are not, where rows are
    many, all features vary and no row decides its own prediction: leverages, whose rounding then stays below
    `LEVERAGE_ERROR`, and the errors at all lambdas, of which those that come near the least are computed again.
    """

    def __init__(
        self, X: NDArray[np.floating], weight: NDArray[np.float64], groups: NDArray[np.intp] | None = None
    ) -> None:
        self.X, self.scale = _moderate(X)
        self.weight = weight
        self.lambdas = np.array(LAMBDAS)
        spectrum = decompose(X, np.zeros(len(X), dtype=np.intp), weight, 0)
        self.values, self.vectors = spectrum.values, spectrum.vectors
        single = len(X) >= _MANY_ROWS and self._rounding() < LEVERAGE_ERROR
        self.leverages = self._leverages(np.float32 if single else np.float64)
        self.single = single and bool(self.leverages.max() < _DECISIVE)  # whether that will do
        if single and not self.single:  # scores divide by 1 - h, and so do errors of h
            self.leverages = self._leverages(np.float64)
        self.groups = np.arange(len(X)) if groups is None else groups
        self.grouped = np.flatnonzero(np.bincount(self.groups)[self.groups] > 1)  # rows that do not leave alone

    def scores(self, targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Scores (n, K) at the lambda of the least mean squared held-out error, and that error."""
        weighted = self.weight[:, None] * targets
        B = np.zeros((self.X.shape[1] + 1, targets.shape[1]))
        for block in blocks(len(self.X), _FEW_ROWS):
            B[:-1] += self.X[block].astype(np.float64).T @ (self.scale[block, None] * weighted[block])
            B[-1] += weighted[block].sum(axis=0)
        turned = self.vectors.T @ B
        best = self._best(targets, turned)
        chosen = np.empty_like(targets)
        W = self._weights(turned, best)
        for block in blocks(len(self.X), _FEW_ROWS):
            h = self.leverages[block, best]
            chosen[block] = (self._times(block, W) - h * targets[block]) / (1 - h)
        for rows, scores in self._together(targets, turned, best):
            chosen[rows] = scores[0]
        residual = chosen - targets
        return chosen, float(self.weight @ np.einsum("ij,ij->i", residual, residual) / self.weight.sum())

    def _best(self, targets: NDArray[np.float64], turned: NDArray[np.float64]) -> NDArray[np.intp]:
        """Which lambda has the least mean squared held-out error, (1,)."""
        every = np.arange(len(self.lambdas))
        together = np.zeros(len(every))
        for rows, scores in self._together(targets, turned, every):
            together += np.square(scores - targets[rows]).sum(axis=2) @ self.weight[rows]
        near = every
        if self.single:
            errors = together + self._alone(targets, turned, every, np.float32)
            near = np.flatnonzero(errors <= errors.min() * (1 + _NEAR))
        if len(near) > 1:
            errors = together[near] + self._alone(targets, turned, near, np.float64)
            near = near[[errors.argmin()]]
        return near

    def _alone(
        self,
        targets: NDArray[np.float64],
        turned: NDArray[np.float64],
        which: NDArray[np.intp],
        precision: type[np.floating],
    ) -> NDArray[np.float64]:
        """The summed squared errors of rows that leave alone, at some lambdas."""
        weight, K = self.weight.copy(), targets.shape[1]
        weight[self.grouped] = 0
        W: NDArray[Any] = self._weights(turned, which).astype(precision)
        total: NDArray[Any] = np.repeat(np.eye(len(which), dtype=precision), K, axis=0)  # sums the columns of a lambda
        errors = np.zeros(len(which))
        for block in blocks(len(self.X), _FEW_ROWS):
            residual = self._times(block, W)  # that of a row's own fit; without the row it is 1 / (1 - h) times it
            residual -= np.tile(targets[block].astype(precision), len(which))
            np.square(residual, out=residual)
            errors += weight[block] @ ((residual @ total) / np.square(1 - self.leverages[block][:, which]))
        return errors

    def _times(self, rows: slice, matrix: NDArray[Any]) -> NDArray[Any]:
        """Some rows, at unit length and with their 1, times a matrix (d + 1, m), in its precision."""
        product: NDArray[Any] = self.X[rows].astype(matrix.dtype, copy=False) @ matrix[:-1]
        product *= self.scale[rows, None].astype(matrix.dtype)
        product += matrix[-1]
        return product

    def _weights(self, turned: NDArray[np.float64], which: NDArray[np.intp]) -> NDArray[np.float64]:
        """W at some lambdas side by side, (d + 1, L K)."""
        shrunk = turned[:, None, :] / (self.values[:, None] + self.lambdas[which])[:, :, None]
        return np.asarray(self.vectors @ shrunk.reshape(len(turned), -1))

    def _rounding(self) -> float:
        """How far single precision moves the average row's leverage at the smallest lambda, at most.

        A coordinate z along an axis is off by about one rounding unit e, the leverage w z^2 / (s + lambda) so by
        2 e w z / (s + lambda); and the mean of w z^2 is s / n.
        """
        coordinates = np.sqrt(self.values / len(self.X))
        slope = 2 * np.sqrt(self.weight.mean()) * (coordinates / (self.values + self.lambdas.min())).sum()
        return float(np.finfo(np.float32).eps * slope)

    def _leverages(self, precision: type[np.floating]) -> NDArray[np.float64]:
        """h = w x'(A + lambda I)^-1 x, (n, L), kept below what is possible for any data."""
        vectors: NDArray[Any] = self.vectors.astype(precision)
        inverse = (1 / (self.values[:, None] + self.lambdas)).astype(precision)
        leverages = np.empty((len(self.X), len(self.lambdas)))
        for rows in blocks(len(self.X)):
            w = self.weight[rows, None]
            alone = w * (1 + (self.scale[rows, None] > 0))  # w |x|^2
            bound = np.minimum(alone / (self.lambdas + alone), 1 - np.finfo(np.float64).eps)
            z = self._times(rows, vectors)
            leverages[rows] = np.minimum(w * (np.square(z, out=z) @ inverse), bound)
        return leverages

    def _together(
        self, targets: NDArray[np.float64], turned: NDArray[np.float64], which: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Rows (m,) of larger groups and their scores (L, m, K) without the group, at some lambdas."""
        rows, spectrum = self.grouped, Spectrum(self.values, self.vectors, turned)
        parts = group_scores(
            self.X[rows], targets[rows], self.weight[rows], self.groups[rows], spectrum, self.lambdas[which]
        )
        for members, scores in parts:
            yield rows[members], scores


def _moderate(X: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """The rows (n, d), of unit length where some are very long or short, and 1 / length, (n,), 0 of zeros."""
    squares = np.einsum("ij,ij->i", X, X, dtype=np.float64)
    if X[(squares < _SHORTEST**2) | (squares > _LONGEST**2)].any():
        X, squares = unit(X), X.any(axis=1).astype(np.float64)
    return X, np.where(squares > 0, 1 / np.sqrt(np.where(squares > 0, squares, 1)), 0)


def held_out(
    looks: Sequence[NDArray[np.floating]],
    weight: NDArray[np.float64],
    groups: NDArray[np.intp] | None,
    targets: NDArray[np.float64],
) -> tuple[HeldOut, NDArray[np.float64], int]:
    """The machine for these rows, what it says of these targets (n, K), and through which look.

    Of several looks at the same rows, each (n, d), the one whose held-out error is the least is taken. Few features are
    also tried through a lift.
    """
    best: tuple[HeldOut, NDArray[np.float64], int] | None = None
    least = np.inf
    for number, X in enumerate(looks):
        few = X.shape[1] <= FEW_FEATURES and len(X) * LIFTED <= _LIFT_CELLS
        for features in (X, lift(X)) if few else (X,):
            machine = HeldOut(features, weight, groups)
            scores, error = machine.scores(targets)
            if best is None or error < least:
                best, least = (machine, scores, number), error
    assert best is not None  # noqa: S101 - there is a look
    return best


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
