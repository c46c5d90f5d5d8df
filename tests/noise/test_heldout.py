from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pellucid.heads.ridge import LAMBDAS, RidgeClassifier
from pellucid.heads.statistic import design
from pellucid.noise.heldout import LIFTED, HeldOut, held_out, lift, once


def refitted(
    X: NDArray[Any], weight: NDArray[Any], groups: NDArray[Any], targets: NDArray[Any], l2: float
) -> NDArray[Any]:
    """The same by brute force: leave the group out, solve, predict."""
    x = design(X)
    scores = np.empty(targets.shape)
    for i in range(len(X)):
        rest = groups != groups[i]
        A = (weight[rest, None] * x[rest]).T @ x[rest] + l2 * np.eye(x.shape[1])
        scores[i] = x[i] @ np.linalg.solve(A, (weight[rest, None] * x[rest]).T @ targets[rest])
    return scores


@example(n=4, d=2, seed=0, grouped=False)  # leverages near 1 leave no room for rounding
@settings(max_examples=15)
@given(n=st.integers(4, 25), d=st.integers(1, 30), seed=st.integers(0, 99), grouped=st.booleans())
def test_held_out_is_left_out_for_any_targets_weights_and_groups(n: int, d: int, seed: int, grouped: bool) -> None:
    rng = np.random.default_rng(seed)
    X, targets = rng.normal(size=(n, d)), rng.dirichlet(np.ones(3), n)
    weight = np.where(rng.random(n) < 0.2, 0.0, rng.random(n) + 0.1)
    weight[0] = 1
    groups = rng.integers(0, max(2, n // 2), n) if grouped else np.arange(n)
    scores, error = HeldOut(X, weight, groups).scores(targets)
    by_lambda = {l2: refitted(X, weight, groups, targets, l2) for l2 in LAMBDAS}
    errors = {l2: float(weight @ np.square(s - targets).sum(axis=1) / weight.sum()) for l2, s in by_lambda.items()}
    best = min(errors, key=lambda l2: errors[l2])
    assert error == pytest.approx(errors[best], rel=1e-6)
    near = [s for l2, s in by_lambda.items() if errors[l2] == pytest.approx(errors[best], rel=1e-6)]
    assert any(np.allclose(scores, s, atol=1e-5) for s in near)


@pytest.mark.parametrize("d", [4, 60])
def test_groups_of_more_rows_than_features_are_left_out_too(d: int) -> None:
    """A site's images are one group, and may be a third of all: what is solved is then as wide as the features."""
    rng = np.random.default_rng(d)
    X, targets, weight = rng.normal(size=(90, d)), rng.dirichlet(np.ones(3), 90), rng.random(90)
    groups = np.repeat([0, 1, 2, 3], [30, 30, 29, 1])
    scores, error = HeldOut(X, weight, groups).scores(targets)
    errors = []
    for l2 in LAMBDAS:
        again = refitted(X, weight, groups, targets, l2)
        errors.append(float(weight @ np.square(again - targets).sum(axis=1) / weight.sum()))
        if errors[-1] == min(errors):
            best = again
    assert error == pytest.approx(min(errors))
    np.testing.assert_allclose(scores, best, atol=1e-8)


def test_a_large_group_costs_no_matrix_of_its_rows() -> None:
    rng = np.random.default_rng(0)
    X, targets = rng.normal(size=(5000, 4)), np.eye(2)[rng.integers(0, 2, 5000)]
    machine = HeldOut(X, np.ones(5000), np.arange(5000) % 2)
    tracemalloc.start()
    machine.scores(targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2500**2 / 2


def test_single_precision_is_taken_where_rows_are_many_and_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of a backbone: not negative, so that one axis holds nearly everything, and of falling variance."""
    rng = np.random.default_rng(0)
    n, d, K = 6000, 80, 4
    y = rng.integers(0, K, n)
    latent = rng.normal(size=(K, d))[y] + 1.5 * rng.normal(size=(n, d))
    X = np.maximum(latent @ rng.normal(size=(d, d)) * (1 + np.arange(d)) ** -0.5 + 0.1, 0).astype(np.float32)
    weight, targets = rng.random(n) + 0.1, np.eye(K)[y]
    groups = np.r_[np.repeat(np.arange(50), 2), np.arange(100, n)]
    machine = HeldOut(X, weight, groups)
    scores, error = machine.scores(targets)
    monkeypatch.setattr("pellucid.noise.heldout.LEVERAGE_ERROR", 0.0)
    exact = HeldOut(X, weight, groups)
    assert machine.single
    assert not exact.single
    assert 0 < np.abs(machine.leverages - exact.leverages).max() < 1e-7
    exact_scores, exact_error = exact.scores(targets)
    np.testing.assert_allclose(scores, exact_scores, rtol=0, atol=1e-7)
    assert error == pytest.approx(exact_error, rel=1e-8)


def test_a_row_that_decides_its_own_prediction_is_computed_in_double_precision() -> None:
    """Scores divide by 1 - h: of a row that alone has a feature, rounding of h would be multiplied a thousandfold."""
    rng = np.random.default_rng(0)
    n, d = 5000, 12
    X, targets = rng.normal(size=(n, d)), np.eye(2)[rng.integers(0, 2, n)]
    X[:, -1] = 0
    assert HeldOut(X, np.ones(n)).single
    X[0, -1] = 0.2
    machine = HeldOut(X, np.ones(n))
    assert machine.leverages[0, 0] > 0.9
    assert not machine.single
    np.testing.assert_array_equal(machine.leverages, machine._leverages(np.float64))
    scores, error = machine.scores(targets)
    chosen = min(LAMBDAS, key=lambda l2: np.abs(refitted_first(X, targets, l2) - scores[0]).max())
    np.testing.assert_allclose(scores[0], refitted_first(X, targets, chosen), atol=1e-9)
    assert 0 < error < 2


def refitted_first(X: NDArray[Any], targets: NDArray[Any], l2: float) -> NDArray[Any]:
    """What the other rows say of the first, by brute force."""
    x = design(X)
    return np.asarray(x[0] @ np.linalg.solve(x[1:].T @ x[1:] + l2 * np.eye(x.shape[1]), x[1:].T @ targets[1:]))


def test_rows_of_any_length_count_the_same() -> None:
    rng = np.random.default_rng(0)
    X, targets = rng.normal(size=(60, 5)), np.eye(2)[rng.integers(0, 2, 60)]
    X[7] = 0
    scores, error = HeldOut(X, np.ones(60)).scores(targets)
    lengths = 10.0 ** rng.integers(-200, 200, 60)
    again, same = HeldOut(X * lengths[:, None], np.ones(60)).scores(targets)
    np.testing.assert_allclose(again, scores, atol=1e-9)
    assert same == pytest.approx(error)


def test_on_hard_labels_it_is_what_the_ridge_head_says() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 80)
    X = np.eye(3)[y] @ rng.normal(size=(3, 300)) + rng.normal(size=(80, 300))
    head = RidgeClassifier().fit(X, y)
    np.testing.assert_allclose(HeldOut(X, np.ones(80)).scores(np.eye(3)[y])[0], head.loo_scores_, atol=1e-8)


def test_the_lift_is_taken_only_where_it_helps() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 200)
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    crossed = (np.cos(angle) * np.sin(angle) > 0).astype(int)  # no line through the plane tells these apart
    machine, scores, look = held_out([X], np.ones(200), None, np.eye(2)[crossed])
    assert look == 0
    assert machine.X.shape == (200, LIFTED)
    assert (scores.argmax(axis=1) == crossed).mean() > 0.95
    wide = rng.normal(size=(60, 257))
    assert held_out([wide], np.ones(60), None, np.eye(2)[rng.integers(0, 2, 60)])[0].X is wide


def test_of_several_looks_the_one_that_tells_most_is_taken() -> None:
    rng = np.random.default_rng(0)
    targets = np.eye(2)[rng.integers(0, 2, 80)]
    blind, seeing = rng.normal(size=(80, 300)), targets @ rng.normal(size=(2, 300)) + rng.normal(size=(80, 300))
    alone = HeldOut(seeing, np.ones(80)).scores(targets)[0]
    for looks, place in (([blind, seeing], 1), ([seeing, blind], 0), ([blind, blind[:, :2], seeing], 2)):
        machine, scores, look = held_out(looks, np.ones(80), None, targets)
        assert (machine.X is seeing, look) == (True, place)
        np.testing.assert_array_equal(scores, alone)


def test_the_lift_is_always_the_same_and_does_not_see_the_length_of_a_row() -> None:
    X = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(lift(X), lift(X))
    np.testing.assert_allclose(lift(X * 7), lift(X), rtol=1e-5, atol=1e-6)


def test_rows_of_a_group_weigh_as_much_as_they_differ() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(200, 400))
    X = np.concatenate([pictures, pictures[:2] + 1e-9, pictures[:1] - 1e-9])
    burst = np.r_[np.arange(200), 0, 1, 0]
    weight = once(X, burst)
    np.testing.assert_allclose(weight[burst == 0], 1 / 3, atol=1e-3)
    np.testing.assert_allclose(weight[burst == 1], 1 / 2, atol=1e-3)
    assert (weight[2:200] == 1).all()
    patients = np.arange(203) // 10  # of pictures that have nothing in common
    assert once(X[:200], patients[:200]).min() > 0.9
