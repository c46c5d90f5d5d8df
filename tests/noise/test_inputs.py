from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid.errors import DataError, UsageError
from pellucid.noise.inputs import (
    check_features,
    check_fraction,
    check_labels,
    check_probabilities,
    check_seed,
    check_weight,
)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["b", "a", "b"], ["a", "b"]),
        (np.array(["b", "a", "b"], dtype=object), ["a", "b"]),
        ([7, -2, 7], [-2, 7]),
        ([1.0, 0.0, 1.0], [0, 1]),
        ([True, False, True], [False, True]),
    ],
)
def test_labels_of_every_kind_become_indices_and_back(y: Any, classes: list[Any]) -> None:
    labels = check_labels(y)
    assert labels.classes.tolist() == classes
    assert labels.index.tolist() == [1, 0, 1]
    assert labels.classes[labels.index].tolist() == list(y)


def test_given_classes_keep_their_order_and_may_be_absent() -> None:
    labels = check_labels(["b", "a"], ["c", "b", "a"])
    assert labels.classes.tolist() == ["c", "b", "a"]
    assert labels.index.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("y", "says"),
    [
        ([], "no labels"),
        ([["a"], ["b"]], "shape"),
        ([[1], [1, 2]], "no plain list"),
        ([1.5, 2.0], "fractions"),
        ([1.0, np.nan], "missing"),
        ([1.0, np.inf], "missing"),
        (["a", None], "missing"),
        (["a", 1], "mixes"),
        (np.array(["a", 1], dtype=object), "mixes"),
        (np.array([1j]), "complex"),
        ([2**70, 1], "64 bits"),
        ([1e300, 1.0], "exact"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "datetime"),
    ],
)
def test_labels_that_cannot_be_used(y: Any, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        check_labels(y)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "says"),
    [(["a"], "not among"), (["a", "a", "b"], "once"), ([0, 1], "same type"), ([], "names none")],
)
def test_classes_that_do_not_fit(classes: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        check_labels(["a", "b"], classes)


def test_no_class_is_no_class_for_numbers_too() -> None:
    with pytest.raises(DataError, match="names none"):
        check_labels([1, 2], [])


@pytest.mark.parametrize("kind", [np.int64, np.bool_, np.str_])
def test_labels_of_numpys_own_kinds_may_come_as_objects(kind: Any) -> None:
    labels = check_labels(np.array([kind(1), kind(0), kind(1)], dtype=object))
    assert labels.index.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("X", "says"),
    [
        (np.ones((2, 2), complex), "complex"),
        ([[1.0], [1.0, 2.0]], "numbers"),
        ([["a"]], "numbers"),
        ([[np.nan]], "NaN"),
        ([1.0, 2.0], "shape"),
        (np.ones((0, 3)), "shape"),
        (np.ones((3, 0)), "shape"),
        (None, "shape"),
    ],
)
def test_features_that_cannot_be_used(X: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        check_features(X)


@pytest.mark.parametrize(("dtype", "kept"), [(np.float32, np.float32), (np.float16, np.float64), (np.int8, np.float64)])
def test_features_stay_single_or_become_double(dtype: Any, kept: Any) -> None:
    assert check_features(np.ones((2, 2), dtype)).dtype == kept


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        ([1.0], "shape"),
        ([1.0, -1.0], "negative"),
        ([1.0, np.nan], "missing"),
        ([0.0, 0.0], "0 everywhere"),
        ([1e300, 1.0], "1e\\+300"),
        (["a", "b"], "numbers"),
    ],
)
def test_weights_that_cannot_be_used(weight: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        check_weight(weight, 2)


def test_probabilities_are_made_to_sum_to_one_exactly() -> None:
    p = check_probabilities(np.array([[0.2501, 0.75], [0, 1]], dtype=np.float32), 2)
    assert p.dtype == np.float64
    assert p.sum(axis=1).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("p", "says"),
    [
        ([[0.5, 0.4]], "sums to 0.9"),
        ([[0.0, 0.0]], "sums to 0"),
        ([[-0.5, 1.5]], "negative"),
        ([[np.nan, 1]], "missing"),
        ([[np.inf, 1]], "infinite"),
        ([0.5, 0.5], "shape"),
        ([[0.5, 0.5]] * 2, "n = 1"),
        (np.ones((1, 0)), "shape"),
        ([["a", "b"]], "numbers"),
        ([[0.5, 0.5], [1.0]], "numbers"),
        ([[0.5 + 0j, 0.5]], "complex"),
    ],
)
def test_probabilities_that_cannot_be_used(p: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        check_probabilities(p, 1)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, "0.3", None, True])
def test_a_fraction_outside_its_range(value: Any) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        check_fraction(value, "rate")


@pytest.mark.parametrize("seed", [-1, 0.5, "1", None, True])
def test_a_bad_seed(seed: Any) -> None:
    with pytest.raises(UsageError, match="whole number"):
        check_seed(seed)
