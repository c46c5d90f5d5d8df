"""Confidence intervals: Wilson's for a share, the bootstrap, over whole groups where given, for all else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pellucid.evaluate.evaluation import Estimate

Z = 1.959963984540054  # the 97.5 % point of the normal distribution: two-sided 95 %
BLOCK_ENTRIES = 4_000_000  # resampling counts held at once: 32 MB


def wilson(right: float, n: float) -> Estimate:
    """Estimate a share from ``right`` of ``n > 0`` independent trials by the score interval (Wilson, 1927).

    It stays within 0..1 and keeps its width where all or none are right.

    >>> wilson(9, 10)
    Estimate(value=0.9, low=0.595..., high=0.982...)
    """
    share = right / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * float(np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)))
    return Estimate(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def resampled_sums(
    columns: sparse.sparray | NDArray[np.float64],
    *,
    groups: NDArray[np.int64] | None,
    resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    """Draw images, or whole groups, with replacement, and sum the columns over each draw (Efron, 1979).

    Every metric that is a function of sums over images can so be bootstrapped in one matrix product.

    Args:
        columns: (n, m) what each image adds, dense or sparse.
        groups: (n,) codes; images of one group are drawn together. None: every image by itself.
        resamples: how many draws.
        seed: equal seeds, equal draws.

    Returns:
        (resamples, m) sums.

    >>> import numpy as np
    >>> resampled_sums(np.ones((4, 1)), groups=None, resamples=3, seed=0).ravel().tolist()
    [4.0, 4.0, 4.0]
    """
    units = sparse.csr_array(columns)
    if groups is not None:
        code = np.unique(groups, return_inverse=True)[1]
        units = sparse.csr_array((np.ones(len(code)), (code, np.arange(len(code))))) @ units
    n = units.shape[0]
    random = np.random.default_rng(seed)
    step = max(1, BLOCK_ENTRIES // n)
    sums = np.empty((resamples, units.shape[1]))
    for start in range(0, resamples, step):
        draws = min(step, resamples - start)
        drawn = random.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
        times = np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)
        sums[start : start + draws] = times @ units
    return sums


def percentile_interval(value: float, draws: NDArray[np.float64]) -> Estimate:
    """Wrap ``value`` in the middle 95 % of its bootstrap ``draws``.

    >>> import numpy as np
    >>> percentile_interval(5.0, np.arange(0.0, 101.0))
    Estimate(value=5.0, low=2.5, high=97.5)
    """
    low, high = np.percentile(draws, (2.5, 97.5))
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def share_estimate(
    right: NDArray[np.bool_],
    *,
    weight: NDArray[np.float64] | None,
    groups: NDArray[np.int64] | None,
    resamples: int,
    seed: int,
) -> Estimate:
    """Estimate the (weighted) share of images that are right: Wilson's where they are independent and equal.

    Otherwise a percentile bootstrap over the groups; where every image is right, or every one wrong,
    resampling shows no spread, and Wilson's interval for as many trials as there are groups stands in.

    Args:
        right: (n,) whether each image is right.
        weight: (n,) how much each counts, above 0; None: all the same.
        groups: (n,) codes; images of one group are drawn together. None: every image by itself.
        resamples: bootstrap draws.
        seed: equal seeds, equal intervals.

    >>> import numpy as np
    >>> right = np.array([True] * 9 + [False])
    >>> share_estimate(right, weight=None, groups=None, resamples=100, seed=0) == wilson(9, 10)
    True
    """
    if weight is None and groups is None:
        return wilson(int(right.sum()), len(right))
    w = np.ones(len(right)) if weight is None else weight
    if right.all() or not right.any():
        units = len(right) if groups is None else len(np.unique(groups))
        return wilson(units if right.all() else 0, units)
    sums = resampled_sums(np.stack([w, w * right], axis=1), groups=groups, resamples=resamples, seed=seed)
    return percentile_interval(float(w @ right / w.sum()), sums[:, 1] / sums[:, 0])
