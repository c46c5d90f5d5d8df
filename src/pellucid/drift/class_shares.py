"""Have the shares of the predicted classes moved?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.drift.inputs import check_classes
from pellucid.drift.window import ALPHA, MOST, Shift, check_settings, draws_for, most_moved
from pellucid.errors import DataError

NAMED = 3  # classes that a direction names on each side


@dataclass(frozen=True, slots=True)
class ClassShares:
    """Pearson's chi-square test of two windows' classes, with the total variation between them as the effect.

    The p-value comes from tables drawn at random with the same totals, so that it holds for rare and unseen classes
    too, where the limit of the chi-square does not. Total variation is the smallest share of images whose class would
    have to change to make the windows equal; with many classes and few rows it is large by chance alone, so the effect
    is the part of what is beyond chance: (TV - E) / (1 - E), with E its mean over the same tables. 0 is no more than
    chance, 1 no class in common.

    K. Pearson (1900); W. M. Patefield (1981), "An efficient method of generating random R x C tables", Applied
    Statistics 30; the correction for chance as in J. Cohen (1960), "A coefficient of agreement for nominal scales".

    >>> shift = ClassShares().compare(["cat"] * 60 + ["dog"] * 40, ["cat"] * 20 + ["dog"] * 80)
    >>> shift.drifted, shift.direction, round(shift.statistic, 2)
    (True, 'more dog, less cat', 33.33)
    """

    alpha: float = ALPHA  # 0.001..0.5
    threshold: float = 0.1  # 0..1: a tenth of the images in another class
    most: int = MOST  # rows to name
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.alpha, self.threshold, self.most)

    def compare(self, reference: ArrayLike, current: ArrayLike) -> Shift:
        """Compare classes (n,) with classes (m,), whole numbers or strings; either may have ones the other has not.

        Raises:
            DataError: no classes, another shape, missing ones, or numbers in one window and strings in the other.
        """
        before, after = check_classes(reference, "reference"), check_classes(current, "current")
        if (before.dtype.kind == "U") != (after.dtype.kind == "U"):
            raise DataError(f"reference holds {before.dtype} and current {after.dtype}; name classes alike in both")
        classes, index = np.unique(np.concatenate([before, after]), return_inverse=True)
        n, m = len(before), len(after)
        totals = np.bincount(index)
        counts = np.bincount(index[n:], minlength=len(classes))
        rng = np.random.default_rng(self.seed)
        drawn = rng.multivariate_hypergeometric(totals, m, size=draws_for(self.alpha), method="marginals")
        statistic, by_chance = _chi_square(counts, totals, m), _chi_square(drawn, totals, m)
        p_value = (1 + int((by_chance >= statistic * (1 - 1e-9)).sum())) / (1 + len(drawn))
        excess = counts / m - (totals - counts) / n
        variation = float(np.abs(excess).sum() / 2)
        chance = float(np.abs(drawn / m - (totals - drawn) / n).sum(axis=1).mean() / 2)
        effect = max(0.0, (variation - chance) / (1 - chance)) if chance < 1 else 0.0
        grown = [int(place) for place in np.argsort(-excess, kind="stable")[:NAMED] if excess[place] > 0]
        shrunk = [int(place) for place in np.argsort(excess, kind="stable")[:NAMED] if excess[place] < 0]
        words = [
            f"{name} {', '.join(str(classes[place]) for place in places)}"
            for name, places in (("more", grown), ("less", shrunk))
            if places
        ]
        own = excess[index[n:]]
        changes = ", ".join(
            f"{classes[place]} from {(totals - counts)[place] / n:.0%} to {counts[place] / m:.0%}"
            for place in grown + shrunk
        )
        return Shift(
            statistic=float(statistic),
            p_value=p_value,
            effect=effect,
            alpha=self.alpha,
            threshold=self.threshold,
            drifted=p_value < self.alpha and effect >= self.threshold,
            direction=", ".join(words),
            detail=changes or "the classes have equal shares",
            moved=most_moved(np.where(own > 0, own, -np.inf), effect, self.most),
        )


def _chi_square(current: NDArray[Any], totals: NDArray[Any], m: int) -> NDArray[np.float64]:
    """Pearson's statistic of tables whose one row is ``current`` (..., K) and whose column sums are ``totals`` (K,)."""
    share = m / totals.sum()
    # both cells of a column are equally far from what is expected; their two terms add up to this
    statistic: NDArray[np.float64] = ((current - share * totals) ** 2 / totals).sum(axis=-1) / (share * (1 - share))
    return statistic
