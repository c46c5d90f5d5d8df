from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeCV
from sklearn.utils.estimator_checks import check_estimator

from pellucid.errors import IntegrityError, UsageError
from pellucid.heads.ridge import LAMBDAS, RidgeClassifier
from pellucid.heads.statistic import design


@pytest.mark.parametrize("l2", [1.0, "loo"])
def test_passes_the_checks_of_scikit_learn(l2: float | str) -> None:
    # leaving out a row of weight 2 is not leaving out one of two rows, so the choice of lambda may differ
    declared = {"check_sample_weight_equivalence_on_dense_data": "leave-one-out leaves whole rows out"}
    results = check_estimator(
        RidgeClassifier(l2),
        expected_failed_checks=declared if l2 == "loo" else {},
        on_fail=None,
        on_skip=None,
    )
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []


def test_two_points_by_hand() -> None:
    """Rows (1, 1) and (-1, 1) at lambda 2: scores 1/2 and 0, and without each other nothing is known."""
    head = RidgeClassifier(l2=2.0).fit([[3.0], [-5.0]], ["left", "right"])
    np.testing.assert_allclose(head.class_scores([[1.0], [-1.0]]), [[0.5, 0], [0, 0.5]], atol=1e-15)
    np.testing.assert_allclose(head.loo_scores_, 0, atol=1e-15)
    assert (head.lambda_, head.n_learnt_, head.loo_errors_) == (2.0, 2, {2.0: pytest.approx(1.0)})
    np.testing.assert_allclose(head.predict_proba([[1.0]]), [[0.5, 0.5]], atol=1e-3)
    assert head.predict([[1.0], [-1.0]]).tolist() == ["left", "right"]


def test_chooses_the_lambda_that_scikit_learn_chooses() -> None:
    X, y = load_digits(return_X_y=True)
    X, y = X[:500], y[:500]
    head = RidgeClassifier().fit(X, y)
    targets = (y[:, None] == np.arange(10)).astype(float)
    peer = RidgeCV(LAMBDAS, fit_intercept=False, store_cv_results=True).fit(design(X), targets)
    expected = peer.cv_results_.sum(axis=1).mean(axis=0)
    np.testing.assert_allclose(list(head.loo_errors_.values()), expected, rtol=1e-6)
    assert head.lambda_ == pytest.approx(peer.alpha_)
    assert list(head.loo_errors_) == list(LAMBDAS)


def test_is_accurate_and_calibrated_on_digits() -> None:
    X, y = load_digits(return_X_y=True)
    head = RidgeClassifier().fit(X[::2], y[::2])
    probabilities = head.predict_proba(X[1::2])
    right = head.predict(X[1::2]) == y[1::2]
    assert right.mean() > 0.9
    assert abs(probabilities.max(axis=1).mean() - right.mean()) < 0.03
    assert (head.loo_scores_.argmax(axis=1) == y[::2]).mean() == pytest.approx(right.mean(), abs=0.04)


def test_scores_and_predictions_agree() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
    head = RidgeClassifier(1.0).fit(X, y)
    np.testing.assert_array_equal(head.decision_function(X).argmax(axis=1), head.predict(X))
    two = RidgeClassifier(1.0).fit(X, y > 0)
    np.testing.assert_array_equal(two.decision_function(X) > 0, two.predict(X))
    assert two.predict(X).dtype == bool


def test_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    X, y, order = rng.normal(size=(60, 9)), rng.integers(0, 4, 60), rng.permutation(60)
    one, other = RidgeClassifier().fit(X, y), RidgeClassifier().fit(X[order], y[order])
    assert one.lambda_ == other.lambda_
    np.testing.assert_allclose(one.loo_scores_[order], other.loo_scores_, atol=1e-9)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("n", [8, 200])
def test_whole_weights_are_copies_at_a_given_lambda(n: int) -> None:
    rng = np.random.default_rng(n)
    X, y, copies = rng.normal(size=(n, 20)), np.arange(n) % 3, rng.integers(1, 4, n)
    weighted = RidgeClassifier(0.5).fit(X, y, copies)
    repeated = RidgeClassifier(0.5).fit(np.repeat(X, copies, axis=0), np.repeat(y, copies))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-7)


def test_a_thousand_classes_and_classes_of_one_row() -> None:
    X = np.random.default_rng(0).normal(size=(1000, 30))
    head = RidgeClassifier().fit(X, np.arange(1000))
    assert head.predict_proba(X[:3]).shape == (3, 1000)
    np.testing.assert_allclose(head.predict_proba(X[:3]).sum(axis=1), 1)


@pytest.mark.parametrize("X", [np.zeros((8, 3)), np.ones((8, 3)), np.full((8, 3), 1e300), np.zeros((8, 30))])
def test_rows_that_say_nothing_give_the_shares_of_the_classes(X: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head = RidgeClassifier().fit(X, [0, 0, 0, 0, 0, 0, 1, 1])
    assert head.predict(X).tolist() == [0] * 8
    assert np.isfinite(head.predict_proba(X)).all()


@pytest.mark.parametrize("l2", [0, -1.0, np.nan, np.inf, "auto", None, True])
def test_bad_lambda(l2: Any) -> None:
    with pytest.raises(UsageError, match="number above 0, or 'loo'"):
        RidgeClassifier(l2).fit([[0.0], [1.0]], [0, 1])


def test_not_fitted() -> None:
    for ask in (RidgeClassifier().predict, RidgeClassifier().predict_proba, RidgeClassifier().class_scores):
        with pytest.raises(NotFittedError):
            ask([[0.0]])
    with pytest.raises(NotFittedError):
        RidgeClassifier().to_arrays()


@pytest.mark.parametrize("name", ["lambda", "temperature", "n_learnt", "l2"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "1", None, True])
def test_stored_numbers_out_of_range(name: str, value: Any) -> None:
    arrays, meta = RidgeClassifier(1.0).fit([[0.0], [1.0]], [0, 1]).to_arrays()
    with pytest.raises(IntegrityError, match=name):
        RidgeClassifier.from_arrays(arrays, {**meta, name: value})


def test_stored_weights_that_are_not_finite() -> None:
    arrays, meta = RidgeClassifier(1.0).fit([[0.0], [1.0]], [0, 1]).to_arrays()
    with pytest.raises(IntegrityError, match="NaN or infinity"):
        RidgeClassifier.from_arrays({**arrays, "weights": arrays["weights"] * np.nan}, meta)
