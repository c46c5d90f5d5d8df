from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from pellucid.errors import IntegrityError, UsageError
from pellucid.heads.logistic import LogisticClassifier
from pellucid.heads.statistic import design


def test_passes_the_checks_of_scikit_learn() -> None:
    results = check_estimator(LogisticClassifier(), on_fail=None, on_skip=None)
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []


def test_two_points_by_hand() -> None:
    """Rows 1 and -1, W = [[-a, a], [0, 0]]: 2 log(1 + exp(-2 a)) + a^2 is least at a = 2 / (1 + exp(2 a))."""
    head = LogisticClassifier(l2=1.0).fit([[-4.0], [9.0]], ["left", "right"])
    a = head.coef_[0, 1]
    assert a == pytest.approx(2 / (1 + np.exp(2 * a)), abs=1e-3)
    np.testing.assert_allclose(head.coef_, [[-a, a], [0, 0]], atol=1e-12)
    assert head.predict_proba([[0.1]])[0, 1] == pytest.approx(1 / (1 + np.exp(-2 * a)))


@pytest.fixture
def converged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the optimiser run on, so that two of them can be compared."""
    monkeypatch.setattr("pellucid.heads.logistic.GRADIENT_TOLERANCE", 1e-7)


@pytest.mark.usefixtures("converged")
@pytest.mark.parametrize("l2", [0.01, 1.0])
def test_is_what_scikit_learn_finds(l2: float) -> None:
    X, y = load_digits(n_class=4, return_X_y=True)
    weight = np.random.default_rng(0).uniform(0.2, 1, len(y))
    head = LogisticClassifier(l2, epochs=1000).fit(X, y, weight)
    peer = LogisticRegression(C=1 / l2, max_iter=2000, tol=1e-7)
    peer.fit(design(X)[:, :-1], y, sample_weight=weight)
    np.testing.assert_allclose(head.predict_proba(X), peer.predict_proba(design(X)[:, :-1]), atol=1e-4)


@pytest.mark.usefixtures("converged")
def test_of_two_classes_the_penalty_stands_for_half() -> None:
    X, y = load_digits(n_class=2, return_X_y=True)
    head = LogisticClassifier(0.2, epochs=1000).fit(X, y)
    peer = LogisticRegression(C=1 / 0.1, max_iter=2000, tol=1e-7).fit(design(X)[:, :-1], y)
    np.testing.assert_allclose(head.predict_proba(X), peer.predict_proba(design(X)[:, :-1]), atol=1e-4)


def test_every_epoch_is_told_with_the_head_as_it_then_is() -> None:
    X, y = load_digits(n_class=3, return_X_y=True)
    losses: list[float] = []

    def told(epoch: int, head: LogisticClassifier) -> None:
        assert epoch == head.n_epochs_ == len(losses) + 1
        losses.append(-np.log(head.predict_proba(X)[np.arange(len(y)), y]).mean())

    head = LogisticClassifier(epochs=5).fit(X, y, on_epoch=told)
    assert len(losses) == head.n_epochs_ == 5
    assert losses == sorted(losses, reverse=True)


BAD_SETTINGS = [{"l2": 0}, {"l2": "loo"}, {"l2": np.nan}, {"epochs": 0}, {"epochs": 1.5}]


@pytest.mark.parametrize("settings", BAD_SETTINGS)
def test_bad_settings(settings: Any) -> None:
    with pytest.raises(UsageError, match="give a"):
        LogisticClassifier(**settings).fit([[0.0], [1.0]], [0, 1])


def test_not_fitted() -> None:
    with pytest.raises(NotFittedError):
        LogisticClassifier().predict_proba([[0.0]])


@pytest.mark.parametrize("name", ["l2", "epochs", "n_epochs"])
def test_stored_numbers_out_of_range(name: str) -> None:
    arrays, meta = LogisticClassifier().fit([[0.0], [1.0]], [0, 1]).to_arrays()
    with pytest.raises(IntegrityError, match=name):
        LogisticClassifier.from_arrays(arrays, {**meta, name: -1})
