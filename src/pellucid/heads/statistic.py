"""The one statistic behind ridge: A = sum w x x', B = sum w x y', and what one eigendecomposition gives.

Here x is the L2-normalised feature with a 1 appended (the 1 is penalised like the rest), w the row's weight
and y its one-hot class, times the strength of its label where one is given (see `strength`). Everything is float64
and works through row blocks, so memory is bounded by d x d and not by n.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

BLOCK = 1024  # rows; at 1,280 features a block and its rotation take 20 MB


def design(X: NDArray[np.floating], root: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Rows of unit length with a 1 appended, (n, d) -> (n, d + 1), times ``root`` (n,); a zero vector keeps its zeros.

    >>> design(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8, 1. ],
           [0. , 0. , 1. ]])
    """
    rows = np.empty((X.shape[0], X.shape[1] + 1))
    body = rows[:, :-1]
    body[...] = X
    squares = np.einsum("ij,ij->i", body, body)
    extreme = ~((squares > 1e-200) & (squares < 1e200))  # also zero vectors; squares of others are exact enough
    if extreme.any():
        largest = np.abs(body[extreme]).max(axis=1)
        body[extreme] /= np.where(largest > 0, largest, 1.0)[:, None]
        squares[extreme] = np.where(largest > 0, np.square(body[extreme]).sum(axis=1), 1.0)
    last = np.ones(len(X)) if root is None else root
    body *= (last / np.sqrt(squares))[:, None]
    rows[:, -1] = last
    return rows


