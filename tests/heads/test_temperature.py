from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from pellucid.heads.temperature import COLDEST, HOTTEST, fit_noisy_temperature, fit_temperature, probabilities


@given(seed=st.integers(0, 999), K=st.integers(2, 6))
@settings(max_examples=40)
def test_is_the_minimum_of_the_softened_likelihood(seed: int, K: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, 50)
    scores = np.eye(K)[y] + rng.normal(scale=0.6, size=(50, K))
    w = rng.uniform(0, 1, 50)
    target = (w.sum() * np.eye(K)[y] + 1) / (w.sum() + K)

    def loss(log_t: float) -> float:
        return -float(w @ (target * np.log(probabilities(scores, np.exp(log_t)))).sum(axis=1))

    best = np.exp(minimize_scalar(loss, bounds=(-3, 6), method="bounded", options={"xatol": 1e-9}).x)
    assert fit_temperature(scores, y, w) == pytest.approx(best, rel=1e-3)


def test_recovers_the_temperature_that_drew_the_labels() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 4))
    y = (probabilities(scores, 0.3).cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert fit_temperature(scores, y) == pytest.approx(0.3, rel=0.03)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores, y = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    whole = fit_temperature(scores, y)
    monkeypatch.setattr("pellucid.heads.temperature.BLOCK", 10)
    assert fit_temperature(scores, y) == pytest.approx(whole)


def test_extremes_stay_finite() -> None:
    y = np.array([0, 1] * 20)
    right = np.eye(2)[y]
    assert COLDEST < fit_temperature(right, y) < 0.3  # separable: sure, but not beyond what 40 rows can support
    assert fit_temperature(1e-9 * right, y) == COLDEST
    assert fit_temperature(1e9 * right, y) == HOTTEST
    assert fit_temperature(1 - right, y) == HOTTEST  # worse than chance: no confidence at all
    assert fit_temperature(np.zeros((40, 2)), y) == HOTTEST


def test_rows_sum_to_one_at_any_scale() -> None:
    scores = np.array([[1e300, -1e300, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(probabilities(scores, COLDEST), np.array([[1.0, 0.0, 0.0], [1 / 3] * 3]))


def noisy(rate: float, n: int = 4000, K: int = 4) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Scores, true labels drawn from softmax(scores / 0.2), and labels of which a share is wrong."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(n, K))
    truth = (scores + 0.2 * rng.gumbel(size=(n, K))).argmax(axis=1)
    return scores, truth, np.where(rng.random(n) < rate, (truth + rng.integers(1, K, n)) % K, truth)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_the_noise_and_the_temperature_of_the_truth_are_found(rate: float) -> None:
    scores, _, y = noisy(rate)
    T, e = fit_noisy_temperature(scores, y)
    assert pytest.approx(0.2, rel=0.25) == T  # one standard error at 60 % is a tenth
    assert e == pytest.approx(rate, abs=0.03)


def test_is_the_maximum_of_the_likelihood() -> None:
    scores, _, y = noisy(0.3)
    w = np.random.default_rng(1).uniform(0, 1, 4000)
    T, e = fit_noisy_temperature(scores, y, w)

    def loss(log_t: float, e: float) -> float:
        p = probabilities(scores, np.exp(log_t))
        p = (1 - e) * p + e * (1 - p) / 3
        return -float(w @ np.log(p[np.arange(4000), y]))

    best = minimize(lambda at: loss(*at), [np.log(0.3), 0.2], method="Nelder-Mead").x
    assert pytest.approx(np.exp(best[0]), rel=0.05) == T  # the temperature's labels are softened a little
    assert e == pytest.approx(best[1], abs=0.005)


def test_where_labels_are_right_nothing_changes() -> None:
    scores, truth, _ = noisy(0.0)
    assert fit_noisy_temperature(scores, truth) == (fit_temperature(scores, truth), 0.0)
    two = np.array([[1.0, 0.0], [0.9, 0.1], [0.2, 0.8]])
    assert fit_noisy_temperature(two, np.array([0, 1, 1])) == (fit_temperature(two, np.array([0, 1, 1])), 0.0)


def test_labels_that_say_nothing_and_a_single_class() -> None:
    scores, _, _ = noisy(0.0)
    T, e = fit_noisy_temperature(scores, np.random.default_rng(5).integers(0, 4, len(scores)))
    assert 0 <= e <= 0.9 * 3 / 4
    assert COLDEST <= T <= HOTTEST
    assert fit_noisy_temperature(np.ones((5, 1)), np.zeros(5, int))[1] == 0.0
