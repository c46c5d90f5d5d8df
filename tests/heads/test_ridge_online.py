"""RidgeClassifier as it learns on, forgets, relabels, merges, calibrates anew and tells what is new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from pellucid.errors import DataError, UsageError
from pellucid.heads.ridge import FIRST_LAMBDA, LAMBDAS, RidgeClassifier
from pellucid.heads.running import NeverLearntError
from pellucid.heads.statistic import strength

NAMES = np.array(["glass", "metal", "paper", "wood"])
Rows = tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]


def drawn(seed: int, n: int = 40, d: int = 5) -> Rows:
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1, 0, 1], rng.integers(0, 4, n - 4)])
    return rng.normal(size=(n, d)) + np.eye(4, d)[y], NAMES[y], rng.uniform(0.1, 1, n)


def part(rows: Rows, which: Any) -> Rows:
    return rows[0][which], rows[1][which], rows[2][which]


def check(head: RidgeClassifier, rows: Rows) -> None:
    """The head is what ``fit`` makes of the rows at its lambda; classes without rows are zero columns."""
    batch = RidgeClassifier(head.lambda_).fit(*rows)
    columns = np.searchsorted(head.classes_, batch.classes_)
    np.testing.assert_array_equal(head.classes_[columns], batch.classes_)
    expected = np.zeros(head.coef_.shape)
    expected[:, columns] = batch.coef_
    np.testing.assert_allclose(head.coef_, expected, atol=1e-8)
    assert head.n_learnt_ == len(rows[1]) == head.class_count_.sum()
    assert head.class_count_[columns].tolist() == batch.class_count_.tolist()


def contents(head: RidgeClassifier) -> dict[str, Any]:
    arrays, meta = head.to_arrays(state=True)
    return {**{name: array.tolist() for name, array in arrays.items()}, **meta}


@given(
    seed=st.integers(0, 9999), cuts=st.lists(st.integers(4, 39), max_size=5), l2=st.sampled_from([0.001, 1.0, "loo"])
)
@settings(max_examples=25)
def test_bit_by_bit_is_at_once(seed: int, cuts: list[int], l2: float | str) -> None:
    rows = drawn(seed)
    head = RidgeClassifier(l2)
    for chunk in np.split(np.arange(40), sorted(set(cuts))):
        head.partial_fit(*part(rows, chunk))
    check(head, rows)


@given(seed=st.integers(0, 9999))
@settings(max_examples=25)
def test_a_life_of_learning_forgetting_relabelling_and_merging(seed: int) -> None:
    X, y, w = drawn(seed, 60)
    head, other = RidgeClassifier().fit(X[:30], y[:30], w[:30]), RidgeClassifier(7.0).fit(X[30:50], y[30:50], w[30:50])
    head.partial_fit(X[50:], y[50:], w[50:])
    head.merge(other)
    head.forget(X[:20], y[:20], w[:20])
    new = np.roll(y[20:40], 1)
    head.relabel(X[20:40], y[20:40], new, w[20:40])
    check(head, (X[20:], np.concatenate([new, y[40:]]), w[20:]))


def test_digits_class_by_class_is_digits_at_once() -> None:
    X, y = load_digits(return_X_y=True)
    head = RidgeClassifier(0.1)
    for digit in range(10):
        head.partial_fit(X[y == digit], y[y == digit])
    shuffled = RidgeClassifier(0.1).fit(X, y)
    np.testing.assert_allclose(head.coef_, shuffled.coef_, atol=1e-8)
    np.testing.assert_array_equal(head.predict(X), shuffled.predict(X))


def test_new_classes_at_any_time_sorted_among_the_old() -> None:
    X = drawn(0)[0]
    head = RidgeClassifier(0.5).partial_fit(X[:1], ["paper"])
    assert head.predict_proba(X[:2]).tolist() == [[1.0], [1.0]]
    assert head.predict(X[:2]).tolist() == ["paper", "paper"]
    assert head.decision_function(X[:2]).shape == (2, 1)
    head.partial_fit(X[1:2], ["a much longer name"])
    head.partial_fit(X[2:3], ["paper"], classes=["zinc", "bone"])
    assert head.classes_.tolist() == ["a much longer name", "bone", "paper", "zinc"]
    assert not head.class_scores(X)[:, [1, 3]].any()
    head.relabel(X[:1], ["paper"], ["chalk"])
    assert head.classes_.tolist() == ["a much longer name", "bone", "chalk", "paper", "zinc"]
    assert head.class_count_.tolist() == [1, 0, 1, 1, 0]


def test_the_first_rows_choose_if_they_can() -> None:
    X, y, w = drawn(3)
    head, batch = RidgeClassifier().partial_fit(X, y, w, classes=[*NAMES, "zinc"]), RidgeClassifier().fit(X, y, w)
    assert (head.lambda_, head.temperature_, head.n_learnt_) == (batch.lambda_, batch.temperature_, 40)
    assert head.classes_.tolist() == [*NAMES, "zinc"]
    few = RidgeClassifier().partial_fit(X[:3], y[:3])
    assert (few.lambda_, few.temperature_, few.sets_) == (FIRST_LAMBDA, 1.0, None)
    with pytest.raises(UsageError, match="recalibrate"):
        few.predict_set(X)


def test_fit_starts_anew() -> None:
    X, y, w = drawn(0)
    head = RidgeClassifier().partial_fit(np.ones((3, 2)), [7, 7, 8])
    assert contents(head.fit(X, y, w)) == contents(RidgeClassifier().fit(X, y, w))
    assert not hasattr(clone(head), "classes_")


def test_all_can_be_forgotten() -> None:
    X, y, w = drawn(0)
    head = RidgeClassifier().fit(X, y, w).forget(X, y, w)
    assert (head.n_learnt_, head.class_count_.tolist(), head.classes_.tolist()) == (0, [0] * 4, NAMES.tolist())
    np.testing.assert_allclose(head.class_scores(X), 0, atol=1e-9)
    with pytest.raises(DataError, match="nothing"):
        head.to_arrays()
    again = RidgeClassifier.from_arrays(*head.to_arrays(state=True))
    check(again.partial_fit(X, y, w), (X, y, w))


def test_rows_of_weight_zero_change_nothing() -> None:
    X, y, w = drawn(0)
    head = RidgeClassifier().fit(X, y, w)
    before = contents(head)
    head.partial_fit(X[:2], ["new", "newer"], [0, 0])
    head.forget(X[:2], ["never", "seen"], [0, 0])
    head.relabel(X[:2], ["never", "seen"], ["new", "newer"], [0, 0])
    assert contents(head) == before


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda h, X, y: h.forget(X[:1], ["zinc"]), NeverLearntError, "class zinc was never learnt"),
        (lambda h, X, y: h.forget(X[:1], [3]), NeverLearntError, "class 3 was never learnt"),
        (lambda h, X, y: h.forget(np.vstack([X, X]), np.tile(y, 2)), NeverLearntError, "rows were to leave class"),
        (lambda h, X, y: h.forget(-X[:1], y[:1]), NeverLearntError, "leverage"),
        (lambda h, X, y: h.forget(X[:1], y[:1], [99.0]), NeverLearntError, "weight 99 was to leave class"),
        (lambda h, X, y: h.relabel(X[:1], ["zinc"], ["glass"]), NeverLearntError, "zinc was never learnt"),
        (lambda h, X, y: h.relabel(-X[:1], y[:1], ["zinc"]), NeverLearntError, "leverage"),
        (lambda h, X, y: h.relabel(X[:2], y[:2], ["glass"]), DataError, "inconsistent"),
        (lambda h, X, y: h.relabel(X[:1], y[:1], [3]), DataError, "another type"),
        (lambda h, X, y: h.partial_fit(X[:1], [3]), DataError, "another type"),
        (lambda h, X, y: h.partial_fit(X[:1], y[:1], classes=[3]), DataError, "another type"),
        (lambda h, X, y: h.partial_fit(X[:1, :3], y[:1]), DataError, "3 features"),
        (lambda h, X, y: h.partial_fit(X[:1] * np.nan, y[:1]), DataError, "NaN"),
        (lambda h, X, y: h.partial_fit(X[:0], y[:0]), DataError, "0 sample"),
        (lambda h, X, y: h.partial_fit(X[:2], y[:1]), DataError, "inconsistent"),
        (lambda h, X, y: h.partial_fit(X[:1], y[:1], [-1.0]), DataError, "negative"),
        (lambda h, X, y: h.merge(RidgeClassifier().fit(X[:, :3], y)), UsageError, "features"),
        (lambda h, X, y: h.merge(RidgeClassifier().fit(X, y == "glass")), DataError, "another type"),
        (lambda h, X, y: h.merge(h), UsageError, "itself"),
        (lambda h, X, y: h.merge("head"), UsageError, "not with str"),
        (lambda h, X, y: h.merge(RidgeClassifier.from_arrays(*h.to_arrays())), UsageError, "without its statistic"),
        (lambda h, X, y: h.recalibrate(-X, y), NeverLearntError, "leverage"),
        (lambda h, X, y: h.recalibrate(X, y, groups=[1]), DataError, "groups"),
        (lambda h, X, y: h.recalibrate(X, y, groups=range(40), learnt=False), UsageError, "groups"),
        (lambda h, X, y: h.recalibrate(X[:1], ["zinc"], learnt=False), DataError, "zinc"),
        (lambda h, X, y: h.recalibrate(X, y, sample_weight=np.zeros(40)), DataError, "zero"),
    ],
)
def test_what_is_refused_changes_nothing(act: Callable[..., Any], error: type[Exception], message: str) -> None:
    rng = np.random.default_rng(0)
    y = NAMES[rng.integers(0, 4, 40)]
    X = np.abs(rng.normal(size=(40, 5)))  # like a network's features, so that their negatives are far away
    head = RidgeClassifier(0.01).fit(X, y)
    before = contents(head)
    with pytest.raises(error, match=message) as caught:
        act(head, X, y)
    assert "\n" not in str(caught.value)
    assert contents(head) == before


def test_before_anything_is_learnt() -> None:
    head, X, y = RidgeClassifier(), [[1.0]], ["a"]
    for ask in (
        lambda: head.forget(X, y),
        lambda: head.relabel(X, y, y),
        lambda: head.merge(RidgeClassifier()),
        lambda: head.recalibrate(X, y),
        lambda: head.leverage(X),
        lambda: head.predict_set(X),
        lambda: head.to_arrays(state=True),
    ):
        with pytest.raises(NotFittedError):
            ask()
    with pytest.raises(DataError, match="nothing to begin with"):
        head.partial_fit(X, y, [0.0])
    with pytest.raises(UsageError, match="lambda"):
        RidgeClassifier(-1.0).partial_fit(X, y)


def test_leverage_is_how_far_from_all_that_was_learnt() -> None:
    X, y, w = drawn(0, 200)
    X[:, -1] = 0
    head = RidgeClassifier().fit(X, y, w)
    far = np.eye(5)[-1:]
    assert head.leverage(far)[0] > 5 * head.leverage(X).max()
    assert (w * head.leverage(X) < 1).all()
    x = np.column_stack([X / np.linalg.norm(X, axis=1, keepdims=True), np.ones(200)])
    R = np.linalg.inv(x.T @ (w[:, None] * x) + head.lambda_ * np.eye(6))
    np.testing.assert_allclose(head.leverage(X), np.einsum("ij,jk,ik->i", x, R, x))
    head.partial_fit(far, ["metal"])
    assert head.leverage(far)[0] < 1


def test_groups_take_their_copies_with_them() -> None:
    """Bursts of four with one label, drawn at random: with the others of its burst gone nobody can know it."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(50, 45)), 4, axis=0) + 0.01 * rng.normal(size=(200, 45))
    y, burst = np.repeat(rng.integers(0, 4, 50), 4), np.repeat([f"burst {i}" for i in range(50)], 4)
    alone, together = RidgeClassifier().fit(X, y), RidgeClassifier().fit(X, y, groups=burst)
    assert (alone.loo_scores_.argmax(axis=1) == y).mean() > 0.7
    assert (together.loo_scores_.argmax(axis=1) == y).mean() < 0.5
    assert together.lambda_ > alone.lambda_
    assert list(together.loo_errors_) == list(LAMBDAS)
    assert together.temperature_ > alone.temperature_
    single = RidgeClassifier().fit(X, y, groups=np.arange(200))
    np.testing.assert_allclose(single.loo_scores_, alone.loo_scores_, atol=1e-8)
    with pytest.raises(DataError, match="one group"):
        RidgeClassifier().fit(X, y, groups=np.zeros(200))


