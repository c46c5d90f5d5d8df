"""The solution that runs along: rows are learnt and forgotten one by one, exactly, in the time of a few products.

Held are the sums A and B (see `statistic`), R = (A + l2 I)^-1 and W = R B. For rows x scaled by sqrt(w), with
G = R x' and S = I + x G (I - x G where they leave),

    W += G S^-1 (y - x W)        R -= G S^-1 G'        (Woodbury; of one row Sherman-Morrison)

with the signs turned where they leave. Of the symmetric A and R only the upper triangles are kept up to date.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, blas, cho_solve, cholesky, lapack, solve_triangular

from pellucid.heads.inputs import HeadInputError, class_index
from pellucid.heads.statistic import accumulate, blocks, design, one_hot

# A block of more rows than this share of the features is learnt by a new factorisation instead: that takes d^3 / 2
# multiplications, the update of m rows 3 d^2 m / 2; measured at 1,280 features they are even at 300 rows.
BLOCK_SHARE = 1 / 4
# An update divides by 1 - h, h the leverage of what leaves; below this, and once for every d rows, everything is
# factorised anew. Rounding errors then cannot add up, and rows one by one cost at most a third more on average.
SAFE_REMAINDER = 1e-3
# How far rounding may lift a leverage above, or a sum below, what is possible for rows that were learnt.
LEVERAGE_SLACK = 1e-5
WEIGHT_SLACK = 1e-6  # of the weight of a class
SUM_SLACK = 1e-12  # of the weight of all rows: what rounding leaves of a class whose labels have no strength


class NeverLearntError(HeadInputError):
    """Rows that are to be forgotten cannot have been learnt; nothing was changed."""


@dataclass(slots=True, eq=False)
class Running:
    """A, B, R, W and the rows of each class, changed in place; a change that is refused changes nothing."""

    classes: NDArray[Any]  # (K,) the names of the columns, for messages
    A: NDArray[np.float64]  # (p, p) Fortran order, upper triangle; p = d + 1
    B: NDArray[np.float64]  # (p, K)
    counts: NDArray[np.intp]  # (K,) rows of each class
    l2: float
    R: NDArray[np.float64]  # (p, p) Fortran order, upper triangle
    W: NDArray[np.float64]  # (p, K)
    changed: int = 0  # rows since the last factorisation

    @classmethod
    def start(
        cls,
        classes: NDArray[Any],
        A: NDArray[np.float64],
        B: NDArray[np.float64],
        counts: NDArray[np.intp],
        l2: float,
    ) -> Running:
        """Factorise; A and B are kept, not copied. Raises HeadInputError where A + l2 I cannot be inverted."""
        A = np.asfortranarray(A)
        R, W = _solve(A, B, l2)
        return cls(classes, A, B, counts, l2, R, W)

    def learn(
        self,
        X: NDArray[np.floating],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | None = None,
    ) -> None:
        """Add rows X (m, d), as features, with class indices, weights above 0 and strengths, 0..1, 1 where None."""
        self._change(X, y, weight, strength, 1)

    def forget(
        self,
        X: NDArray[np.floating],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | None = None,
    ) -> None:
        """Take rows out as if they had never come. Raises NeverLearntError where that cannot be."""
        self.check_learnt(X, y, weight, strength)
        self._change(X, y, weight, strength, -1)

    def relabel(
        self,
        X: NDArray[np.floating],
        old: NDArray[np.intp],
        new: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | None = None,
    ) -> None:
        """Give rows another class; A and R do not depend on it. Raises NeverLearntError as ``forget`` does."""
        self.check_learnt(X, old, weight, strength)
        self._check_jointly(X, weight)
        K = len(self.counts)
        change = np.zeros_like(self.B)
        moved = weight if strength is None else weight * strength
        for rows in blocks(len(X)):
            change += design(X[rows]).T @ (moved[rows, None] * (one_hot(new[rows], K) - one_hot(old[rows], K)))
        self.B += change
        self.W = self.W + self._times(change.T)
        self.counts = self.counts + np.bincount(new, minlength=K) - np.bincount(old, minlength=K)

    def merge(self, A: NDArray[np.float64], B: NDArray[np.float64], counts: NDArray[np.intp]) -> None:
        """Add another statistic of the same classes; of its A the upper triangle is read."""
        self._rebuild(A, B, self.counts + counts, 1)

    def spread(self, classes: NDArray[Any]) -> Running:
        """The same with more classes, sorted as these; of a new class nothing is known, its column is zero.

        A and R are shared with the original, which is not to be used any more once this one changes.
        """
        if len(classes) == len(self.classes):
            return self
        columns = class_index(classes, self.classes)
        B, W = (widened(array, columns, len(classes)) for array in (self.B, self.W))
        return replace(self, classes=classes, B=B, W=W, counts=widened(self.counts[None], columns, len(classes))[0])

    def shed(self) -> Running:
        """The same without the classes that have no row left: their columns hold rounding and would still be answered.

        A and R are shared with the original, as by ``spread``.
        """
        held = self.counts > 0
        if held.all():
            return self
        return replace(self, classes=self.classes[held], B=self.B[:, held], W=self.W[:, held], counts=self.counts[held])

    def leverage(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """x'Rx of rows X (n, d), given as features, (n,)."""
        values = np.empty(len(X))
        for rows in blocks(len(X)):
            x = design(X[rows])
            values[rows] = np.einsum("ij,ji->i", x, self._times(x))
        return values

    def pull(self, X: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """x'Rx and |Rx|^2 of rows X (n, d), given as features, (n,) each."""
        leverage, squares = np.empty(len(X)), np.empty(len(X))
        for rows in blocks(len(X)):
            x = design(X[rows])
            G = self._times(x)
            leverage[rows] = np.einsum("ij,ji->i", x, G)
            squares[rows] = np.einsum("ji,ji->i", G, G)
        return leverage, squares

    def _change(
        self,
        X: NDArray[np.floating],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | None,
        sign: int,
    ) -> None:
        """Every way out of here by an error is before the first assignment."""
        K = len(self.counts)
        counts = self.counts + sign * np.bincount(y, minlength=K)
        if self._is_large(X) or self.changed + len(X) > len(self.A):
            self._rebuild(*accumulate(X, y, weight, K, strength), counts, sign)
            return
        root = np.sqrt(weight)[:, None]
        x = root * design(X)
        targets = root * one_hot(y, K, strength)
        G = self._times(x)
        factor = _factor(np.eye(len(x)) + sign * (x @ G))
        if factor is None:
            raise NeverLearntError(_NEVER)
        if sign < 0 and np.square(np.diag(factor)).min() < SAFE_REMAINDER:
            self._rebuild(x.T @ x, x.T @ targets, counts, sign)
            return
        step = G @ cho_solve((factor, True), targets - x @ self.W)
        half = solve_triangular(factor, G.T, lower=True)  # S^-1/2 G'
        self.W = self.W + sign * step  # a new array, so that whoever predicts meanwhile reads a whole one
        self.B += sign * (x.T @ targets)
        _add_squares(self.R, half, -sign)
        _add_squares(self.A, x, sign)
        self.counts = counts
        self.changed += len(x)

    def _rebuild(self, A: NDArray[np.float64], B: NDArray[np.float64], counts: NDArray[np.intp], sign: int) -> None:
        """Add or take away sums and factorise what results."""
        total_A, total_B = self.A + sign * A, self.B + sign * B
        try:
            R, W = _solve(total_A, total_B, self.l2)
        except HeadInputError as error:
            raise (NeverLearntError(_NEVER) if sign < 0 else error) from None
        self.A, self.B, self.R, self.W = np.asfortranarray(total_A), total_B, R, W
        self.counts, self.changed = counts, 0

    def _times(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """R x', (p, m)."""
        if len(x) == 1:
            return np.asarray(blas.dsymv(1.0, self.R, x[0]))[:, None]
        return np.asarray(blas.dsymm(1.0, self.R, np.ascontiguousarray(x).T))

    def _is_large(self, X: NDArray[np.floating]) -> bool:
        return len(X) > BLOCK_SHARE * len(self.A)

    def check_learnt(
        self,
        X: NDArray[np.floating],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | None = None,
    ) -> None:
        """Raise NeverLearntError where a row, or the rows of a class, cannot be among those that were learnt."""
        counts, weights = np.bincount(y), np.bincount(y, weight if strength is None else weight * strength)
        for k in np.flatnonzero(counts):
            if counts[k] > self.counts[k]:
                raise NeverLearntError(
                    f"{counts[k]} rows were to leave class {self.classes[k]}, and {self.counts[k]} are learnt; {_NEVER}"
                )
            held = self.B[-1, k]  # the sum of weights times strengths, because of the appended 1
            rest = held - weights[k]
            slack = max(WEIGHT_SLACK * max(held, weights[k]), SUM_SLACK * self.A[-1, -1])
            if rest < -slack or (counts[k] == self.counts[k] and rest > slack):
                raise NeverLearntError(
                    f"weight {weights[k]:g} was to leave class {self.classes[k]}, and {held:g} is learnt; {_NEVER}"
                )
        # A row that is in A has w x'Rx <= w |x|^2 / (l2 + w |x|^2) < 1: its leverage were it alone.
        size = weight * _squared_length(X)
        h = weight * self.leverage(X)
        strange = np.flatnonzero((h > size / (self.l2 + size) + LEVERAGE_SLACK) | (h >= 1))
        if len(strange):
            raise NeverLearntError(
                f"row {strange[0]} has leverage {h[strange[0]]:.6g}, which no row that was learnt can have; {_NEVER}"
            )

    def _check_jointly(self, X: NDArray[np.floating], weight: NDArray[np.float64]) -> None:
        """All rows together: what stays must be positive definite."""
        if self._is_large(X):
            try:
                _solve(self.A - accumulate(X, np.zeros(len(X), np.intp), weight, 1)[0], self.B, self.l2)
            except HeadInputError:
                raise NeverLearntError(_NEVER) from None
            return
        x = np.sqrt(weight)[:, None] * design(X)
        if _factor(np.eye(len(x)) - x @ self._times(x)) is None:
            raise NeverLearntError(_NEVER)


_NEVER = "give only rows that were learnt, with the features, label and weights that they had; nothing was changed"


def _squared_length(X: NDArray[np.floating]) -> NDArray[np.float64]:
    """|x|^2 of the rows of the design: 2, or 1 of a zero vector."""
    return np.where(X.any(axis=1), 2.0, 1.0)


def widened(array: NDArray[Any], columns: NDArray[np.intp], n_columns: int) -> NDArray[Any]:
    """Columns of an array in new places, zeros elsewhere.

    >>> widened(np.array([[1.0, 2.0]]), np.array([2, 0]), 3)
    array([[2., 0., 1.]])
    """
    wide = np.zeros((len(array), n_columns), dtype=array.dtype)
    wide[:, columns] = array
    return wide


def _solve(
    A: NDArray[np.float64], B: NDArray[np.float64], l2: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """R (upper triangle) and W of A (upper triangle) + l2 I."""
    R = A.copy(order="F")
    R[np.diag_indices_from(R)] += l2
    R, failed = lapack.dpotrf(R, lower=0, overwrite_a=1)
    if failed:
        raise HeadInputError(
            f"lambda {l2:g} is too small beside these data to learn row by row; give a larger one, 0.001 say"
        )
    W = np.ascontiguousarray(lapack.dpotrs(R, B, lower=0)[0])
    return lapack.dpotri(R, lower=0, overwrite_c=1)[0], W


def _factor(S: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The lower Cholesky factor; None where S is not positive definite."""
    try:
        return np.asarray(cholesky(S, lower=True))
    except LinAlgError:
        return None


def _add_squares(total: NDArray[np.float64], x: NDArray[np.float64], sign: float) -> None:
    """total += sign x'x, upper triangle, in place."""
    if len(x) == 1:
        done = blas.dsyr(sign, x[0], a=total, overwrite_a=1)
    else:
        done = blas.dsyrk(sign, np.ascontiguousarray(x).T, beta=1.0, c=total, overwrite_c=1)
    if done is not total:  # BLAS worked on a copy because the layout was not Fortran's
        total[...] = done
