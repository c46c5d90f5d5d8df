from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import roc_auc_score

from pellucid.drift import domain_classifier
from pellucid.drift.domain_classifier import RIDGES, DomainClassifier
from pellucid.errors import DataError


def test_left_out_scores_are_those_of_models_fitted_without_the_row() -> None:
    """An independent reference: scikit-learn's kernel ridge, fitted anew without each row on the same kernel."""
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(20, 3)), rng.normal(0.7, 1, size=(15, 3))
    rows, label = np.vstack([before, after]), np.repeat([0.0, 1.0], [20, 15])
    width = np.median(pdist(rows, "sqeuclidean"))
    kernel = np.exp(-np.square(rows[:, None] - rows).sum(axis=2) / width)
    centring = np.eye(35) - 1 / 35
    kernel = centring @ kernel @ centring
    best: tuple[float, NDArray[np.float64]] = (-np.inf, np.zeros(35))
    for share in RIDGES:
        scores = np.zeros(35)
        for row in range(35):
            rest = np.flatnonzero(np.arange(35) != row)
            model = KernelRidge(alpha=share * np.trace(kernel) / 35, kernel="precomputed")
            model.fit(kernel[np.ix_(rest, rest)], (label - label.mean())[rest])
            scores[row] = model.predict(kernel[[row]][:, rest])[0]
        separation = (scores[20:].mean() - scores[:20].mean()) / scores.std()
        best = max(best, (separation, scores), key=lambda pair: pair[0])
    shift = DomainClassifier(threshold=0.0).compare(before, after)
    assert shift.statistic == pytest.approx(best[0])
    assert shift.effect == pytest.approx(2 * roc_auc_score(label, best[1]) - 1)
    assert list(shift.moved) == np.argsort(-best[1][20:])[: len(shift.moved)].tolist()


def test_the_p_value_is_the_share_of_all_relabelings() -> None:
    """Two windows of 3 far apart: of the 20 ways to part the 6 rows, theirs and its mirror image are the extreme."""
    shift = DomainClassifier(alpha=0.001).compare([[0.0], [0.1], [0.2]], [[9.0], [9.1], [9.2]])
    assert shift.effect == 1.0
    assert shift.p_value == pytest.approx(2 / 20, abs=0.01)
    assert not shift.drifted


def test_a_wider_spread_is_seen() -> None:
    rng = np.random.default_rng(0)
    shift = DomainClassifier().compare(rng.normal(size=(200, 5)), rng.normal(0, 2, size=(200, 5)))
    assert shift.drifted


def test_rows_beyond_the_sample_are_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(500, 4)), rng.normal(size=(500, 4))
    after[400:] += 8
    shift = DomainClassifier(rows=100, seed=3).compare(before, after)
    assert shift.drifted
    assert len(shift.moved) == 20
    assert all(row >= 400 for row in shift.moved)
    monkeypatch.setattr(domain_classifier, "SCORED", 100)
    fewer = DomainClassifier(rows=100, seed=3).compare(before, after)
    assert (fewer.p_value, fewer.effect) == (shift.p_value, shift.effect)
    assert set(fewer.moved) != set(shift.moved)  # those of the sample alone


def test_scores_of_new_rows_are_those_of_the_model_of_all_rows() -> None:
    rng = np.random.default_rng(1)
    rows, label = rng.normal(size=(30, 2)), np.arange(30) >= 12
    for model in domain_classifier._KernelRidge.of(domain_classifier._Scaled.of(rows)):
        inside = model.predict(rows, label)
        y = label - label.mean()
        # the prediction with a row is a mean of its label and the prediction without it, weighted by its leverage
        leverage = 1 - model.ridge * np.diag(model.inverse)
        expected = leverage * y + (1 - leverage) * model.left_out(label[:, None])[:, 0]
        np.testing.assert_allclose(inside, expected, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1e-6, 1e6, 1e150, 1e300])
def test_units_change_nothing(scale: float) -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(40, 3)), rng.normal(0.5, 1, size=(40, 3))
    plain, scaled = DomainClassifier().compare(before, after), DomainClassifier().compare(scale * before, scale * after)
    assert scaled.effect == pytest.approx(plain.effect)
    assert scaled.p_value == plain.p_value


def test_single_precision_whole_numbers_and_lists_do() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 5, (40, 3)), rng.integers(1, 6, (40, 3))
    expected = DomainClassifier().compare(before, after)
    for kind in (np.float32, np.int8, list):
        a, b = (rows.tolist() if kind is list else rows.astype(kind) for rows in (before, after))
        assert DomainClassifier().compare(a, b).effect == pytest.approx(expected.effect)


@pytest.mark.parametrize(
    ("current", "message"),
    [
        (np.ones((5, 3)), "vectors of 2 numbers and current of 3; wanted the same extractor"),
        (np.ones((1, 2)), r"current has 1 row\(s\); wanted at least 2"),
        (np.ones((5, 0)), r"current has shape \(5, 0\)"),
        (np.ones(5), r"wanted \(n, d\)"),
        ([["a", "b"], ["c", "d"]], "cannot be read as numbers"),
    ],
)
def test_rows_that_do_not_fit(current: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        DomainClassifier().compare(np.zeros((5, 2)), current)  # type: ignore[arg-type]
