"""Sets of classes that hold the true one with a wished probability, from held-out probabilities.

A class is in the set where its probability is at least 1 - t, with t the level's quantile of 1 - p(label) over
the calibration rows; the most probable class is always in it. With trusted labels and probabilities that have seen
none of the calibration rows the coverage is at least the level, whatever the distribution, for rows drawn from the
same; with leave-one-out or leave-group-out probabilities (cross-conformal) it is close to it.

References: Sadinle, M., Lei, J. and Wasserman, L. (2019), "Least ambiguous set-valued classifiers with bounded
error levels", JASA 114; Vovk, V. (2015), "Cross-conformal predictors", Annals of Mathematics and Artificial
Intelligence 74; for labels with noise Sesia, M., Wang, Y. X. R. and Tong, X. (2025), "Adaptive conformal
classification with noisy labels", JRSS B 87.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError

LEVELS = 1000  # a quantile is kept for each level 1 / LEVELS, 2 / LEVELS, ..., 1
REPORTED = (0.8, 0.9, 0.95, 0.99)  # levels that coverage is reported at
CANDIDATES = 4000  # thresholds tried where labels may be wrong, at most
BLOCK = 2**22  # probabilities at a time, 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class ConformalSets:
    """The quantiles, and how far they are to be believed."""

    thresholds: NDArray[np.float64]  # (LEVELS,) t of level (k + 1) / LEVELS in [0, 1], rising; 1 is every class
    approximate: bool  # labels were not trusted, so that no coverage is guaranteed
    noise_rate: float  # of the labels, 0..1, that the quantiles were corrected for
    coverage: Mapping[float, float]  # share of the calibration labels, as given, that the sets hold, by level
    sizes: Mapping[float, float]  # mean number of classes in a set of the calibration rows, by level

    def members(self, probabilities: NDArray[np.float64], alpha: float) -> NDArray[np.bool_]:
        """Whether each class is in each row's set, (n, K), for coverage 1 - alpha; never an empty set.

        Levels are rounded up to whole thousandths. Raises UsageError unless alpha is between 0 and 1.
        """
        if isinstance(alpha, bool) or not 0 < alpha < 1:
            raise UsageError(f"alpha {alpha!r} is to be between 0 and 1; 0.1 gives sets that hold 90 % of the classes")
        return _members(probabilities, self.thresholds[_index(1 - alpha)])


def calibrate_sets(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    weight: NDArray[np.float64],
    *,
    trusted: bool,
    noise_rate: float = 0.0,
) -> ConformalSets:
    """Quantiles of held-out ``probabilities`` (n, K) under the labels ``y`` (n,), class indices.

    ``weight`` (n,) is above 0; what is new counts as a row of weight 1. ``noise_rate`` is the share of labels
    that are wrong, evenly drawn from the other classes: the distribution of 1 - p(label) is then a mixture of
    that of true labels and that of other classes, and with the sum over all classes known it is solved for
    the first; it must be below (K - 1) / K, where labels say nothing. ``trusted`` says that labels are right.

    >>> even = np.linspace(0.5, 0.99, 50)
    >>> sets = calibrate_sets(np.column_stack([even, 1 - even]), np.zeros(50, int), np.ones(50), trusted=True)
    >>> sets.members(np.array([[0.56, 0.44], [0.99, 0.01], [0.5, 0.5]]), alpha=0.02)
    array([[ True, False],
           [ True, False],
           [ True,  True]])
    """
    K = probabilities.shape[1]
    distance = 1 - probabilities[np.arange(len(y)), y]
    order = np.argsort(distance, kind="stable")
    candidates, last = np.unique(distance[order][::-1], return_index=True)
    last = len(order) - 1 - last  # the last row of each value
    reached = np.cumsum(weight[order])[last]  # weight of labels at or below each candidate
    total = float(weight.sum())
    if not 0 <= noise_rate <= 1 or (noise_rate and noise_rate * K >= K - 1):
        raise UsageError(f"noise_rate {noise_rate!r} is to be from 0 to below {K - 1}/{K}, where labels say nothing")
    if noise_rate > 0:
        if len(candidates) > CANDIDATES:
            chosen = np.unique(np.linspace(0, len(candidates) - 1, CANDIDATES).round().astype(int))
            candidates, reached = candidates[chosen], reached[chosen]
        other = noise_rate / (K - 1)
        reached = (reached - other * _all_classes(probabilities, weight, candidates)) / (1 - noise_rate - other)
        reached = np.maximum.accumulate(np.clip(reached, 0, total))
    levels = np.arange(1, LEVELS + 1) / LEVELS
    place = np.searchsorted(reached, levels * (total + 1) * (1 - 1e-12))
    thresholds = np.append(candidates, 1.0)[place]
    thresholds[-1] = 1.0
    coverage, sizes = {}, {}
    for level in REPORTED:
        held = _members(probabilities, thresholds[_index(level)])
        coverage[level] = float(weight @ held[np.arange(len(y)), y] / total)
        sizes[level] = float(weight @ held.sum(axis=1) / total)
    return ConformalSets(thresholds, not trusted, noise_rate, coverage, sizes)


def _all_classes(
    probabilities: NDArray[np.float64], weight: NDArray[np.float64], candidates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of weights over all rows and classes of 1 - p at or below each candidate."""
    n, K = probabilities.shape
    counts = np.zeros(len(candidates) + 1)
    step = max(1, BLOCK // K)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        place = np.searchsorted(candidates, (1 - probabilities[rows]).ravel())
        counts += np.bincount(place, np.repeat(weight[rows], K), minlength=len(counts))
    return counts.cumsum()[:-1]


def _members(probabilities: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    held: NDArray[np.bool_] = 1 - probabilities <= threshold
    held[np.arange(len(held)), probabilities.argmax(axis=1)] = True
    return held


def _index(level: float) -> int:
    return int(np.ceil(level * LEVELS - 1e-6)) - 1
