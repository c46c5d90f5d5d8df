"""Scores to probabilities: softmax(scores / T), with the temperature T that held-out scores ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

COLDEST, HOTTEST = 1e-3, 1e3  # bounds of T, in units of the scores
BLOCK = 2**22  # scores at a time, 32 MB


def fit_temperature(
    scores: NDArray[np.floating], y: NDArray[np.intp], weight: NDArray[np.float64] | None = None
) -> float:
    """The T in [0.001, 1000] that minimises the weighted negative log likelihood of softmax(scores / T).

    ``scores`` (n, K) must not have seen their own labels ``y`` (n,), class indices. The likelihood is that of
    labels softened by the rule of succession, 1 -> (N + 1) / (N + K) with N the total weight (Platt 1999,
    "Probabilistic outputs for support vector machines", section 2.2): scores that separate the classes
    perfectly then have a finite optimum, and no sample is claimed with more certainty than N samples can
    support. A higher T is less confident; the order of the classes does not depend on it.

    >>> separable = np.array([[1.0, 0.0], [0.0, 1.0]])  # softened: 3/4 against 1/4, log odds log 3
    >>> round(fit_temperature(separable, np.array([0, 1])), 6)  # 1 / log 3
    0.910239
    """
    n, K = scores.shape
    weight = np.ones(n) if weight is None else weight
    total = weight.sum()
    sharp, soft = total / (total + K), 1 / (total + K)  # target = sharp * one-hot + soft

    # The likelihood is convex in the inverse temperature, so its minimum is where the slope crosses zero.
    def slope(inverse: float) -> float:
        step = max(1, BLOCK // K)
        value = 0.0
        for start in range(0, n, step):
            rows = slice(start, start + step)
            # a shift of a row changes neither its softmax nor the slope, and keeps both finite
            block = scores[rows] - scores[rows].max(axis=1, keepdims=True)
            expected = (softmax(inverse * block, axis=1) * block).sum(axis=1)
            target = sharp * np.take_along_axis(block, y[rows, None], axis=1)[:, 0] + soft * block.sum(axis=1)
            value += float(weight[rows] @ (expected - target))
        return value

    low, high = 1 / HOTTEST, 1 / COLDEST
    if slope(low) >= 0:
        return HOTTEST
    if slope(high) <= 0:
        return COLDEST
    return 1 / float(brentq(slope, low, high, rtol=1e-10))


def probabilities(scores: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """softmax(scores / temperature), rows (n, K) that sum to 1.

    >>> probabilities(np.array([[0.0, np.log(3)]]), 1.0)
    array([[0.25, 0.75]])
    """
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(softmax(shifted / temperature, axis=1), dtype=np.float64)
