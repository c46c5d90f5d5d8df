from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from pellucid.errors import DataError
from pellucid.evaluate.failures import most_confident_failures, nearest


def test_failures_come_most_confident_first_and_ties_in_order() -> None:
    proba = [[0.1, 0.9], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [1.0, 0.0]]
    assert most_confident_failures([0, 0, 0, 0, 0], proba, 2).tolist() == [0, 2]
    assert most_confident_failures([0, 0, 0, 0, 0], proba, 9).tolist() == [0, 2, 3]
    assert most_confident_failures([0, 0, 0, 0, 0], proba, 0).tolist() == []


def test_no_failures_is_an_empty_answer() -> None:
    assert most_confident_failures([0], [[0.9, 0.1]], 5).shape == (0,)


def test_nearest_agrees_with_scikit_learn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    query, train = random.normal(size=(23, 6)), random.normal(size=(40, 6)).astype(np.float32)
    monkeypatch.setattr("pellucid.evaluate.failures.BLOCK_ENTRIES", 200)
    rows, similarity = nearest(query, train, 5)
    reference = NearestNeighbors(n_neighbors=5, metric="cosine").fit(train.astype(np.float64))
    distance, index = reference.kneighbors(query)
    assert (rows == index).all()
    np.testing.assert_allclose(similarity, 1 - distance, atol=1e-6)


def test_length_does_not_matter_and_zero_is_similar_to_nothing() -> None:
    rows, similarity = nearest([[0.0, 0.0], [5.0, 0.0]], [[0.0, 0.0], [0.1, 0.0], [-1.0, 0.0]], 3)
    assert rows.tolist() == [[0, 1, 2], [1, 0, 2]]
    assert similarity.tolist() == [[0, 0, 0], [1, 0, -1]]


def test_more_neighbours_than_images_gives_all() -> None:
    assert nearest([[1.0]], [[1.0], [2.0]], 9)[0].shape == (1, 2)
    assert nearest(np.empty((0, 3)), np.ones((2, 3)), 1)[0].shape == (0, 1)


@pytest.mark.parametrize(
    ("query", "train", "k", "message"),
    [
        ([[1.0]], [[1.0, 2.0]], 1, "X_query has shape"),
        ([1.0], [[1.0]], 1, "wanted"),
        ([[1.0]], [[1.0]], 0, "at least 1"),
        ([[np.nan]], [[1.0]], 1, "missing"),
    ],
)
def test_bad_input_is_refused(query: Any, train: Any, k: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        nearest(query, train, k)
