from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from pellucid.heads.inputs import (
    HeadInputError,
    class_index,
    join_classes,
    labelled_rows,
    learning_set,
    query_rows,
    row_groups,
)


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


def test_a_single_row_or_none_is_a_part() -> None:
    estimator = BaseEstimator()
    rows = labelled_rows(estimator, np.ones((3, 2)), ["b", "a", "c"], [0, 0.5, 0], first=True)
    assert (rows.X.shape, rows.labels.tolist(), rows.weight.tolist(), rows.index.tolist()) == (
        (1, 2),
        ["a"],
        [0.5],
        [1],
    )
    assert len(labelled_rows(estimator, np.ones((1, 2)), ["a"], [0], first=False).labels) == 0
    with pytest.raises(HeadInputError, match="3 features"):
        labelled_rows(estimator, np.ones((1, 3)), ["a"], None, first=False)


def test_one_weight_for_all() -> None:
    assert learning_set(BaseEstimator(), np.zeros((2, 1)), [0, 1], 0.5).weight.tolist() == [0.5, 0.5]


def test_strengths_are_those_of_the_rows_that_count() -> None:
    assert learning_set(BaseEstimator(), np.zeros((2, 1)), [0, 1], None).strength.tolist() == [1, 1]
    assert learning_set(BaseEstimator(), np.zeros((2, 1)), [0, 1], None, 0.5).strength.tolist() == [0.5, 0.5]
    rows = labelled_rows(BaseEstimator(), np.ones((3, 2)), [1, 2, 3], [0, 1, 1], [1, 0.2, 0.3], first=True)
    assert rows.strength.tolist() == [0.2, 0.3]


@pytest.mark.parametrize(
    ("strength", "message"),
    [
        ([1.0], "shape"),
        (["a", "b"], "could not convert"),
        ([0.5, 1.1], "outside"),
        ([-0.1, 1], "outside"),
        ([np.nan, 1], "outside"),
    ],
)
def test_bad_strengths(strength: Any, message: str) -> None:
    with pytest.raises(HeadInputError, match=message):
        learning_set(BaseEstimator(), np.zeros((2, 1)), [0, 1], None, strength)


def test_classes_of_another_type_are_unknown_and_do_not_join() -> None:
    names, numbers = np.array(["1", "2"]), np.array([1, 2])
    assert class_index(names, numbers).tolist() == [-1, -1]
    assert class_index(np.array([0, 1]), np.array([True, False])).tolist() == [1, 0]
    with pytest.raises(HeadInputError, match="another type"):
        join_classes(names, numbers)
    assert join_classes(numbers, np.empty(0)).dtype == numbers.dtype
    assert join_classes(np.array(["b"]), np.array(["a long name"])).tolist() == ["a long name", "b"]
    objects = np.array(["b", "a"], dtype=object)
    assert class_index(np.array(["a", "b"]), objects).tolist() == [1, 0]


@pytest.mark.parametrize("groups", [[1, 2], [[1], [2], [3]], [1, None, 2], [1.0, np.nan, 2.0]])
def test_bad_groups(groups: Any) -> None:
    with pytest.raises(HeadInputError, match="group"):
        row_groups(groups, 3)
