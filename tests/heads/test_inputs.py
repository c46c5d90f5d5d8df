from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from pellucid.heads.inputs import HeadInputError, learning_set, query_rows


def test_labels_become_indices_of_the_classes_that_count() -> None:
    data = learning_set(BaseEstimator(), np.zeros((5, 2)), ["b", "a", "z", "b", "m"], [1, 1, 0, 0.5, 0])
    assert data.classes.tolist() == ["a", "b"]
    assert data.y.tolist() == [1, 0, -1, 1, -1]
    assert data.weight.tolist() == [1, 1, 0, 0.5, 0]


def test_float32_stays_float32_and_integers_become_floats() -> None:
    estimator = BaseEstimator()
    assert learning_set(estimator, np.zeros((2, 3), np.float32), [0, 1], None).X.dtype == np.float32
    assert learning_set(estimator, np.zeros((2, 3), np.int8), [0, 1], None).X.dtype == np.float64
    assert query_rows(estimator, np.zeros((1, 3), np.float32)).dtype == np.float32


def test_one_row_for_each_class_is_no_regression() -> None:
    assert len(learning_set(BaseEstimator(), np.zeros((99, 1)), np.arange(99), None).classes) == 99


def test_messages_are_one_line_and_both_kinds_of_error() -> None:
    with pytest.raises(HeadInputError) as caught:
        learning_set(BaseEstimator(), [[np.nan], [0.0]], [0, 1], None)
    assert isinstance(caught.value, ValueError)
    assert caught.value.exit_code == 7
    assert "\n" not in str(caught.value)
