"""Accuracy by votes, against the closed form where voters never err, and against the truth where they do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from pellucid.errors import DataError
from pellucid.evaluate.voted import voted_accuracy


@pytest.mark.parametrize(("right", "n"), [(0, 12), (7, 12), (40, 40), (150, 200)])
def test_where_voters_never_err_it_is_the_posterior_of_a_share(right: int, n: int) -> None:
    said = [0] * right + [1] * (n - right)
    found = voted_accuracy([0] * n, range(n), said, [1.0] * n, 3)
    exact = beta(right + 1, n - right + 1)
    assert found.value == pytest.approx(exact.mean(), abs=3e-3)
    assert (found.low, found.high) == pytest.approx(exact.ppf([0.025, 0.975]), abs=4e-3)


def test_nobody_and_coins_say_nothing() -> None:
    nothing = voted_accuracy([], [], [], [], 2)
    assert (nothing.value, nothing.low, nothing.high) == pytest.approx((0.5, 0.025, 0.975), abs=1e-3)
    guess = voted_accuracy([0] * 50, range(50), [1] * 50, [1 / 4] * 50, 4)
    assert guess.value == pytest.approx(0.5, abs=1e-6)


def test_who_always_lies_tells_as_much_as_who_never_does() -> None:
    answers, rows = [0] * 20, range(20)
    honest = voted_accuracy(answers, rows, [0] * 15 + [1] * 5, [0.99] * 20, 2)
    lying = voted_accuracy(answers, rows, [1] * 15 + [0] * 5, [0.01] * 20, 2)
    assert (lying.value, lying.low, lying.high) == pytest.approx((honest.value, honest.low, honest.high))


def test_erring_voters_move_it_less_and_widen_it() -> None:
    said = [0] * 60 + [1] * 40
    sure = voted_accuracy([0] * 100, range(100), said, [0.999] * 100, 3)
    unsure = voted_accuracy([0] * 100, range(100), said, [0.7] * 100, 3)
    assert unsure.high - unsure.low > sure.high - sure.low


def test_the_interval_holds_the_truth_though_voters_err() -> None:
    rng, K, held = np.random.default_rng(7), 5, 0
    for _ in range(60):
        accuracy, n = rng.uniform(0.6, 0.98), 150
        truth = rng.integers(K, size=n)
        answers = np.where(rng.random(n) < accuracy, truth, (truth + rng.integers(1, K, n)) % K)
        row = rng.integers(n, size=220)
        rates = rng.choice([0.95, 0.8, 0.3], size=220)
        labels = np.where(rng.random(220) < rates, truth[row], (truth[row] + rng.integers(1, K, 220)) % K)
        found = voted_accuracy(answers, row, labels, rates, K)
        held += found.low <= accuracy <= found.high
    assert held >= 52  # of 60; 57 are expected, and fewer than 52 come once in a hundred


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2"):
        voted_accuracy([0], [0], [0], [1.0], 1)
    with pytest.raises(DataError, match="rows of the answers"):
        voted_accuracy([0], [1], [0], [1.0], 2)
