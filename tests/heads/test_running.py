from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pellucid.heads.inputs import HeadInputError
from pellucid.heads.running import NeverLearntError, Running
from pellucid.heads.statistic import accumulate, design, one_hot

K = 3
Rows = tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]


def drawn(seed: int, n: int, d: int) -> Rows:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[rng.random(n) < 0.2] = X[0]  # near-copies are what makes a solution badly conditioned
    return X, rng.integers(0, K, n), rng.uniform(0.05, 1, n), rng.choice([0.0, 0.4, 1.0], n)


def empty(d: int, l2: float) -> Running:
    p = d + 1
    return Running.start(np.arange(K), np.zeros((p, p)), np.zeros((p, K)), np.zeros(K, dtype=np.intp), l2)


def solved(rows: Rows, l2: float) -> NDArray[np.float64]:
    """The normal equations as they stand."""
    X, y, w, s = rows
    x = design(X)
    return np.asarray(
        np.linalg.solve(x.T @ (w[:, None] * x) + l2 * np.eye(x.shape[1]), x.T @ ((w * s)[:, None] * one_hot(y, K)))
    )


def part(rows: Rows, which: Any) -> Rows:
    return rows[0][which], rows[1][which], rows[2][which], rows[3][which]


def check(running: Running, rows: Rows) -> None:
    """All that is held is what a batch of these rows gives."""
    X, y, w, strength = rows
    A, B = accumulate(X, y, w, K, strength)
    np.testing.assert_allclose(running.W, solved(rows, running.l2), atol=1e-8)
    np.testing.assert_allclose(np.triu(running.A), np.triu(A), atol=1e-8)
    np.testing.assert_allclose(running.B, B, atol=1e-8)
    R = np.linalg.inv(A + running.l2 * np.eye(len(A)))
    np.testing.assert_allclose(np.triu(running.R), np.triu(R), atol=1e-8, rtol=1e-8)
    assert running.counts.tolist() == np.bincount(y, minlength=K).tolist()


def test_one_row_by_hand() -> None:
    """Of nothing, R = I / 2. The row (1, 1) has g = (1, 1) / 2, k = g / (1 + 1): W = y k' and R = I / 2 - g k'."""
    running = empty(1, 2.0)
    running.learn(np.array([[3.0]]), np.array([1]), np.ones(1))
    np.testing.assert_allclose(running.W, [[0, 0.25, 0], [0, 0.25, 0]])
    np.testing.assert_allclose(np.triu(running.R), [[3 / 8, -1 / 8], [0, 3 / 8]])
    np.testing.assert_allclose(running.leverage(np.array([[3.0], [-2.0]])), [0.5, 1.0])
    running.forget(np.array([[3.0]]), np.array([1]), np.ones(1))
    np.testing.assert_allclose(running.W, 0, atol=1e-15)
    np.testing.assert_allclose(np.triu(running.R), np.eye(2) / 2)


@given(
    seed=st.integers(0, 9999),
    d=st.integers(1, 9),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    exponent=st.floats(-3, 3),
)
@settings(max_examples=60)
def test_parts_in_any_order_are_the_whole(seed: int, d: int, sizes: list[int], exponent: float) -> None:
    rows = drawn(seed, sum(sizes), d)
    running = empty(d, 10.0**exponent)
    order = np.random.default_rng(seed).permutation(sum(sizes))
    for chunk in np.split(order, np.cumsum(sizes)[:-1]):
        running.learn(*part(rows, chunk))
    check(running, rows)


