from __future__ import annotations

import numpy as np
import pytest

from pellucid.noise.evidence import DOUBT, Evidence, by_trust, margins, worth


def evidence(n: int, K: int, seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(K), n)
    index = rng.choice(K, n, p=np.array([0.9, 0.09, 0.01]))
    return Evidence(p, index, np.ones(n), np.zeros(n, dtype=bool))


def test_margins_by_hand() -> None:
    scores = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.1, 0.1, 0.1]])
    np.testing.assert_allclose(margins(scores, np.array([0, 2, 1])), [0.2, -0.3, 0.0])
    assert scores[0].tolist() == [0.5, 0.3, 0.2]


def test_few_rows_are_all_kept() -> None:
    small = evidence(100, 3)
    assert small.thinned(100) is small


def test_thinned_rows_stand_for_all() -> None:
    full = evidence(20_000, 3)
    thin = full.thinned(1500)
    assert len(thin.index) <= 1500 + 3
    # every class keeps its weight, and a rare one all its rows
    for c in range(3):
        assert thin.weight[thin.index == c].sum() == pytest.approx((full.index == c).sum())
    assert (thin.index == 2).sum() == (full.index == 2).sum()
    assert np.average(thin.margin, weights=thin.weight) == pytest.approx(full.margin.mean(), abs=0.01)


def test_thinning_does_not_depend_on_the_order_of_rows() -> None:
    full = evidence(5_000, 3)
    turned = np.random.default_rng(1).permutation(5_000)
    other = Evidence(full.p[turned], full.index[turned], full.weight, full.trusted)
    np.testing.assert_array_equal(full.thinned(600).p, other.thinned(600).p)


def test_worth_by_hand() -> None:
    one = Evidence(np.array([[0.5, 0.5]]), np.array([0]), np.array([2.0]), np.array([False]))
    joint, q = np.array([[0.25, 0.25]]), np.array([[0.5, 0.5]])
    assert worth(joint, q, one, 3) == pytest.approx(2 * (np.log(0.5) - DOUBT * np.log(2)) - 3)


def test_suspect_is_what_is_rather_wrong_than_right() -> None:
    posterior = np.array([[0.5, 0.5], [0.49, 0.51]])
    assert by_trust(posterior, np.array([0, 0])).tolist() == [False, True]