def test_recalibrating_on_what_was_learnt_is_the_fit_of_it_all() -> None:
    X, y = load_digits(n_class=4, return_X_y=True)
    groups = np.arange(len(y)) // 3
    for offered, kept in ((groups, {"groups": groups}), (None, {})):
        head = RidgeClassifier(0.1).fit(X[:300], y[:300]).partial_fit(X[300:], y[300:])
        head.recalibrate(X, y, groups=offered, trusted=False)
        batch = RidgeClassifier(0.1).fit(X, y, **kept)
        assert head.temperature_ == pytest.approx(batch.temperature_, rel=1e-6)
        np.testing.assert_allclose(head.loo_scores_, batch.loo_scores_, atol=1e-8)
        assert head.sets_ is not None
        assert batch.sets_ is not None
        np.testing.assert_allclose(head.sets_.thresholds, batch.sets_.thresholds, atol=1e-6)
        assert head.sets_.approximate


def test_sets_hold_the_truth_as_often_as_asked() -> None:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    rng = np.random.default_rng(1)
    given = np.where(rng.random(800) < 0.3, (y[:800] + rng.integers(1, 10, 800)) % 10, y[:800])
    head = RidgeClassifier().fit(X[:800], given)
    assert head.noise_rate_ == pytest.approx(0.3, abs=0.05)
    trusted = clone(head).fit(X[:800], given).recalibrate(X[800:1200], y[800:1200], learnt=False)
    assert trusted.sets_ is not None
    assert head.sets_ is not None
    assert (trusted.noise_rate_, trusted.sets_.approximate, head.sets_.approximate) == (0.0, False, True)
    for one, slack in ((head, 0.06), (trusted, 0.03)):
        held = one.predict_set(X[1200:], alpha=0.05)
        assert held[np.arange(len(held)), y[1200:]].mean() == pytest.approx(0.95, abs=slack)
        assert held.sum(axis=1).mean() < 3
        right = one.predict(X[1200:]) == y[1200:]
        assert one.predict_proba(X[1200:]).max(axis=1).mean() == pytest.approx(right.mean(), abs=0.08)
    np.testing.assert_array_equal(head.coef_, trusted.coef_)


