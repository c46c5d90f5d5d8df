"""Kernel ridge: against scikit-learn's, on what a line cannot part, and through its file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import normalize

from pellucid.errors import DataError, IntegrityError, UsageError
from pellucid.heads.kernel import KernelClassifier
from pellucid.heads.lift import GAMMA, Lift
from pellucid.heads.ridge import RidgeClassifier


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.float64], NDArray[Any]]:
    X, y = load_digits(return_X_y=True)
    return X[:700], y[:700]


def likeness(A: NDArray[Any], B: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(rbf_kernel(normalize(A), normalize(B), gamma=GAMMA))


def test_a_lift_of_two_rows_by_hand() -> None:
    """Rows at a right angle have the squared distance 2, so their likeness is exp(-2)."""
    lift = Lift.on(np.array([[3.0, 0.0], [0.0, 5.0]]), 10, seed=0)
    lifted = lift(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    inner = lifted @ lifted[:2].T
    np.testing.assert_allclose(inner, [[1, np.exp(-2)], [np.exp(-2), 1], [np.exp(-4), np.exp(-2)]], atol=1e-6)


def test_inner_products_with_landmarks_are_likenesses(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, _ = digits
    lift = Lift.on(X[:300], 300, seed=0)
    np.testing.assert_allclose(lift(X[300:400]) @ lift(X[:300]).T, likeness(X[300:400], X[:300]), atol=2e-3)


def test_a_lift_in_single_precision_is_the_lift_but_for_rounding(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = digits
    head = KernelClassifier(l2=1.0).fit(X[:600], y[:600])
    rows = np.vstack([X[600:], np.zeros((1, X.shape[1]))])
    exact, near = head.lift_(rows), head.lift_.nearly(rows)
    assert near.dtype == np.float32
    np.testing.assert_allclose(near, exact, atol=1e-4)
    np.testing.assert_allclose(head.ridge_.predict_proba(near), head.ridge_.predict_proba(exact), atol=1e-4)


def test_a_lift_is_the_same_for_the_same_seed_and_never_larger_than_asked() -> None:
    X = np.random.default_rng(0).normal(size=(50, 4))
    one, same, other = (Lift.on(X, 20, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.landmarks, same.landmarks)
    assert not np.array_equal(one.landmarks, other.landmarks)
    assert len(one.landmarks) == 20
    assert len(Lift.on(np.repeat(X[:3], 9, axis=0), 20, seed=0).landmarks) == 3


def test_the_order_of_rows_does_not_matter_where_landmarks_are_drawn(
    digits: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    X, y = digits
    order = np.random.default_rng(0).permutation(len(X))
    one, other = KernelClassifier(landmarks=60).fit(X, y), KernelClassifier(landmarks=60).fit(X[order], y[order])
    assert len(one.lift_.landmarks) == 60
    np.testing.assert_array_equal(one.lift_.landmarks, other.lift_.landmarks)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-8)


def test_copies_of_a_row_take_no_landmark_from_others() -> None:
    X = np.random.default_rng(0).normal(size=(30, 4))
    assert len(Lift.on(np.vstack([X, np.repeat(X[:1], 500, axis=0)]), 20, seed=0).landmarks) == 20


def test_scores_are_those_of_scikit_learns_kernel_ridge(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    """With a constant 1 added to the likeness, which is the row that ridge appends.

    Of rows that are no landmarks a little is lost, and ridge brings what is left to unit length.
    """
    X, y = digits
    train, test = X[:400], X[400:]
    head = KernelClassifier(0.5).fit(train, y[:400])
    reference = KernelRidge(alpha=0.5, kernel="precomputed").fit(likeness(train, train) + 1, np.eye(10)[y[:400]])
    np.testing.assert_allclose(head.decision_function(train), reference.predict(likeness(train, train) + 1), atol=5e-3)
    expected = reference.predict(likeness(test, train) + 1)
    assert (head.predict(test) == expected.argmax(axis=1)).mean() > 0.98
    np.testing.assert_allclose(head.decision_function(test), expected, atol=0.1)


def test_it_bends_where_ridge_cannot(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = digits
    kernel, ridge = (
        head.fit(X[:400], y[:400]).score(X[400:], y[400:]) for head in (KernelClassifier(), RidgeClassifier())
    )
    assert kernel > ridge + 0.02


def test_fewer_landmarks_cost_little(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = digits
    few, all_of_them = (KernelClassifier(landmarks=most).fit(X[:400], y[:400]) for most in (300, 400))
    assert few.lift_.landmarks.shape == (300, 64)
    assert few.score(X[400:], y[400:]) > all_of_them.score(X[400:], y[400:]) - 0.05


def test_weights_count_as_rows_do(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = digits[0][:200], digits[1][:200]
    weight = np.ones(200)
    weight[:20] = 0
    some = KernelClassifier(0.1).fit(X, y, weight)
    none = KernelClassifier(0.1).fit(X[20:], y[20:])
    np.testing.assert_allclose(some.decision_function(X), none.decision_function(X), atol=1e-6)


def test_groups_are_left_out_together() -> None:
    """Near-copies vouch for each other, so that leave-one-out trusts a wigglier fit than leave-group-out does."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(40, 6)), 4, axis=0) + rng.normal(scale=0.01, size=(160, 6))
    y = np.repeat(rng.integers(0, 2, 40), 4)
    groups = np.repeat(np.arange(40), 4)
    alone, together = KernelClassifier().fit(X, y), KernelClassifier().fit(X, y, groups=groups)
    assert together.ridge_.lambda_ > alone.ridge_.lambda_