def unit(X: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows of unit length, (n, d), whatever their size; a zero vector keeps its zeros.

    >>> unit(np.array([[3e200, 4e200], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    rows = np.asarray(X, np.float64)
    scale = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(scale > 0, scale, 1.0)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0))


def blocks(n: int, size: int | None = None) -> Iterator[slice]:
    """Slices that cover ``range(n)`` in order, of ``size``, which is `BLOCK` where none is given.

    >>> list(blocks(1500))
    [slice(0, 1024, None), slice(1024, 1500, None)]
    """
    step = size or BLOCK
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def one_hot(y: NDArray[np.intp], n_classes: int, strength: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Class indices (n,) as rows (n, K) with a single 1, or the label's strength (n,) in its place.

    An index of -1, a class nobody learns, gives zeros.

    >>> one_hot(np.array([1, -1]), 2)
    array([[0., 1.],
           [0., 0.]])
    """
    rows: NDArray[np.float64] = (y[:, None] == np.arange(n_classes)).astype(np.float64)
    return rows if strength is None else rows * strength[:, None]


def strength(trust: NDArray[np.float64], n_classes: int) -> NDArray[np.float64]:
    """How far a label's target stands out, 0..1, where the label is right with the probability ``trust`` (n,), 0..1.

    Where the label is wrong any other class is as probable as the next. The expected target is then p for the label's
    class and q = (1 - p) / (K - 1) for each other one; what all classes have in common decides nothing, which leaves
    p - q. A label that is no better than a guess says nothing; its row still counts as one that is there.

    >>> strength(np.array([1.0, 0.7, 0.25, 0.1]), 4).round(9).tolist()
    [1.0, 0.6, 0.0, 0.0]
    """
    return np.clip((n_classes * trust - 1) / (n_classes - 1), 0, 1)


def trust_of(strength: NDArray[np.float64], n_classes: int) -> NDArray[np.float64]:
    """The trust (n,), 1/K..1, of which `strength` makes ``strength`` (n,), 0..1.

    >>> trust_of(strength(np.array([1.0, 0.7, 0.25]), 4), 4).round(9).tolist()
    [1.0, 0.7, 0.25]
    """
    return np.asarray((strength * (n_classes - 1) + 1) / n_classes)


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The eigendecomposition A = V diag(s) V' and B in its axes: all that any lambda needs."""

    values: NDArray[np.float64]  # s (r,), above 0
    vectors: NDArray[np.float64]  # V (d + 1, r), orthonormal columns
    targets: NDArray[np.float64]  # V'B (r, K)

    def weights(self, l2: float) -> NDArray[np.float64]:
        """W = (A + l2 I)^-1 B, (d + 1, K)."""
        return self.vectors @ (self.targets / (self.values + l2)[:, None])

    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A (d + 1, d + 1) and B (d + 1, K) again."""
        return (self.vectors * self.values) @ self.vectors.T, self.vectors @ self.targets


def decompose(
    X: NDArray[np.floating],
    y: NDArray[np.intp],
    weight: NDArray[np.float64],
    n_classes: int,
    strength: NDArray[np.float64] | None = None,
) -> Spectrum:
    """One eigendecomposition: of A, or of the weighted Gram matrix where rows are fewer than features."""
    learnt = np.flatnonzero(weight)
    if len(learnt) <= X.shape[1]:
        targets = one_hot(y[learnt], n_classes, None if strength is None else strength[learnt])
        return _decompose_gram(design(X[learnt]), targets, weight[learnt])
    return spectrum_of(*accumulate(X, y, weight, n_classes, strength))


def spectrum_of(A: NDArray[np.float64], B: NDArray[np.float64]) -> Spectrum:
    """The eigendecomposition of a statistic that was summed before; only A's upper triangle is read."""
    values, vectors = np.linalg.eigh(A, UPLO="U")
    keep = values > _noise(values)
    vectors = vectors[:, keep]
    return Spectrum(values[keep], vectors, vectors.T @ B)


def accumulate(
    X: NDArray[np.floating],
    y: NDArray[np.intp],
    weight: NDArray[np.float64],
    n_classes: int,
    strength: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The statistic: A = sum w x x' (d + 1, d + 1) and B = sum w x y' (d + 1, K)."""
    A = np.zeros((X.shape[1] + 1, X.shape[1] + 1), order="F")
    B = np.zeros((X.shape[1] + 1, n_classes))
    for rows in blocks(len(X)):
        root = np.sqrt(weight[rows])
        x = design(X[rows], root)
        A = blas.dsyrk(1.0, x.T, beta=1.0, c=A, overwrite_c=1)  # the upper triangle, in place
        B += x.T @ (root[:, None] * one_hot(y[rows], n_classes, None if strength is None else strength[rows]))
    A += np.triu(A, 1).T
    return A, B


def _decompose_gram(x: NDArray[np.float64], targets: NDArray[np.float64], weight: NDArray[np.float64]) -> Spectrum:
    """The same from x x' = U diag(s) U' with rows scaled by sqrt(w): V = x'U / sqrt(s)."""
    root = np.sqrt(weight)[:, None]
    x = root * x
    values, vectors = np.linalg.eigh(x @ x.T)
    keep = values > _noise(values)
    values = values[keep]
    axes = x.T @ (vectors[:, keep] / np.sqrt(values))
    return Spectrum(values, axes, axes.T @ (x.T @ (root * targets)))


def _noise(values: NDArray[np.float64]) -> float:
    """Below this an eigenvalue is rounding error: its axis holds no data."""
    return float(len(values) * np.finfo(np.float64).eps * values[-1])


def leave_one_out_errors(
    X: NDArray[np.floating],
    y: NDArray[np.intp],
    weight: NDArray[np.float64],
    spectrum: Spectrum,
    lambdas: NDArray[np.float64],
    strength: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean squared leave-one-out error (L,) at every lambda, and the leverages h (n, L) that it came from.

    The leverage h = w x'(A + lambda I)^-1 x, in [0, 1), is how far a row's own label decides its prediction;
    the error of a row is |y - y_loo|^2 = |y - y_hat|^2 / (1 - h)^2 (Allen 1974, PRESS), averaged by weight.
    """
    n_classes = spectrum.targets.shape[1]
    inverse = 1 / (spectrum.values[:, None] + lambdas)  # (r, L)
    shrunk = spectrum.targets[:, None, :] * inverse[:, :, None]  # V'W at every lambda, (r, L, K)
    errors = np.zeros(len(lambdas))
    leverages = np.empty((len(X), len(lambdas)))
    for rows in blocks(len(X)):
        x = design(X[rows])
        z = x @ spectrum.vectors
        target = one_hot(y[rows], n_classes, None if strength is None else strength[rows])
        residual = (z @ shrunk.reshape(len(z.T), -1)).reshape(len(z), len(lambdas), n_classes)
        residual -= target[:, None, :]
        w = weight[rows, None]
        # rounding must not lift h above its bound for any data, w |x|^2 / (lambda + w |x|^2), nor that to 1
        alone = w * np.einsum("ij,ij->i", x, x)[:, None]
        bound = np.minimum(alone / (lambdas + alone), 1 - np.finfo(np.float64).eps)
        h = np.minimum(w * (np.square(z, out=z) @ inverse), bound)
        errors += (w * np.einsum("ijk,ijk->ij", residual, residual) / (1 - h) ** 2).sum(axis=0)
        leverages[rows] = h
    return errors / weight.sum(), leverages


def leave_one_out(
    fitted: NDArray[np.float64],
    y: NDArray[np.intp],
    leverage: NDArray[np.float64],
    strength: NDArray[np.float64] | float = 1.0,
) -> NDArray[np.float64]:
    """What all the other rows say of every row, (n, K): y_loo = (y_hat - h y) / (1 - h); nothing is refitted.

    >>> leave_one_out(np.array([[0.75, 0.25]]), np.array([0]), np.array([0.5]))
    array([[0.5, 0.5]])
    """
    scores = fitted.copy()
    known = np.flatnonzero(y >= 0)
    scores[known, y[known]] -= (leverage * strength)[known]
    scores /= (1 - leverage)[:, None]
    return scores


def leave_group_out_errors(
    X: NDArray[np.floating],
    y: NDArray[np.intp],
    weight: NDArray[np.float64],
    groups: NDArray[np.intp],
    spectrum: Spectrum,
    lambdas: NDArray[np.float64],
    strength: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Mean squared leave-group-out error (L,) at every lambda, averaged by weight; see `leave_group_out_scores`."""
    errors: NDArray[np.float64] = np.zeros(len(lambdas))
    targets = one_hot(y, spectrum.targets.shape[1], strength)
    for rows, scores in group_scores(X, targets, weight, groups, spectrum, lambdas):
        errors += np.square(targets[rows] - scores).sum(axis=2) @ weight[rows]
    return np.asarray(errors / weight.sum())


def leave_group_out_scores(
    X: NDArray[np.floating],
    y: NDArray[np.intp],
    weight: NDArray[np.float64],
    groups: NDArray[np.intp],
    spectrum: Spectrum,
    l2: float,
    strength: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """What all rows outside its group say of every row, (n, K); near 1 for its class. Nothing is refitted.

    ``groups`` (n,) are whole numbers; rows of one number leave together, so that near-copies cannot vouch for
    each other. With rows scaled by sqrt(w), H = X R X' and r = y - XW, the errors of group g are
    e = (I - H_gg)^-1 r_g; a group of one gives `leave_one_out`. The rows must be those of the ``spectrum``,
    at least whole groups of them. A group of m rows costs m^2 d + m^3, and one of more than d rows d^2 m + d^3.
    """
    targets = one_hot(y, spectrum.targets.shape[1], strength)
    scores = np.empty(targets.shape)
    for rows, held_out in group_scores(X, targets, weight, groups, spectrum, np.array([l2])):
        scores[rows] = held_out[0]
    return scores


def group_scores(
    X: NDArray[np.floating],
    targets: NDArray[np.float64],
    weight: NDArray[np.float64],
    groups: NDArray[np.intp],
    spectrum: Spectrum,
    lambdas: NDArray[np.float64],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Rows (m,) and their held-out scores (L, m, K); every row comes once, groups of one size together.

    The ``targets`` (n, K) may be soft; see `leave_group_out_scores`.
    """
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    K = targets.shape[1]
    for size in np.unique(sizes):
        members = order[starts[sizes == size][:, None] + np.arange(size)]  # (G, size)
        step = 1 if size > len(spectrum.values) else max(1, BLOCK // int(size))
        for start in range(0, len(members), step):
            rows = members[start : start + step]
            w = weight[rows]
            z = (design(X[rows.ravel()]) @ spectrum.vectors).reshape(*rows.shape, -1)
            target = targets[rows]
            leave = _leave_by_features if size > len(spectrum.values) else _leave_by_rows
            yield rows.ravel(), leave(z, target, w, spectrum, lambdas).reshape(len(lambdas), -1, K)


def _leave_by_rows(
    z: NDArray[np.float64],
    target: NDArray[np.float64],
    weight: NDArray[np.float64],
    spectrum: Spectrum,
    lambdas: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Scores (L, G, m, K) of G groups of m rows z (G, m, r), through the m x m matrices I - H."""
    root = np.sqrt(weight)[:, :, None]
    held_out = np.empty((len(lambdas), *target.shape))
    # rounding must not lift H above its bound for any data, t / (lambda + t) with t the group's own sum of squares
    alone = (root * z).reshape(len(z), -1)
    alone = np.einsum("ij,ij->i", alone, alone)[:, None]
    for index, l2 in enumerate(lambdas):
        shrunk = z / (spectrum.values + l2)
        fitted = shrunk @ spectrum.targets
        Q = shrunk @ z.swapaxes(1, 2)
        values, axes = np.linalg.eigh(root * Q * root.swapaxes(1, 2))
        values = np.minimum(values, np.minimum(alone / (l2 + alone), 1 - np.finfo(np.float64).eps))
        error = axes @ ((axes.swapaxes(1, 2) @ (root * (target - fitted))) / (1 - values)[:, :, None])
        held_out[index] = fitted - Q @ (root * error)
    return held_out


def _leave_by_features(
    z: NDArray[np.float64],
    target: NDArray[np.float64],
    weight: NDArray[np.float64],
    spectrum: Spectrum,
    lambdas: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The same for one group of more rows than axes: take its sums from the statistic and decompose the rest."""
    weighted = weight[0, :, None] * z[0]
    rest = spectrum_of(np.diag(spectrum.values) - weighted.T @ z[0], spectrum.targets - weighted.T @ target[0])
    return np.stack([z @ rest.weights(l2) for l2 in lambdas])


def predict_scores(X: NDArray[np.floating], W: NDArray[np.float64]) -> NDArray[np.float64]:
    """y_hat = x'W of every row, (n, K): near 1 for the class, near 0 for the others."""
    scores = np.empty((len(X), W.shape[1]))
    for rows in blocks(len(X)):
        scores[rows] = design(X[rows]) @ W
    return scores
