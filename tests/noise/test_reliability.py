from __future__ import annotations

import numpy as np
import pytest

from pellucid.errors import DataError
from pellucid.noise.reliability import FLOOR, hear_all, interval_of, reliability, weigh_many, weigh_votes


def test_one_certain_vote_by_hand() -> None:
    """A vote that is surely right adds one to the right ones: (2 + 1) / (2 + 2 + 1); surely wrong: 2 / 5."""
    assert reliability([1.0], 4) == pytest.approx(3 / 5, abs=1e-6)
    assert reliability([0.0], 4) == pytest.approx(2 / 5, abs=1e-6)
    assert reliability([], 4, (18, 2)) == 0.9


def test_chance_says_nothing() -> None:
    """A label that the others give 1 / K neither speaks for nor against its voter."""
    assert reliability([1 / 6] * 100, 6) == pytest.approx(0.5)


def test_contradiction_lowers_and_agreement_raises() -> None:
    rates = [reliability([0.9] * 10 + [0.02] * wrong, 5) for wrong in (0, 2, 5, 20)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.8
    assert rates[-1] < 0.5


@pytest.mark.parametrize("bad", [[1.2], [-0.1], [float("nan")], [[0.5]]])
def test_what_is_no_probability_is_refused(bad: list[float]) -> None:
    with pytest.raises(DataError, match="one probability a vote"):
        reliability(bad, 3)
    with pytest.raises(DataError, match="at least 2"):
        reliability([0.5], 1)


def test_two_votes_by_hand() -> None:
    """others (1/2, 1/2); one says 1 and is right 8 times of 10, the other says 0 and is right 6 of 10."""
    posterior, support = weigh_many([[0.5, 0.5]], [0, 0], [1, 0], [0.8, 0.6])
    assert posterior[0, 1] == pytest.approx(0.8 * 0.4 / (0.8 * 0.4 + 0.2 * 0.6))
    assert support.tolist() == pytest.approx([0.4, 0.2])


def test_many_at_once_are_each_alone_by_bayes_rule() -> None:
    rng = np.random.default_rng(0)
    n, K, v = 20, 4, 70
    others, rows = rng.dirichlet(np.ones(K), n), rng.integers(0, n, v)
    labels, rates = rng.integers(0, K, v), rng.uniform(0.05, 0.95, v)
    posterior, support = weigh_many(others, rows, labels, rates)

    def alone(row: int, without: int = -1) -> np.ndarray:
        share = (1 - FLOOR) * others[row] + FLOOR / K
        for vote in np.flatnonzero(rows == row):
            if vote != without:
                share = share * np.where(np.arange(K) == labels[vote], rates[vote], (1 - rates[vote]) / (K - 1))
        return np.asarray(share / share.sum())

    for row in range(n):
        np.testing.assert_allclose(posterior[row], alone(row), atol=1e-12)
        mine = rows == row
        np.testing.assert_allclose(weigh_votes(others[row], labels[mine], rates[mine]), posterior[row], atol=1e-12)
    expected = [alone(int(rows[vote]), vote)[labels[vote]] for vote in range(v)]
    np.testing.assert_allclose(support, expected, atol=1e-12)


def test_voters_are_told_apart_without_any_truth() -> None:
    """Three voters right in 90, 70 and 10 of 100 cases on 400 images of 4 classes, and a model that knows little."""
    rng = np.random.default_rng(1)
    n, K, rates = 400, 4, np.array([0.9, 0.7, 0.1])
    truth = rng.integers(0, K, n)
    others = np.full((n, K), 0.15)
    guess = np.where(rng.random(n) < 0.55, truth, (truth + rng.integers(1, K, n)) % K)
    others[np.arange(n), guess] = 0.55  # as often right as it says
    right = rng.random((3, n)) < rates[:, None]
    said = np.where(right, truth, (truth + rng.integers(1, K, (3, n))) % K)
    rows, who = np.tile(np.arange(n), 3), np.repeat(np.arange(3), n)
    jury = hear_all(others, rows, said.ravel(), who, [[2, 2]] * 3)
    np.testing.assert_allclose(jury.rates, rates, atol=0.06)
    assert (jury.posterior.argmax(axis=1) == truth).mean() > 0.9
    for voter in range(3):  # at rest: the same as from the support of each one's votes alone
        mine = who == voter
        assert jury.rates[voter] == pytest.approx(reliability(jury.support[mine], K), abs=1e-3)


def test_what_is_settled_decides_and_what_does_not_count_leaves_no_record() -> None:
    even = np.full((2, 2), 0.5)
    jury = hear_all(even, [0, 1], [1, 1], [0, 0], [[2, 2]], settled=[0, -1])
    assert jury.posterior[0].tolist() == [1, 0]
    assert jury.support[0] == 0
    assert jury.rates[0] < 0.5
    ignored = hear_all(even, [0, 1], [1, 1], [0, 0], [[2, 2]], settled=[0, -1], counts=[False, False])
    assert ignored.rates.tolist() == [0.5]


def test_nothing_said_is_nothing_learnt() -> None:
    jury = hear_all(np.empty((0, 3)), [], [], [], np.empty((0, 2)))
    assert (len(jury.posterior), len(jury.support), len(jury.rates)) == (0, 0, 0)


def test_an_interval_of_the_posterior_by_hand() -> None:
    """Beta(1, 1) is uniform: its middle 95 % reaches from 0.025 to 0.975."""
    assert interval_of(0.5, 0, (1, 1)) == pytest.approx((0.025, 0.975))
    wide, narrow = interval_of(0.8, 6), interval_of(0.8, 396)
    assert wide[0] < narrow[0] < 0.8 < narrow[1] < wide[1]


def test_no_rate_falls_below_its_least() -> None:
    even, rows, said = np.full((30, 3), 1 / 3), np.arange(90) % 30, np.repeat([0, 0, 1], 30)
    priors, truth = [[2, 2], [2, 2], [18, 2]], np.zeros(30, np.intp)
    free = hear_all(even, rows, said, np.repeat([0, 1, 2], 30), priors, settled=truth).rates
    held = hear_all(even, rows, said, np.repeat([0, 1, 2], 30), priors, settled=truth, least=[0, 0, 0.9]).rates
    assert free[2] == pytest.approx(18 / 50)
    assert held.tolist() == [*free[:2].tolist(), 0.9]


def test_columns_that_nobody_was_trained_on_make_no_vote_weigh_more() -> None:
    plain, _ = weigh_many([[0.9, 0.1]], [0], [1], [0.5])
    wide = np.zeros((1, 50))
    wide[0, :2] = 0.9, 0.1
    spread, _ = weigh_many(wide, [0], [1], [0.5])
    same, _ = weigh_many(wide, [0], [1], [0.5], n_classes=2)
    assert spread[0, 1] > 0.8
    assert same[0, 1] == pytest.approx(plain[0, 1], abs=0.02)
    jury = hear_all(wide, [0], [1], [0], [[2, 2]], n_classes=2)
    assert jury.posterior[0, 1] < 0.2