@pytest.mark.parametrize(
    "settings", [{"l2": 0}, {"l2": "best"}, {"landmarks": 0}, {"landmarks": 2.5}, {"l2": float("nan")}]
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="kernel has"):
        KernelClassifier(**settings).fit(np.eye(3), [0, 1, 1])


@pytest.mark.parametrize("X", [np.full((4, 2), np.nan), np.empty((0, 2)), np.full((4, 2), np.inf)])
def test_what_cannot_be_learnt_is_refused(X: NDArray[Any]) -> None:
    with pytest.raises(DataError):
        KernelClassifier().fit(X, np.arange(len(X)) % 2)


def test_rows_that_are_all_alike_and_rows_of_zeros_are_answered() -> None:
    head = KernelClassifier().fit(np.zeros((6, 3)), [0, 0, 0, 0, 1, 1])
    assert head.predict(np.zeros((2, 3))).tolist() == [0, 0]
    assert np.isfinite(head.predict_proba(np.array([[1e300, 0, 0], [1e-300, 0, 0]]))).all()


@pytest.mark.parametrize(
    "edit",
    [
        lambda arrays, meta: meta.pop("ridge"),
        lambda arrays, meta: meta.update(ridge=3),
        lambda arrays, meta: meta.update(version=0),
        lambda arrays, meta: meta.update(landmarks=0),
        lambda arrays, meta: meta.update(classes={"dtype": "<i8", "values": [0, 1, 2]}),
        lambda arrays, meta: arrays.pop("projection"),
        lambda arrays, meta: arrays.update(extra=np.ones(3)),
        lambda arrays, meta: arrays.update(projection=arrays["projection"][:-1]),
        lambda arrays, meta: arrays.update(projection=arrays["projection"][:, :-1]),
        lambda arrays, meta: arrays.update(landmarks=arrays["landmarks"].astype(np.float64)),
        lambda arrays, meta: arrays["landmarks"].fill(np.nan),
    ],
)
def test_an_edited_file_is_refused(edit: Any) -> None:
    head = KernelClassifier(0.1).fit(np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 2)
    arrays, meta = head.to_arrays()
    edit(arrays, meta)
    with pytest.raises(IntegrityError):
        KernelClassifier.from_arrays(arrays, meta)
