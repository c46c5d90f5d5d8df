"""A paired test of two models on the same test images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from pellucid.errors import DataError
from pellucid.evaluate.evaluation import Estimate
from pellucid.evaluate.inputs import check_groups, check_outcomes
from pellucid.evaluate.intervals import percentile_interval, resampled_sums, wilson
from pellucid.evaluate.metrics import log_losses

SIGNIFICANT = 0.05  # p-values below this are called a difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """Model a against model b, image by image."""

    n: int  # test images
    n_groups: int | None  # groups that the intervals resample; None where every image is its own
    difference: Estimate  # accuracy of a less that of b, -1..1; above 0: a is better
    only_a: int  # images that only a gets right
    only_b: int  # images that only b gets right
    p_value: float  # exact McNemar test, two-sided: small where chance alone would hardly split them so
    log_loss_difference: Estimate  # log loss of a less that of b, nats; below 0: a is better
    verdict: str  # the same in words

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, strings and finite numbers, ready for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """Rebuild what :meth:`to_dict` gave.

        Raises:
            DataError: a key is missing, unknown, or of another kind than a comparison's.
        """
        try:
            estimates = {key: Estimate(**data[key]) for key in ("difference", "log_loss_difference")}
            return cls(**{**data, **estimates})
        except (KeyError, TypeError) as error:
            raise DataError(
                f"this is not a comparison as Comparison.to_dict() writes it ({error!r}); compare again"
            ) from error


def compare(
    y: ArrayLike,
    proba_a: ArrayLike,
    proba_b: ArrayLike,
    *,
    names: tuple[str, str] = ("A", "B"),
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the same test images.

    The verdict follows the exact test of McNemar (1947), a binomial test on the images that only one of the
    two gets right. That test takes images for independent; where groups are given, the verdict follows the
    paired bootstrap interval over groups instead.

    Args:
        y: (n,) true class indices.
        proba_a: (n, K) probabilities of model a, rows summing to 1.
        proba_b: (n, K) probabilities of model b, rows summing to 1.
        names: what the verdict calls the two.
        groups: (n,) images of one group are drawn together.
        resamples: bootstrap draws.
        seed: equal seeds, equal intervals.

    Raises:
        DataError: what :func:`~pellucid.evaluate.inputs.check_outcomes` refuses, or two different shapes.

    >>> good, bad = [[0.9, 0.1]] * 8, [[0.2, 0.8]] * 8
    >>> result = compare([0] * 8, good, bad, names=("ridge", "logistic"))
    >>> result.only_a, result.only_b, result.p_value
    (8, 0, 0.0078125)
    >>> result.verdict
    'ridge is better than logistic: 100.0 points of accuracy more, ...'
    """
    truth, a = check_outcomes(y, proba_a)
    _, b = check_outcomes(y, proba_b)
    if a.shape != b.shape:
        raise DataError(f"the probabilities have shapes {a.shape} and {b.shape}; wanted one shape, same classes")
    codes = check_groups(groups, len(truth))
    right_a, right_b = a.argmax(axis=1) == truth, b.argmax(axis=1) == truth
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    gains = np.stack([right_a.astype(float) - right_b, log_losses(truth, a) - log_losses(truth, b)], axis=1)
    sizes = np.ones((len(truth), 1))
    sums = resampled_sums(np.hstack([gains, sizes]), groups=codes, resamples=resamples, seed=seed)
    draws = sums[:, :2] / sums[:, 2:]
    mean = gains.mean(axis=0)
    difference = percentile_interval(float(mean[0]), draws[:, 0])
    n_groups = None if codes is None else int(codes.max()) + 1
    if np.ptp(draws[:, 0]) == 0:
        # resampling shows no spread; an event never seen in n trials may still have Wilson's upper bound
        slack = wilson(0, n_groups or len(truth)).high
        difference = Estimate(float(mean[0]), max(-1.0, float(mean[0]) - slack), min(1.0, float(mean[0]) + slack))
    p_value = mcnemar(only_a, only_b)
    return Comparison(
        n=len(truth),
        n_groups=n_groups,
        difference=difference,
        only_a=only_a,
        only_b=only_b,
        p_value=p_value,
        log_loss_difference=percentile_interval(float(mean[1]), draws[:, 1]),
        verdict=_verdict(names, difference, p_value, grouped=codes is not None),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided p-value, 0..1, of the exact test of McNemar (1947): small where chance would hardly split them so.

    Args:
        only_a, only_b: images that only one of the two gets right, 0 or more.

    >>> mcnemar(8, 0), mcnemar(3, 3), mcnemar(0, 0)
    (0.0078125, 1.0, 1.0)
    """
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def _verdict(names: tuple[str, str], difference: Estimate, p_value: float, *, grouped: bool) -> str:
    differs = difference.low > 0 or difference.high < 0 if grouped else p_value < SIGNIFICANT
    a, b = names
    low, value, high = (100 * part for part in (difference.low, difference.value, difference.high))
    if difference.value < 0:
        a, b, low, value, high = b, a, -high, -value, -low
    chance = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"
    between = f"95 % interval {low:+.1f} to {high:+.1f}, {chance}"
    if differs:
        return f"{a} is better than {b}: {value:.1f} points of accuracy more, {between}."
    if value == 0:
        return f"{a} and {b} are equally accurate on these images, {between}."
    return f"No difference shown: {a} leads {b} by {value:.1f} points, which may be chance, {between}."
