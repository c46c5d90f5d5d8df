"""Streaming discriminant analysis: by hand, against scikit-learn's, and in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from pellucid.errors import DataError, IntegrityError, UsageError
from pellucid.heads.slda import StreamingLDA

Data = tuple[NDArray[np.float64], NDArray[Any]]


@pytest.fixture(scope="module")
def digits() -> Data:
    X, y = load_digits(return_X_y=True)
    return X[:900], y[:900]


def test_two_classes_on_a_line_by_hand() -> None:
    """Means 0 and 4, variance 1 within: log odds 4 (x - 2) + log(n1 / n0), the textbook's discriminant."""
    head = StreamingLDA(shrinkage=1.0).fit([[-1.0], [1.0], [3.0], [5.0]], ["a", "a", "b", "b"])
    p = head.predict_proba([[2.0], [2.5]])
    np.testing.assert_allclose(np.log(p[:, 1] / p[:, 0]), [0, 2], atol=1e-12)
    head.partial_fit([[3.0], [5.0]], ["b", "b"])
    np.testing.assert_allclose(np.log(np.divide(*head.predict_proba([[2.0]])[0, ::-1])), np.log(2), atol=1e-12)


@pytest.mark.parametrize("shrinkage", [1e-3, 0.1, 1.0])
def test_probabilities_are_those_of_scikit_learn(digits: Data, shrinkage: float) -> None:
    X, y = digits
    ours = StreamingLDA(shrinkage).fit(X[:600], y[:600])
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(X[:600], y[:600])
    np.testing.assert_allclose(ours.predict_proba(X[600:]), theirs.predict_proba(X[600:]), atol=1e-7)


@settings(max_examples=25)
@given(seed=st.integers(0, 999), parts=st.integers(1, 12))
def test_rows_may_come_in_any_order_and_parts(seed: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, 40)
    X = rng.normal(size=(40, 6)) + y[:, None]
    weight = np.where(rng.random(40) < 0.2, 0.0, rng.random(40) + 0.1)
    head = StreamingLDA()
    for rows in np.array_split(rng.permutation(40), parts):
        head.partial_fit(X[rows], y[rows], weight[rows])
    whole = StreamingLDA().fit(X, y, weight)
    assert head.classes_.tolist() == whole.classes_.tolist()
    np.testing.assert_allclose(head.predict_proba(X), whole.predict_proba(X), atol=1e-9)


def test_a_weight_is_a_number_of_repeats(digits: Data) -> None:
    X, y = digits[0][:80], digits[1][:80]
    times = np.random.default_rng(0).integers(0, 4, 80)
    weighted, repeated = (
        StreamingLDA().fit(X, y, times),
        StreamingLDA().fit(np.repeat(X, times, 0), np.repeat(y, times)),
    )
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-9)


def test_where_the_features_lie_does_not_matter(digits: Data) -> None:
    X, y = digits
    far = StreamingLDA().fit(X + 1e7, y).predict_proba(X + 1e7)
    np.testing.assert_allclose(far, StreamingLDA().fit(X, y).predict_proba(X), atol=1e-4)


def test_a_loaded_head_goes_on_and_leaves_its_source_alone(digits: Data) -> None:
    X, y = digits
    head = StreamingLDA().fit(X[:300], y[:300])
    before = head.predict_proba(X)
    arrays, meta = head.to_arrays()
    kept = {name: array.copy() for name, array in arrays.items()}
    again = StreamingLDA.from_arrays(arrays, meta).partial_fit(X[300:], y[300:])
    np.testing.assert_array_equal(head.predict_proba(X), before)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, kept[name])
    np.testing.assert_allclose(again.predict_proba(X), StreamingLDA().fit(X, y).predict_proba(X), atol=1e-8)


def test_one_class_alone_comes_back_and_learns_a_second() -> None:
    head = StreamingLDA().partial_fit([[0.0], [1.0]], ["a", "a"])
    again = StreamingLDA.from_arrays(*head.to_arrays()).partial_fit([[9.0], [8.0]], ["b", "b"])
    assert again.predict([[0.5], [8.5]]).tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("X", "y", "says"),
    [
        ([[0.0], [1.0]], ["a", "b"], "no two rows that differ"),
        ([[0.1, 0.1]] * 6, ["a", "b"] * 3, "no two rows that differ"),
        ([[1e200], [0.0], [3.0]], ["a", "b", "b"], "as large as"),
        ([[0.0], [1.0]], ["a", "a"], "2 classes"),
    ],
)
def test_what_cannot_be_learnt(X: Any, y: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        StreamingLDA().fit(X, y)


def test_constant_features_and_fewer_rows_than_features_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(8, 30)), np.full((8, 2), 0.1)])
    X[4:, 0] += 9
    p = StreamingLDA().fit(X.astype(np.float32), [0] * 4 + [1] * 4).predict_proba(X)
    assert np.isfinite(p).all()
    assert p.argmax(axis=1).tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize("shrinkage", [0, -0.1, 1.1, np.nan, "0.1", True])
def test_a_shrinkage_that_cannot_be(shrinkage: Any) -> None:
    with pytest.raises(UsageError, match="shrinkage"):
        StreamingLDA(shrinkage).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize(
    "change",
    [
        {"weight": -np.ones(2)},
        {"weight": np.zeros(2)},
        {"scatter": -np.eye(1)},
        {"shrinkage": 7.0},
        {"shrinkage": True},
    ],
)
def test_moments_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    shrinkage: Any = np.float32(0.5)
    arrays, meta = StreamingLDA(shrinkage).fit([[0.0], [1.0], [3.0]], [0, 0, 1]).to_arrays()
    assert meta["shrinkage"] == 0.5
    with pytest.raises(IntegrityError, match="stored"):
        StreamingLDA.from_arrays(
            {name: change.get(name, array) for name, array in arrays.items()},
            {name: change.get(name, value) for name, value in meta.items()},
        )