@given(seed=st.integers(0, 9999))
@settings(max_examples=25)
def test_strengths_are_learnt_forgotten_and_relabelled_exactly(seed: int) -> None:
    (X, y, w), s = drawn(seed), np.random.default_rng(seed).choice([0.0, 0.5, 1.0], 40)
    head = RidgeClassifier(0.1).fit(X[:30], y[:30], w[:30], strength=s[:30])
    head.partial_fit(X[30:], y[30:], w[30:], strength=s[30:])
    head.forget(X[:5], y[:5], w[:5], strength=s[:5])
    other = np.roll(NAMES, 1)[np.searchsorted(NAMES, y[5:10])]
    head.relabel(X[5:10], y[5:10], other, w[5:10], strength=s[5:10])
    batch = RidgeClassifier(0.1).fit(X[5:], np.concatenate([other, y[10:]]), w[5:], strength=s[5:])
    columns = np.searchsorted(head.classes_, batch.classes_)
    np.testing.assert_allclose(head.coef_[:, columns], batch.coef_, atol=1e-8)


def test_a_strength_is_the_mean_of_right_and_even_wrong_labels() -> None:
    """A label that is right with probability p, and else evenly one of the others: K rows that weigh so much each."""
    X, y, w = drawn(3)
    K, p = 4, 0.7
    index = np.searchsorted(NAMES, y)
    shares = np.where(np.eye(K, dtype=bool)[index], p, (1 - p) / (K - 1))
    spread = RidgeClassifier(0.1).fit(np.repeat(X, K, axis=0), np.tile(NAMES, len(y)), (w[:, None] * shares).ravel())
    strong = RidgeClassifier(0.1).fit(X, y, w, strength=strength(np.full(len(y), p), K))
    common = (spread.coef_ - strong.coef_)[:, :1]
    np.testing.assert_allclose(spread.coef_, strong.coef_ + common, atol=1e-10)
    np.testing.assert_array_equal(spread.predict(X), strong.predict(X))


def test_labels_of_no_strength_at_all_say_nothing_and_break_nothing() -> None:
    X, y, w = drawn(4)
    head = RidgeClassifier(0.1).fit(X, y, w, strength=np.zeros(40))
    np.testing.assert_allclose(head.predict_proba(X), 1 / 4)
    assert head.recalibrate(X, y, sample_weight=w, strength=np.zeros(40)).n_learnt_ == 40