@given(
    seed=st.integers(0, 9999),
    d=st.integers(1, 9),
    n=st.integers(2, 25),
    at_once=st.integers(1, 5),
    exponent=st.floats(-3, 3),
)
@settings(max_examples=60)
def test_what_was_forgotten_never_was(seed: int, d: int, n: int, at_once: int, exponent: float) -> None:
    rows = drawn(seed, n, d)
    running = empty(d, 10.0**exponent)
    running.learn(*rows)
    gone = np.random.default_rng(seed).permutation(n)[: n // 2]
    for chunk in np.split(gone, range(at_once, len(gone), at_once)):
        running.forget(*part(rows, chunk))
    check(running, part(rows, np.setdiff1d(np.arange(n), gone)))


@given(seed=st.integers(0, 9999), d=st.integers(1, 9), n=st.integers(2, 25), exponent=st.floats(-3, 3))
@settings(max_examples=40)
def test_another_label_as_if_it_had_always_been(seed: int, d: int, n: int, exponent: float) -> None:
    X, y, w, s = drawn(seed, n, d)
    running = empty(d, 10.0**exponent)
    running.learn(X, y, w, s)
    new, half = np.random.default_rng(seed).integers(0, K, n), slice(n // 2)
    running.relabel(X[half], y[half], new[half], w[half], s[half])
    check(running, (X, np.where(np.arange(n) < n // 2, new, y), w, s))


@given(seed=st.integers(0, 9999), n=st.integers(2, 25), exponent=st.floats(-3, 3))
@settings(max_examples=40)
def test_a_sum_of_two_is_both(seed: int, n: int, exponent: float) -> None:
    rows = drawn(seed, n, 4)
    one, other = empty(4, 10.0**exponent), empty(4, 1.0)
    one.learn(*part(rows, slice(n // 2)))
    other.learn(*part(rows, slice(n // 2, n)))
    one.merge(other.A, other.B, other.counts)
    check(one, rows)


def test_many_rows_come_and_go_in_large_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.heads.statistic.BLOCK", 7)
    rows = drawn(0, 60, 5)
    running = empty(5, 0.1)
    running.learn(*rows)
    running.relabel(rows[0][:40], rows[1][:40], rows[1][:40], rows[2][:40], rows[3][:40])
    check(running, rows)
    running.forget(*part(rows, slice(30)))
    check(running, part(rows, slice(30, 60)))


def test_a_long_life_does_not_add_up_errors() -> None:
    rows = drawn(1, 40, 6)
    running = empty(6, 1e-4)
    running.learn(*rows)
    pending = set()
    for turn in range(300):
        one = part(rows, [turn % 40])
        running.forget(*one)
        running.learn(*one)
        pending.add(running.changed)
    assert max(pending) in range(1, 8)  # rows since the last factorisation, at most as many as axes
    assert min(pending) < 2
    np.testing.assert_allclose(running.W, solved(rows, 1e-4), atol=1e-8)


@pytest.mark.parametrize("l2", [1e-4, 1e-6, 1e-8])
def test_the_last_row_along_an_axis_leaves_without_a_trace(l2: float) -> None:
    """Its leverage is 1 but for l2 / 2, and an update would divide by what is left."""
    X, y = np.eye(3)[[0, 0, 0, 0, 0, 1]], np.array([0, 0, 0, 0, 0, 1])
    running, expected = empty(3, l2), empty(3, l2)
    running.learn(X, y, np.ones(6))
    running.forget(X[5:], y[5:], np.ones(1))
    expected.learn(X[:5], y[:5], np.ones(5))
    np.testing.assert_allclose(running.leverage(np.eye(3)), expected.leverage(np.eye(3)), rtol=1e-9)
    np.testing.assert_allclose(running.W, expected.W, atol=1e-9)


def test_new_classes_are_zero_columns() -> None:
    running = empty(2, 0.5)
    running.learn(np.array([[1.0, 2.0]]), np.array([1]), np.ones(1))
    wide = running.spread(np.array([-1, 0, 1, 2]))
    np.testing.assert_array_equal(wide.W[:, 1:], running.W)
    assert not wide.W[:, 0].any()
    assert wide.counts.tolist() == [0, 0, 1, 0]
    assert running.spread(running.classes) is running


def take_out(running: Running, act: str, X: NDArray[np.float64], y: NDArray[np.intp], w: NDArray[np.float64]) -> None:
    """The two ways in which rows leave their class."""
    if act == "forget":
        running.forget(X, y, w)
    else:
        running.relabel(X, y, (y + 1) % K, w)


X1 = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
ONES = np.ones(3)


@pytest.mark.parametrize("l2", [1e-6, 0.1, 100.0])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((X1[:1], np.array([1]), ONES[:1]), "leave class 1, and 0 are learnt"),
        ((X1[[0, 0]], np.array([0, 0]), ONES[:2]), "2 rows were to leave class 0, and 1 are learnt"),
        ((X1[:1], np.array([0]), np.array([1.5])), "weight 1.5 was to leave class 0"),
        ((X1[:1], np.array([0]), np.array([0.5])), "weight 0.5 was to leave class 0"),
        ((-X1[:1], np.array([0]), ONES[:1]), "leverage"),
        ((-X1[[0, 2]], np.array([0, 2]), ONES[:2]), "leverage"),
    ],
)
@pytest.mark.parametrize("act", ["forget", "relabel"])
def test_what_was_never_learnt_changes_nothing(l2: float, rows: Any, message: str, act: str) -> None:
    running = empty(2, l2)
    running.learn(X1[[0, 2, 2]], np.array([0, 2, 2]), ONES)
    before = [array.copy() for array in (running.A, running.B, running.R, running.W, running.counts)]
    with pytest.raises(NeverLearntError, match=message) as caught:
        take_out(running, act, *rows)
    assert "\n" not in str(caught.value)
    for array, now in zip(before, (running.A, running.B, running.R, running.W, running.counts), strict=True):
        np.testing.assert_array_equal(array, now)


@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize("act", ["forget", "relabel"])
def test_rows_that_pass_one_by_one_but_not_together(n: int, act: str) -> None:
    """Of 20 rows one lies along another axis than the rest; it may leave once, and not nine times."""
    running = empty(40 // n, 1e-3)
    X = np.zeros((20, 40 // n))
    X[:, 0] = 1
    X[0] = np.arange(40 // n) > 0
    running.learn(X, np.zeros(20, dtype=np.intp), np.ones(20))
    with pytest.raises(NeverLearntError):
        take_out(running, act, np.repeat(X[:1], 9, axis=0), np.zeros(9, dtype=np.intp), np.ones(9))
    assert running.counts.tolist() == [20, 0, 0]


def test_a_label_of_less_strength_has_the_same_row_and_less_of_a_target() -> None:
    """Beside the row of class 1 at strength 1/4 the first test's W: g and k are the same, and y is a quarter."""
    running = empty(1, 2.0)
    running.learn(np.array([[3.0]]), np.array([1]), np.ones(1), np.array([0.25]))
    np.testing.assert_allclose(running.W, [[0, 0.0625, 0], [0, 0.0625, 0]])
    np.testing.assert_allclose(running.leverage(np.array([[3.0], [-2.0]])), [0.5, 1.0])
    with pytest.raises(NeverLearntError, match=r"weight 1 was to leave class 1, and 0\.25 is learnt"):
        running.forget(np.array([[3.0]]), np.array([1]), np.ones(1))


@pytest.mark.parametrize("seed", range(20))
def test_what_rounding_leaves_of_a_class_without_strength_keeps_none_of_its_rows(seed: int) -> None:
    X, y, w, _ = drawn(seed, 30, 4)
    running, s = empty(4, 0.1), np.where(np.arange(30) < 2, 0.0, 1.0)
    y[:5] = 0
    y[5:] = 1 + y[5:] % 2
    running.learn(X, y, w, s)
    for row in (2, 3, 4):
        running.forget(*part((X, y, w, s), [row]))
    running.forget(*part((X, y, w, s), [0, 1]))
    check(running, part((X, y, w, s), slice(5, 30)))


def test_a_lambda_beyond_what_numbers_can_hold() -> None:
    running = empty(3, 1e-30)
    with pytest.raises(HeadInputError, match="lambda 1e-30 is too small"):
        running.learn(np.ones((4, 3)), np.zeros(4, dtype=np.intp), np.ones(4))
    assert not running.A.any()
