from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pellucid.evaluate.intervals import percentile_interval, resampled_sums, share_estimate, wilson


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy_and_holds_its_value(trial: tuple[int, int]) -> None:
    right, n = trial
    estimate = wilson(right, n)
    reference = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert estimate.low == pytest.approx(reference.low, abs=1e-12)
    assert estimate.high == pytest.approx(reference.high, abs=1e-12)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_resampled_sums_have_the_moments_of_the_bootstrap() -> None:
    x = np.array([1.0, 2.0, 3.0, 6.0])
    sums = resampled_sums(x[:, None], groups=None, resamples=20_000, seed=1)[:, 0]
    assert sums.mean() == pytest.approx(x.sum(), abs=0.1)
    assert sums.var() == pytest.approx(len(x) * x.var(), rel=0.05)


def test_groups_are_drawn_whole_and_their_codes_may_have_gaps() -> None:
    columns = np.array([[1.0], [1.0], [10.0]])
    sums = resampled_sums(columns, groups=np.array([7, 7, 3]), resamples=500, seed=0)[:, 0]
    assert set(sums) == {4.0, 12.0, 20.0}


def test_equal_seeds_draw_equally_and_blocks_cover_every_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.ones((10, 1))
    first, second = (resampled_sums(columns, groups=None, resamples=7, seed=3) for _ in range(2))
    assert (first == second).all()
    monkeypatch.setattr("pellucid.evaluate.intervals.BLOCK_ENTRIES", 20)
    assert (resampled_sums(columns, groups=None, resamples=7, seed=3) == 10).all()


def test_an_interval_holds_its_value_even_where_the_draws_do_not() -> None:
    estimate = percentile_interval(9.0, np.linspace(0, 1, 101))
    assert estimate.low == pytest.approx(0.025)
    assert estimate.high == 9.0


@pytest.mark.parametrize("right", [True, False])
def test_no_spread_falls_back_to_as_many_trials_as_groups(right: bool) -> None:
    answers = np.full(40, right)
    groups = np.repeat(np.arange(4), 10)
    estimate = share_estimate(answers, weight=None, groups=groups, resamples=50, seed=0)
    assert estimate == wilson(4 * right, 4)


def test_dependent_images_widen_the_interval() -> None:
    answers = np.tile(np.repeat([True, True, False], 20), 10)
    groups = np.repeat(np.arange(30), 20)
    alone = share_estimate(answers, weight=None, groups=None, resamples=1000, seed=0)
    grouped = share_estimate(answers, weight=None, groups=groups, resamples=1000, seed=0)
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


def test_weights_count() -> None:
    estimate = share_estimate(np.array([True, False]), weight=np.array([3.0, 1.0]), groups=None, resamples=200, seed=0)
    assert estimate.value == 0.75
    assert (estimate.low, estimate.high) == (0, 1)
