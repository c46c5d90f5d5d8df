"""What all other rows say of each row: ridge without the row, or without its whole group, for any soft targets.

`pellucid.heads.statistic` does this for hard labels. The audit teaches probabilities too, and several times on the
same rows, so that here everything that the targets do not change is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from pellucid.heads.ridge import LAMBDAS
from pellucid.heads.statistic import blocks, decompose, design

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
        self.members = [] if groups is None else list(_larger_groups(groups))

    def scores(self, targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Scores (n, K) at the lambda of the least mean squared held-out error, and that error."""
        weighted = self.weight[:, None] * targets
        B = np.zeros((self.vectors.shape[0], targets.shape[1]))
        for block in blocks(len(self.X)):
            B += design(self.X[block]).T @ weighted[block]
        turned = self.vectors.T @ B
        errors = np.zeros(len(self.lambdas))
        for rows, scores in self._held_out(targets, turned, np.arange(len(self.lambdas))):
            errors += np.square(scores - targets[rows]).sum(axis=2) @ self.weight[rows]
        best = int(errors.argmin())
        chosen = np.empty_like(targets)
        for rows, scores in self._held_out(targets, turned, np.array([best])):
            chosen[rows] = scores[0]
        return chosen, float(errors[best] / self.weight.sum())

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

    def _held_out(
        self, targets: NDArray[np.float64], turned: NDArray[np.float64], which: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Rows (m,) and their scores (L, m, K) at some lambdas; every row comes once."""
        single = np.ones(len(self.X), dtype=bool)
        for members in self.members:
            single[members] = False
            yield members, self._without(members, targets[members], turned, which)
        inverse = 1 / (self.values[:, None] + self.lambdas[which])
        W = np.stack([self.vectors @ (turned * inverse[:, [i]]) for i in range(len(which))])
        for block in blocks(len(self.X)):
            rows = np.arange(block.start, block.stop)[single[block]]
            fitted = design(self.X[rows]) @ W  # (L, m, K)
            h = self.leverages[rows][:, which].T[:, :, None]
            yield rows, (fitted - h * targets[rows]) / (1 - h)

    def _without(
        self,
        rows: NDArray[np.intp],
        targets: NDArray[np.float64],
        turned: NDArray[np.float64],
        which: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        """Scores of a group without itself: y_hat - Q w^1/2 e, e = (I - H)^-1 w^1/2 (y - y_hat), H = w^1/2 Q w^1/2."""
        if 2 * len(rows) > len(self.values):
            return self._from_the_rest(rows, targets, turned, which)
        z = design(self.X[rows]) @ self.vectors
        root = np.sqrt(self.weight[rows])[:, None]
        alone = float(np.square(root * z).sum())
        scores = np.empty((len(which), *targets.shape))
        for number, l2 in enumerate(self.lambdas[which]):
            shrunk = z / (self.values + l2)
            fitted, Q = shrunk @ turned, shrunk @ z.T
            h, axes = np.linalg.eigh(root * Q * root.T)
            h = np.minimum(h, min(alone / (l2 + alone), 1 - np.finfo(np.float64).eps))
            error = axes @ ((axes.T @ (root * (targets - fitted))) / (1 - h)[:, None])
            scores[number] = fitted - Q @ (root * error)
        return scores

    def _from_the_rest(
        self,
        rows: NDArray[np.intp],
        targets: NDArray[np.float64],
        turned: NDArray[np.float64],
        which: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        """The same for a large group: its sums are taken from those of all rows, and what is left is solved."""
        taken = np.zeros((len(self.values), len(self.values)))
        rest = turned.copy()
        for block in blocks(len(rows)):
            z = design(self.X[rows[block]]) @ self.vectors
            weighted = self.weight[rows[block], None] * z
            taken += weighted.T @ z
            rest -= weighted.T @ targets[block]
        W = [
            self.vectors @ cho_solve(cho_factor(np.diag(self.values + l2) - taken), rest) for l2 in self.lambdas[which]
        ]
        scores = np.empty((len(which), *targets.shape))
        for block in blocks(len(rows)):
            scores[:, block] = design(self.X[rows[block]]) @ np.stack(W)
        return scores


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


def _larger_groups(groups: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    order = np.argsort(groups, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(members) > 1:
            yield members
