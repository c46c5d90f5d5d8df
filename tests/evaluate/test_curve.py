from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.evaluate.curve import learning_curve, nested_order
from pellucid.evaluate.intervals import wilson


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(0, 50))
def test_every_prefix_is_stratified(labels: list[int], seed: int) -> None:
    y = np.array(labels)
    order = nested_order(y, seed=seed)
    assert sorted(order) == list(range(len(y)))
    classes, totals = np.unique(y, return_counts=True)
    assert set(y[order[: len(classes)]]) == set(classes)
    for m in range(len(classes), len(y) + 1):
        for label, total in zip(classes, totals, strict=True):
            assert abs((y[order[:m]] == label).sum() - m * total / len(y)) <= len(classes)


def test_seeds_decide_the_order() -> None:
    y = np.arange(40) % 4
    assert (nested_order(y, seed=1) == nested_order(y, seed=1)).all()
    assert (nested_order(y, seed=1) != nested_order(y, seed=2)).any()


def test_a_learner_that_remembers_gains_with_every_image() -> None:
    y = np.arange(64) % 2
    seen: list[set[int]] = []

    def fit_predict(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        seen.append(set(rows.tolist()))
        proba = np.eye(2)[1 - y]
        proba[rows] = np.eye(2)[y[rows]]
        return proba

    curve = learning_curve(fit_predict, y, y, points=5)
    assert [point.n for point in curve] == [4, 8, 16, 32, 64]
    assert [point.accuracy for point in curve] == [wilson(n, 64) for n in (4, 8, 16, 32, 64)]
    assert all(small < large for small, large in pairwise(seen))


def test_few_images_give_few_points() -> None:
    curve = learning_curve(lambda rows: [[0.9, 0.1]], [0, 1], [0])
    assert [point.n for point in curve] == [2]


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="at least one training image"):
        learning_curve(lambda rows: [[1.0]], [], [0])
    with pytest.raises(DataError, match="one length"):
        learning_curve(lambda rows: [[0.5, 0.5]], [0, 1], [0, 1])
