"""Have one-dimensional values moved, such as confidences or the trust in labels?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import ks_2samp

from pellucid.drift.inputs import check_values
from pellucid.drift.window import ALPHA, MOST, Shift, check_settings, most_moved

EXACT_PAIRS = 1_000_000  # n * m up to which the p-value is counted out; beyond, its limit is right to many digits


@dataclass(frozen=True, slots=True)
class KolmogorovSmirnov:
    """The two-sample test of Kolmogorov and Smirnov, with its distance as the effect.

    The distance D is the largest difference between the shares of the two windows up to some value: 0 for equal
    windows, 1 for windows that a line parts, the same under any monotone scale (logits or probabilities), and of no
    unit. It says how large a share of the images has certainly crossed that value, which is why D * n rows of the
    current window count as moved: the most extreme on their side of it. Values that repeat make the p-value larger
    than it need be, never smaller.

    F. J. Massey (1951), "The Kolmogorov-Smirnov test for goodness of fit", JASA 46.

    >>> shift = KolmogorovSmirnov().compare([0.9] * 30, [0.9] * 15 + [0.2] * 15)
    >>> shift.effect, shift.direction, shift.drifted, shift.moved[:3]
    (0.5, 'lower', True, (15, 16, 17))
    """

    alpha: float = ALPHA  # 0.001..0.5
    threshold: float = 0.1  # 0..1: a tenth of the images on the other side of some value
    most: int = MOST  # rows to name

    def __post_init__(self) -> None:
        check_settings(self.alpha, self.threshold, self.most)

    def compare(self, reference: ArrayLike, current: ArrayLike) -> Shift:
        """Compare values (n,) with values (m,).

        Raises:
            DataError: no values, another shape, or missing or infinite ones.
        """
        before, after = check_values(reference, "reference"), check_values(current, "current")
        exact = len(before) * len(after) <= EXACT_PAIRS
        result = ks_2samp(before, after, method="exact" if exact else "asymp")
        effect, p_value = float(result.statistic), min(1.0, float(result.pvalue))
        split = float(result.statistic_location)
        higher = result.statistic_sign > 0  # more of the reference than of the current lies up to there
        score = np.where(after > split, after, -np.inf) if higher else np.where(after <= split, -after, -np.inf)
        shares = [float((values > split).mean() if higher else (values <= split).mean()) for values in (after, before)]
        side = "above" if higher else "up to"
        return Shift(
            statistic=effect,
            p_value=p_value,
            effect=effect,
            alpha=self.alpha,
            threshold=self.threshold,
            drifted=p_value < self.alpha and effect >= self.threshold,
            direction="" if effect == 0 else "higher" if higher else "lower",
            detail=f"{shares[0]:.0%} of the current values are {side} {split:.3g}, {shares[1]:.0%} of the reference"
            if effect > 0
            else "the values are distributed alike",
            moved=most_moved(score, effect, self.most),
        )
