"""The mistakes made with most confidence, and the training images that lie nearest to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError
from pellucid.evaluate.inputs import check_outcomes

BLOCK_ENTRIES = 4_000_000  # similarities held at once: 32 MB


def most_confident_failures(y: ArrayLike, proba: ArrayLike, k: int) -> NDArray[np.int64]:
    """Return the indices of the at most ``k`` wrong answers given with the highest confidence, highest first.

    Args:
        y: (n,) true class indices.
        proba: (n, K) probabilities, rows summing to 1.
        k: how many at most.

    Raises:
        DataError: see :func:`~pellucid.evaluate.inputs.check_outcomes`.

    >>> most_confident_failures([0, 1, 0], [[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]], 5).tolist()
    [2, 0]
    """
    truth, probability = check_outcomes(y, proba)
    wrong = np.flatnonzero(probability.argmax(axis=1) != truth)
    return wrong[np.argsort(-probability.max(axis=1)[wrong], kind="stable")][: max(k, 0)]


def nearest(X_query: ArrayLike, X_train: ArrayLike, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find each query's ``k`` nearest training vectors by cosine similarity, block by block.

    Args:
        X_query: (q, d) vectors.
        X_train: (n, d) vectors.
        k: neighbours wanted; all n where there are fewer.

    Returns:
        Indices (q, min(k, n)) into ``X_train`` and their similarities, -1..1, most similar first, ties by
        index. A zero vector is similar to nothing: 0.

    Raises:
        DataError: shapes that do not fit, numbers that are not finite, or k below 1.

    >>> rows, similarity = nearest([[1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0], [1.0, 1.0]], k=2)
    >>> rows.tolist(), similarity.round(3).tolist()
    ([[1, 2]], [[1.0, 0.707]])
    """
    query, train = np.asarray(X_query, dtype=np.float64), np.asarray(X_train, dtype=np.float64)
    if query.ndim != 2 or train.ndim != 2 or query.shape[1] != train.shape[1]:
        raise DataError(f"X_query has shape {query.shape} and X_train {train.shape}; wanted (q, d) and (n, d)")
    if k < 1:
        raise DataError(f"k is {k}; wanted at least 1 neighbour")
    if not (np.isfinite(query).all() and np.isfinite(train).all()):
        raise DataError("the vectors hold infinite or missing numbers; compute the features again")
    k = min(k, len(train))
    rows = np.empty((len(query), k), dtype=np.int64)
    similarity = np.empty((len(query), k))
    unit = _unit_rows(train)
    step = max(1, BLOCK_ENTRIES // max(1, len(train)))
    for start in range(0, len(query), step):
        block = slice(start, start + step)
        cosine = np.clip(_unit_rows(query[block]) @ unit.T, -1.0, 1.0)
        rows[block] = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        similarity[block] = np.take_along_axis(cosine, rows[block], axis=1)
    return rows, similarity


def _unit_rows(X: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(X, axis=1, keepdims=True)
    unit: NDArray[np.float64] = X / np.where(length > 0, length, 1.0)
    return unit
