"""Closest pairs, against the whole matrix of distances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pellucid.errors import DataError, UsageError
from pellucid.replay import closest as module
from pellucid.replay.closest import METRICS, closest_pairs, distance_across

NAMES = {"cosine": "cosine", "l1": "cityblock", "l2": "euclidean"}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("side", [1, 7, 2_000])
def test_distances_are_those_of_the_whole_matrix(metric: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIDE", side)  # a block a cell, uneven blocks, and one for all
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(30, 5)), rng.normal(size=(20, 5))
    y, y_new = rng.integers(0, 3, 30), rng.integers(0, 3, 20)
    whole = cdist(X, new, NAMES[metric])
    whole[y[:, None] == y_new] = np.inf
    np.testing.assert_allclose(distance_across(X, y, new, y_new, metric), whole.min(axis=1), atol=1e-7)
    kept = closest_pairs(X, y, 7, new, y_new, metric)
    assert kept.tolist() == sorted(np.argsort(whole.min(axis=1))[:7].tolist())


def test_a_row_near_its_own_class_only_is_not_close() -> None:
    X, new = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.1]])
    assert closest_pairs(X, np.array([0, 0]), 1, new, np.array([0, 1])).tolist() == [1]


def test_where_there_is_no_other_class_nothing_is_near() -> None:
    X = np.eye(3)
    assert np.isinf(distance_across(X, np.zeros(3, np.intp), X, np.zeros(3, np.intp), "l2")).all()
    assert np.isinf(distance_across(X, np.zeros(3, np.intp), X[:0], np.zeros(0, np.intp), "l2")).all()
    assert closest_pairs(X, np.zeros(3, np.intp), 5, X, np.zeros(3, np.intp)).tolist() == [0, 1, 2]


def test_what_does_not_fit_is_refused() -> None:
    labels = np.zeros(3, np.intp)
    with pytest.raises(UsageError, match="there are cosine, l1, l2"):
        distance_across(np.eye(3), labels, np.eye(3), labels, "l3")
    with pytest.raises(DataError, match="do not fit together"):
        distance_across(np.eye(3), labels, np.ones((3, 2)), labels, "l2")
