from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pellucid.evaluate.calibration import (
    binned_error,
    calibration_estimate,
    equal_mass_codes,
    reliability_bins,
)
from pellucid.evaluate.evaluation import Estimate
from pellucid.evaluate.intervals import wilson

PLAIN: dict[str, Any] = {"weight": None, "groups": None, "resamples": 300, "seed": 0}


def simulate(n: int, shift: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.5, 1.0, n)
    return confidence, random.random(n) < confidence - shift


def sums_in_bins(confidence: NDArray[np.float64], right: NDArray[np.bool_], code: NDArray[np.int64]) -> list[Any]:
    gap = right - confidence
    return [np.bincount(code, part) for part in (np.ones(len(gap)), gap, gap**2)]


def test_plain_error_by_hand() -> None:
    # bin 1: 4 images promised 0.75, 2 right; bin 2: 6 images promised 0.5, 3 right
    mass, gap = np.array([4.0, 6.0]), np.array([2 - 3.0, 3 - 3.0])
    assert binned_error(mass, gap, gap, debias=False) == pytest.approx(0.4 * 0.25)


def test_the_bias_taken_off_is_that_of_the_folded_normal_by_simulation() -> None:
    mass, gap, square = np.array([50.0]), np.array([2.0]), np.array([10.0])
    mean = 2.0 / 50
    spread = np.sqrt((10 / 50 - mean**2) / 49)
    drawn = np.abs(np.random.default_rng(0).normal(mean, spread, 400_000)).mean()
    assert binned_error(mass, gap, square) == pytest.approx(max(0, 2 * mean - drawn), abs=3e-4)


def test_debiasing_comes_closer_to_the_true_error() -> None:
    plain, less = [], []
    for seed in range(40):
        confidence, right = simulate(400, 0.0, seed)
        sums = sums_in_bins(confidence, right, equal_mass_codes(confidence))
        plain.append(binned_error(*sums, debias=False))
        less.append(binned_error(*sums))
    assert np.mean(less) < 0.7 * np.mean(plain)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_the_interval_covers_the_true_error(shift: float) -> None:
    hits = 0
    for seed in range(40):
        estimate = calibration_estimate(*simulate(300, shift, seed), **PLAIN)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        hits += estimate.low <= shift <= estimate.high
    assert hits >= 33  # of 40


def test_equal_confidences_share_a_bin_and_the_bins_are_equally_full() -> None:
    assert set(equal_mass_codes(np.full(7, 0.3))) == {0}
    codes = equal_mass_codes(np.linspace(0.2, 0.9, 100))
    assert np.bincount(codes).tolist() == [10] * 10


@pytest.mark.parametrize("groups", [None, np.array([4])])
def test_one_unit_says_nothing(groups: NDArray[np.int64] | None) -> None:
    settings = {**PLAIN, "groups": None if groups is None else np.zeros(1, dtype=np.int64)}
    estimate = calibration_estimate(np.array([0.9]), np.array([True]), **settings)
    assert (estimate.low, estimate.high) == (0, 1)


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_is_no_certainty(right: bool) -> None:
    estimate = calibration_estimate(np.full(20, float(right)), np.full(20, right), **PLAIN)
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high == pytest.approx(wilson(0, 20).high)
    opposite = calibration_estimate(np.full(20, 1.0), np.full(20, False), **PLAIN)
    assert opposite.value == opposite.high == pytest.approx(1.0)
    assert opposite.low == pytest.approx(wilson(20, 20).low)


def test_weights_equal_repetition() -> None:
    confidence, right = np.array([0.6, 0.9, 0.7, 0.8]), np.array([False, True, True, False])
    weight = np.array([1.0, 2.0, 1.0, 3.0])
    repeated = np.repeat(np.arange(4), weight.astype(int))
    weighted = calibration_estimate(confidence, right, **{**PLAIN, "weight": weight})
    code = equal_mass_codes(confidence)
    expected = binned_error(*sums_in_bins(confidence[repeated], right[repeated], code[repeated]))
    assert weighted.value == pytest.approx(expected)


def test_reliability_bins_are_closed_above_and_skip_the_empty() -> None:
    right = np.array([True, False, True, True])

    def share(rows: NDArray[np.bool_]) -> Estimate:
        return wilson(int(right[rows].sum()), int(rows.sum()))

    low, high = reliability_bins(np.array([0.5, 0.5, 1.0, 0.95]), share)
    assert (low.low, low.high, low.confidence, low.accuracy.value, low.count) == (0.4, 0.5, 0.5, 0.5, 2)
    assert (high.low, high.high, high.count) == (0.9, 1.0, 2)
    assert high.confidence == pytest.approx(0.975)
