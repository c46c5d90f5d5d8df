"""Two days: disjoint, stratified, groups whole, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, UsageError
from pellucid.protocol.days import Days, draw_days

PARTS = ("monday_train", "monday_test", "tuesday_train", "tuesday_test")


def parts(days: Days) -> list[list[int]]:
    return [getattr(days, name).tolist() for name in PARTS]


def test_halves_and_fifths_of_every_class() -> None:
    y = np.repeat([0, 1, 2], [20, 40, 100])
    days = draw_days(y, np.arange(160), seed=3)
    counts = [np.bincount(y[rows]).tolist() for rows in parts(days)]
    assert counts == [[8, 16, 40], [2, 4, 10], [8, 16, 40], [2, 4, 10]]
    assert days.tuesday.tolist() == sorted(days.tuesday_train.tolist() + days.tuesday_test.tolist())


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=30, max_size=60), st.integers(0, 99))
def test_every_row_is_in_one_part_and_every_group_too(groups: list[tuple[int, int]], seed: int) -> None:
    y = np.concatenate([[label] * size for label, size in groups])
    codes = np.concatenate([[number] * size for number, (_, size) in enumerate(groups)])
    try:
        days = draw_days(y, codes, seed)
    except DataError:
        return
    rows = parts(days)
    assert sorted(row for part in rows for row in part) == list(range(len(y)))
    seen = [set(codes[part].tolist()) for part in rows]
    assert sum(map(len, seen)) == len(groups)


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_of_images_and_not_of_groups(seed: int) -> None:
    sizes = np.tile([1, 1, 1, 9], 50)
    codes = np.repeat(np.arange(200), sizes)
    days = draw_days(np.arange(200)[codes] // 100, codes, seed)
    assert [len(part) for part in parts(days)] == pytest.approx([240, 60, 240, 60], abs=10)


def test_the_seed_decides() -> None:
    y, codes = np.arange(100) % 4, np.arange(100)
    assert parts(draw_days(y, codes, 1)) == parts(draw_days(y, codes, 1))
    assert parts(draw_days(y, codes, 1)) != parts(draw_days(y, codes, 2))


def test_bounds_keep_the_shares_of_the_classes_and_all_test_images() -> None:
    y = np.repeat([0, 1], [100, 200])
    whole = draw_days(y, np.arange(300), 0)
    less = draw_days(y, np.arange(300), 0, monday=30, tuesday=60)
    least = draw_days(y, np.arange(300), 0, monday=15)
    assert [len(part) for part in parts(less)] == [30, 30, 60, 30]
    assert np.bincount(y[less.monday_train]).tolist() == [10, 20]
    assert less.monday_test.tolist() == whole.monday_test.tolist()
    assert set(least.monday_train.tolist()) < set(less.monday_train.tolist()) < set(whole.monday_train.tolist())


def test_text_labels_and_groups() -> None:
    days = draw_days(["a", "b"] * 10, [f"g{n}" for n in range(20)], 0)
    assert len(days.monday_train) == 8


@pytest.mark.parametrize(
    ("y", "groups"),
    [
        ([0, 1] * 2, range(4)),  # too few for four parts
        ([0] * 20, range(20)),  # one class
        ([0, 1] * 10, [0] * 20),  # one group
        ([], []),
        ([0, 1], [0]),
    ],
)
def test_too_little_is_refused(y: list[int], groups: list[int]) -> None:
    with pytest.raises(DataError):
        draw_days(y, list(groups), 0)


def test_a_bound_below_two_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        draw_days([0, 1] * 20, range(40), 0, tuesday=1)
