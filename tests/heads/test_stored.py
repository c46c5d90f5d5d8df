from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pellucid.errors import IntegrityError
from pellucid.heads.stored import (
    expect_names,
    pack_classes,
    take_array,
    take_classes,
    take_count,
    take_number,
    take_share,
)


@pytest.mark.parametrize(
    "classes",
    [
        np.array([0, 3, 9]),
        np.array([0, 3], dtype=np.uint8),
        np.array([False, True]),
        np.array([-0.5, 1e300]),
        np.array(["", "a b", "ü\n"]),
    ],
)
def test_classes_come_back(classes: NDArray[Any]) -> None:
    again = take_classes({"classes": pack_classes(classes)})
    assert again.dtype == classes.dtype
    np.testing.assert_array_equal(again, classes)


def test_objects_come_back_as_strings() -> None:
    again = take_classes({"classes": pack_classes(np.array(["a", "bc"], dtype=object))})
    assert again.tolist() == ["a", "bc"]
    assert again.dtype == np.dtype("U2")


@pytest.mark.parametrize(
    "packed",
    [
        None,
        [0, 1],
        {},
        {"dtype": "<i8"},
        {"dtype": "<i8", "values": [1]},
        {"dtype": "<i8", "values": [1, 0]},
        {"dtype": "<i8", "values": [0, 0]},
        {"dtype": "<i8", "values": [[0, 1]]},
        {"dtype": "<i8", "values": [0, 1.5]},
        {"dtype": "<i8", "values": ["a", "b"]},
        {"dtype": "|u1", "values": [0, 256]},
        {"dtype": "<U1", "values": ["a", "bc"]},
        {"dtype": "<f8", "values": [0.0, float("nan")]},
        {"dtype": "|O", "values": ["a", "b"]},
        {"dtype": "nothing", "values": [0, 1]},
        {"dtype": 3, "values": [0, 1]},
    ],
)
def test_unsound_classes(packed: Any) -> None:
    with pytest.raises(IntegrityError):
        take_classes({"classes": packed})


def test_names_are_exact() -> None:
    for content in ({}, {"a": 1, "b": 2}):
        with pytest.raises(IntegrityError, match=r"where \['a'\] is wanted"):
            expect_names(content, {"a"})


@pytest.mark.parametrize(
    "array",
    [np.ones((2, 3), np.float32), np.ones(2), np.ones((0, 3)), np.ones((2, 4)), np.full((2, 3), np.inf)],
)
def test_unsound_arrays(array: NDArray[Any]) -> None:
    with pytest.raises(IntegrityError, match="stored weights"):
        take_array({"weights": array}, "weights", (None, 3))


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "1", None, True, [1]])
def test_unsound_numbers(value: Any) -> None:
    with pytest.raises(IntegrityError, match="stored T"):
        take_number({"T": value}, "T", above=0)


@pytest.mark.parametrize("value", [-1, 2.0, 1.5, "1", None, True])
def test_unsound_counts(value: Any) -> None:
    with pytest.raises(IntegrityError, match="stored n"):
        take_count({"n": value}, "n", at_least=0)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "1", None, True])
def test_unsound_shares(value: Any) -> None:
    with pytest.raises(IntegrityError, match="stored e"):
        take_share({"e": value}, "e")


def test_one_class_is_enough_where_it_is_said_so() -> None:
    assert take_classes({"classes": pack_classes(np.array(["only"]))}, at_least=1).tolist() == ["only"]
