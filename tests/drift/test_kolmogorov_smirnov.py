from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import ks_2samp

from pellucid.drift.kolmogorov_smirnov import KolmogorovSmirnov


def test_by_hand() -> None:
    """Up to 2 lie half of the reference and all of the current values; of all 70 orders 2 part the windows."""
    shift = KolmogorovSmirnov().compare([1, 2, 3, 4], [0.0, 0.5, 1.5, 2.0])
    assert shift.effect == 0.5
    shift = KolmogorovSmirnov().compare([1, 2, 3, 4], [5, 6, 7, 8])
    assert (shift.effect, shift.direction, shift.moved) == (1.0, "higher", (3, 2, 1, 0))
    assert shift.p_value == pytest.approx(2 / 70)
    assert not shift.drifted


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 9), (60, 300), (2000, 3000)])
def test_as_scipy(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.beta(5, 1, n), rng.beta(4, 1, m)
    shift, expected = KolmogorovSmirnov().compare(a, b), ks_2samp(a, b)
    assert shift.statistic == shift.effect == pytest.approx(expected.statistic)
    assert shift.p_value == pytest.approx(expected.pvalue, rel=0.1, abs=1e-12)


def test_direction_detail_and_rows() -> None:
    reference = [0.9] * 40
    shift = KolmogorovSmirnov().compare(reference, [0.9, 0.2, 0.9, 0.1, 0.9, 0.3, 0.9, 0.9, 0.9, 0.9] * 10)
    assert shift.direction == "lower"
    assert shift.detail == "30% of the current values are up to 0.3, 0% of the reference"
    assert shift.moved == tuple(range(3, 100, 10)) + tuple(range(1, 100, 10))  # 0.1 before 0.2
    assert KolmogorovSmirnov(most=3).compare(reference, [0.95] * 40).moved == (0, 1, 2)


def test_any_monotone_scale_gives_the_same() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.beta(5, 1, 200), rng.beta(3, 1, 100)
    assert KolmogorovSmirnov().compare(a, b).effect == KolmogorovSmirnov().compare(logit(a), logit(b)).effect


def test_trust_that_is_mostly_full_does_not_alarm_too_often() -> None:
    rng = np.random.default_rng(0)
    test = KolmogorovSmirnov(alpha=0.1, threshold=0.0)
    draws = [np.where(rng.random((2, 100)) < 0.8, 1.0, rng.random((2, 100))) for _ in range(200)]
    assert sum(test.compare(a, b).drifted for a, b in draws) <= 30
