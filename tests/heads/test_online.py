from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.heads.head import build_head
from pellucid.heads.kernel import KernelClassifier
from pellucid.heads.online import OnlineHead
from pellucid.heads.ridge import RidgeClassifier
from pellucid.heads.running import NeverLearntError
from pellucid.heads.statistic import design
from pellucid.heads.temperature import probabilities

K = 3


def drawn(seed: int, n: int, d: int = 5) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(K), rng.integers(0, K, n - K)])
    return (rng.normal(size=(n, d)) + 2 * np.eye(K, d)[y]).astype(np.float32), y, rng.uniform(0.05, 1, n)


def solved(
    X: NDArray[np.floating],
    y: NDArray[np.intp],
    w: NDArray[np.float64],
    l2: float,
    s: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The normal equations of these rows as they stand, a column a class that has a row."""
    x, targets = design(X), (y[:, None] == np.unique(y)) * (np.ones(len(y)) if s is None else s)[:, None]
    return np.asarray(np.linalg.solve(x.T @ (w[:, None] * x) + l2 * np.eye(x.shape[1]), x.T @ (w[:, None] * targets)))


@given(seed=st.integers(0, 9999), n=st.integers(6, 25), exponent=st.floats(-2, 2))
@settings(max_examples=60)
def test_rows_learnt_and_forgotten_in_any_order_are_a_batch_fit(seed: int, n: int, exponent: float) -> None:
    X, y, w = drawn(seed, n)
    rng = np.random.default_rng(seed)
    s, first = rng.choice([0.2, 1.0], n), slice(n // 2 + 1)
    head = RidgeClassifier(10.0**exponent).fit(X[first], y[first], w[first], strength=s[first])
    online = OnlineHead.resume(head, X[first], y[first], w[first], s[first])
    held = set(range(n // 2 + 1))
    for row in rng.integers(0, n, 3 * n).tolist():
        one = (X[[row]], y[[row]], w[[row]], s[[row]])
        if row not in held:
            online.learn(*one)
            held.add(row)
        elif len(held) > 2:
            online.forget(*one)
            held.remove(row)
    rows = sorted(held)
    assert online.classes.tolist() == np.unique(y[rows]).tolist()
    assert online.counts.tolist() == np.unique(y[rows], return_counts=True)[1].tolist()
    expected = solved(X[rows], y[rows], w[rows], head.lambda_, s[rows])
    np.testing.assert_allclose(online.snapshot().weights, expected, atol=1e-8)


@pytest.mark.parametrize("spec", ["ridge", "kernel"])
def test_a_stored_head_goes_on_where_it_was_trained(spec: str) -> None:
    X, y, w = drawn(1, 60)
    head = build_head(spec, {}, seed=0).fit(X, y, sample_weight=w)
    assert isinstance(head, RidgeClassifier | KernelClassifier)
    online = OnlineHead.resume(head, X, y, w)
    snapshot = online.snapshot()
    np.testing.assert_allclose(snapshot.predict_proba(snapshot.lift(X)), head.predict_proba(X), atol=1e-6)


def test_other_rows_than_those_of_the_training_are_refused() -> None:
    X, y, w = drawn(2, 30)
    head = RidgeClassifier(0.1).fit(X, y, w)
    for rows, labels, weight in [(X[:-1], y[:-1], w[:-1]), (X, (y + 1) % K, w), (X, y, np.ones(30)), (X + 1, y, w)]:
        with pytest.raises(NeverLearntError, match="trained on other rows"):
            OnlineHead.resume(head, rows, labels, weight)
    with pytest.raises(NeverLearntError, match="other classes"):
        OnlineHead.resume(head, X, y + 1, w)
    with pytest.raises(UsageError, match="LogisticClassifier cannot learn single rows"):
        OnlineHead.resume(build_head("logistic", {}, seed=0).fit(X, y), X, y, w)


def test_a_snapshot_never_changes() -> None:
    X, y, w = drawn(3, 40)
    online = OnlineHead.resume(RidgeClassifier(0.1).fit(X[:30], y[:30], w[:30]), X[:30], y[:30], w[:30])
    snapshot = online.snapshot()
    weights, shares = snapshot.weights.copy(), snapshot.predict_proba(X)
    online.learn(X[30:], np.full(10, 7), w[30:])
    online.forget(X[:5], y[:5], w[:5])
    np.testing.assert_array_equal(snapshot.weights, weights)
    np.testing.assert_array_equal(snapshot.predict_proba(X), shares)
    assert snapshot.classes.tolist() == [0, 1, 2]
    assert online.snapshot().classes.tolist() == [0, 1, 2, 7]


def test_a_class_comes_with_its_first_row_and_goes_with_its_last() -> None:
    X, y, w = drawn(4, 30)
    online = OnlineHead.resume(RidgeClassifier(0.1).fit(X, y, w), X, y, w)
    before = online.snapshot()
    online.learn(X[:2], np.array([9, 9]), np.ones(2))
    online.forget(X[:1], np.array([9]), np.ones(1))
    assert online.classes.tolist() == [0, 1, 2, 9]
    online.forget(X[1:2], np.array([9]), np.ones(1))
    assert online.classes.tolist() == [0, 1, 2]
    np.testing.assert_allclose(online.snapshot().weights, before.weights, atol=1e-9)


def test_what_was_never_learnt_is_refused_and_changes_nothing() -> None:
    X, y, w = drawn(5, 30)
    online = OnlineHead.resume(RidgeClassifier(0.1).fit(X, y, w), X, y, w)
    before = online.snapshot().weights
    for rows, labels, weight in [(X[:1], np.array([9]), w[:1]), (-9 * X[:1], y[:1], np.array([50.0]))]:
        with pytest.raises(NeverLearntError):
            online.forget(rows, labels, weight)
    np.testing.assert_array_equal(online.snapshot().weights, before)


def test_without_a_row_is_a_fit_of_all_the_others() -> None:
    X, y, w = drawn(6, 30)
    s = np.linspace(0.1, 1, 30)
    head = RidgeClassifier(0.3).fit(X, y, w, strength=s)
    online = OnlineHead.resume(head, X, y, w, s)
    found = online.without(X[:8], y[:8], w[:8], s[:8])
    for row in range(8):
        rest = np.arange(30) != row
        scores = design(X[[row]]) @ solved(X[rest], y[rest], w[rest], 0.3, s[rest])
        np.testing.assert_allclose(found[[row]], probabilities(scores, head.temperature_), atol=1e-9)
    strangers = online.without(X[:8] + 1, np.full(8, -1), np.zeros(8))  # rows that were not learnt
    np.testing.assert_allclose(strangers, online.snapshot().predict_proba(X[:8] + 1), atol=1e-12)


def test_the_expected_change_of_three_equal_rows() -> None:
    """Zero vectors, so that x = 1 alone. Of the two others h = 1/(2 + 2), f = (1/4, 1/4), x'RARx = 2/16; a class 0 that
    is certain gives v = (3/4, -1/4) / (1 + 1/4), and |v|^2 x'RARx = 0.4 / 8. Relabelled: v = (1, -1) / (1 + 1/4).
    """
    X, ones = np.zeros((3, 2), np.float32), np.ones(3)
    two = OnlineHead.resume(RidgeClassifier(2.0).fit(X[:2], [0, 1]), X[:2], np.array([0, 1]), ones[:2])
    new, wrong = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert two.expected_change(X[:1], np.array([-1]), np.zeros(1), new) == pytest.approx(0.05)
    three = OnlineHead.resume(RidgeClassifier(2.0).fit(X, [0, 1, 0]), X, np.array([0, 1, 0]), ones)
    assert three.expected_change(X[:1], np.array([0]), np.ones(1), new) == pytest.approx(0)
    assert three.expected_change(X[:1], np.array([0]), np.ones(1), wrong) == pytest.approx(2 / 1.25**2 / 8)
    half = three.expected_change(X[:1], np.array([0]), np.ones(1), (new + wrong) / 2)
    assert half == pytest.approx(1 / 1.25**2 / 8)


@given(seed=st.integers(0, 9999), n=st.integers(6, 25), exponent=st.floats(-2, 2))
@settings(max_examples=40)
def test_the_expected_change_is_that_of_fits_with_every_class(seed: int, n: int, exponent: float) -> None:
    X, y, w = drawn(seed, n)
    l2, rng = 10.0**exponent, np.random.default_rng(seed)
    row = int(rng.integers(0, n))
    stands = bool(rng.integers(0, 2))
    keep = np.arange(n) != row
    if len(np.unique(y[keep])) < K:
        return
    held = keep | stands
    online = OnlineHead.resume(RidgeClassifier(l2).fit(X[held], y[held], w[held]), X[held], y[held], w[held])
    q = rng.dirichlet(np.ones(K + 1))  # the last is a class that nobody has seen
    weight = w[[row]] if stands else np.zeros(1)
    found = online.expected_change(X[[row]], y[[row]], weight, q[None, :K])

    def scores(rows: NDArray[np.bool_], label: int, row_weight: float) -> NDArray[np.float64]:
        x, t, v = design(X[rows]), np.eye(K + 1)[np.where(np.arange(n) == row, label, y)[rows]], w.copy()
        v[row] = row_weight
        v = v[rows]
        W = np.linalg.solve(x.T @ (v[:, None] * x) + l2 * np.eye(x.shape[1]), x.T @ (v[:, None] * t))
        return np.asarray(design(X[keep]) @ W)

    before = scores(held, int(y[row]), float(weight[0]))
    after = [scores(np.ones(n, np.bool_), label, 1.0) for label in range(K + 1)]
    wanted = sum(q[label] * (w[keep] @ ((after[label] - before) ** 2).sum(axis=1)) for label in range(K + 1))
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-10)


@given(seed=st.integers(0, 9999), weight=st.sampled_from([0.3, 1.0]), strength=st.sampled_from([0.0, 0.4, 1.0]))
@settings(max_examples=40)
def test_the_expected_change_is_what_learning_the_class_changes(seed: int, weight: float, strength: float) -> None:
    X, y, w = drawn(seed, 12)
    s = np.ones(12)
    w[0], s[0] = weight, strength
    online = OnlineHead.resume(RidgeClassifier(0.5).fit(X, y, w, strength=s), X, y, w, s)
    shares = np.random.default_rng(seed).dirichlet(np.ones(K), 1)
    before, others = design(X[1:]) @ online.snapshot().weights, w[1:]
    expected = 0.0
    for k, share in enumerate(shares[0]):
        known = online.copy()
        known.learn(X[:1], np.array([k]), np.ones(1))
        known.forget(X[:1], y[:1], w[:1], s[:1])
        after = np.zeros(before.shape)
        after[:, known.classes] = design(X[1:]) @ known.snapshot().weights
        expected += share * float(others @ np.square(after - before).sum(axis=1))
    assert online.expected_change(X[:1], y[:1], w[:1], shares, s[:1]) == pytest.approx(expected, rel=1e-6, abs=1e-10)
