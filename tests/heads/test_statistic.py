from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from pellucid.heads.statistic import (
    accumulate,
    decompose,
    design,
    leave_group_out_errors,
    leave_group_out_scores,
    leave_one_out,
    leave_one_out_errors,
    one_hot,
    predict_scores,
    spectrum_of,
)


def problem(seed: int, n: int, d: int, K: int = 3) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.integers(0, K, n), rng.uniform(0.1, 2.5, n)


def solved(
    X: NDArray[np.float64], targets: NDArray[np.float64], w: NDArray[np.float64], l2: float
) -> NDArray[np.float64]:
    """The normal equations as they stand."""
    x = design(X)
    A = x.T @ (w[:, None] * x) + l2 * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(A, x.T @ (w[:, None] * targets)))


def test_two_points_by_hand() -> None:
    """Rows (1, 1) and (-1, 1): A = 2 I, B = [[1, -1], [1, 1]], so at lambda 2 W = B / 4 and h = 2 / 4."""
    X, y, w = np.array([[3.0], [-5.0]]), np.array([0, 1]), np.ones(2)
    A, B = accumulate(X, y, w, 2)
    np.testing.assert_allclose(A, 2 * np.eye(2))
    np.testing.assert_allclose(B, [[1, -1], [1, 1]])
    spectrum = decompose(X, y, w, 2)
    W = spectrum.weights(2.0)
    np.testing.assert_allclose(W, [[0.25, -0.25], [0.25, 0.25]])
    errors, h = leave_one_out_errors(X, y, w, spectrum, np.array([2.0]))
    np.testing.assert_allclose(h, [[0.5], [0.5]])
    # without the other row, a single row (1, 1) predicts 2 / (2 + 2) at itself and 0 at its opposite
    np.testing.assert_allclose(leave_one_out(predict_scores(X, W), y, h[:, 0]), [[0, 0], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(errors, [1.0])


@pytest.mark.parametrize(("n", "d"), [(40, 6), (6, 40), (7, 6), (6, 6)])
def test_weights_are_those_of_scikit_learn(n: int, d: int) -> None:
    X, y, w = problem(0, n, d)
    for l2 in (1e-3, 0.1, 10.0):
        peer = Ridge(alpha=l2, fit_intercept=False).fit(design(X), one_hot(y, 3), sample_weight=w)
        np.testing.assert_allclose(decompose(X, y, w, 3).weights(l2), peer.coef_.T, rtol=1e-6, atol=1e-8)


@given(seed=st.integers(0, 999), n=st.integers(3, 25), d=st.integers(1, 12), exponent=st.floats(-3, 3))
@settings(max_examples=60)
def test_leave_one_out_is_what_refits_say(seed: int, n: int, d: int, exponent: float) -> None:
    X, y, w = problem(seed, n, d)
    w[0] = 0
    s, l2 = np.random.default_rng(seed + 1).choice([0.0, 0.3, 1.0], n), 10.0**exponent
    spectrum, targets = decompose(X, y, w, 3, s), one_hot(y, 3, s)
    errors, h = leave_one_out_errors(X, y, w, spectrum, np.array([l2]), s)
    scores = leave_one_out(predict_scores(X, spectrum.weights(l2)), y, h[:, 0], s)
    others = ~np.eye(n, dtype=bool)
    expected = np.array([design(X[i : i + 1])[0] @ solved(X[o], targets[o], w[o], l2) for i, o in enumerate(others)])
    np.testing.assert_allclose(scores, expected, atol=1e-8)
    np.testing.assert_allclose(errors, [np.average(((targets - expected) ** 2).sum(axis=1), weights=w)])
    assert ((h >= 0) & (h < 1)).all()


@given(
    seed=st.integers(0, 999),
    n=st.integers(4, 30),
    d=st.integers(1, 12),
    n_groups=st.integers(2, 12),
    exponent=st.floats(-3, 3),
)
@settings(max_examples=60)
def test_leave_group_out_is_what_refits_say(seed: int, n: int, d: int, n_groups: int, exponent: float) -> None:
    X, y, w = problem(seed, n, d)
    w[0] = 0
    groups = np.random.default_rng(seed).integers(0, n_groups, n)
    lambdas = np.array([10.0**exponent, 1.0])
    s = np.random.default_rng(seed + 1).choice([0.0, 0.3, 1.0], n)
    spectrum, targets = decompose(X, y, w, 3, s), one_hot(y, 3, s)
    expected = np.empty((2, n, 3))
    for index, l2 in enumerate(lambdas):
        for group in np.unique(groups):
            out = groups == group
            expected[index, out] = design(X[out]) @ solved(X[~out], targets[~out], w[~out], l2)
        scores = leave_group_out_scores(X, y, w, groups, spectrum, l2, s)
        np.testing.assert_allclose(scores, expected[index], atol=1e-8)
    errors = [np.average(((targets - scores) ** 2).sum(axis=1), weights=w) for scores in expected]
    found = leave_group_out_errors(X, y, w, groups, spectrum, lambdas, s)
    np.testing.assert_allclose(found, errors, rtol=1e-7, atol=1e-12)


def test_groups_of_one_are_leave_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.heads.statistic.BLOCK", 7)
    X, y, w = problem(5, 30, 6)
    spectrum = decompose(X, y, w, 3)
    _, h = leave_one_out_errors(X, y, w, spectrum, np.array([0.1]))
    alone = leave_one_out(predict_scores(X, spectrum.weights(0.1)), y, h[:, 0])
    np.testing.assert_allclose(leave_group_out_scores(X, y, w, np.arange(30), spectrum, 0.1), alone, atol=1e-12)


def test_copies_that_leave_together_cannot_vouch_for_each_other() -> None:
    X, y = np.repeat(np.eye(4), 3, axis=0), np.array([0] * 6 + [1] * 6)
    spectrum = decompose(X, y, np.ones(12), 2)
    together = leave_group_out_scores(X, y, np.ones(12), np.arange(12) // 3, spectrum, 1e-9)
    # At a small lambda the smallest W with w_j + b = y_j on the other three axes has b = sum y_j / 4; w is 0 on the
    # axis left out, and one of the three is of the same class.
    np.testing.assert_allclose(together, 0.5 - 0.25 * one_hot(y, 2), atol=1e-6)


def test_everything_out_leaves_nothing() -> None:
    X, y, w = problem(0, 20, 3)
    spectrum = decompose(X, y, w, 3)
    np.testing.assert_allclose(leave_group_out_scores(X, y, w, np.zeros(20, int), spectrum, 0.1), 0, atol=1e-10)


def test_the_sums_come_back() -> None:
    X, y, w = problem(2, 6, 9)
    A, B = accumulate(X, y, w, 3)
    for spectrum in (decompose(X, y, w, 3), spectrum_of(np.triu(A), B)):
        for found, expected in zip(spectrum.sums(), (A, B), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-12)


def test_many_blocks_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, w = problem(3, 50, 4)
    lambdas = np.array([0.01, 1.0])
    whole = leave_one_out_errors(X, y, w, decompose(X, y, w, 3), lambdas)
    monkeypatch.setattr("pellucid.heads.statistic.BLOCK", 7)
    parts = leave_one_out_errors(X, y, w, decompose(X, y, w, 3), lambdas)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_rows_of_any_size_become_unit_length() -> None:
    X = np.array([[3.0, 4.0], [3e-200, 4e-200], [3e300, 4e300], [3e-310, 4e-310], [0.0, 0.0], [0.0, -1e-300]])
    expected = [[0.6, 0.8, 1]] * 4 + [[0, 0, 1], [0, -1, 1]]
    np.testing.assert_allclose(design(X), expected, rtol=1e-9)
    np.testing.assert_allclose(design(np.array([[3e30, 4e30]], dtype=np.float32)), [[0.6, 0.8, 1]], rtol=1e-6)


def test_duplicates_and_constant_features_keep_leverage_below_one() -> None:
    X, y, w = np.ones((30, 4)), np.arange(30) % 3, np.ones(30)
    _, h = leave_one_out_errors(X, y, w, decompose(X, y, w, 3), np.array([1e-12, 1.0]))
    np.testing.assert_allclose(h[:, 0], 1 / 30)
    single = np.eye(4)
    _, h = leave_one_out_errors(single, y[:4], w[:4], decompose(single, y[:4], w[:4], 3), np.array([1e-300]))
    assert (h < 1).all()
