"""Herding, by hand and by its promise: the kept rows' mean stays near that of their class."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.replay.herding import herding


def test_the_first_is_nearest_to_the_mean_and_the_second_makes_up_for_it() -> None:
    angles = np.radians([0.0, 50.0, 95.0])
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert herding(X, np.zeros(3, np.intp), 1).tolist() == [1]
    assert herding(5 * X, np.zeros(3, np.intp), 1).tolist() == [1]  # lengths do not count


def test_kept_rows_stand_for_their_class_better_than_drawn_ones() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(1, 1, (300, 8))
    y = np.repeat([0, 1, 2], 100)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)

    def miss(rows: np.ndarray) -> float:
        return sum(
            float(np.linalg.norm(unit[rows[y[rows] == k]].mean(axis=0) - unit[y == k].mean(axis=0))) for k in range(3)
        )

    drawn = np.mean([miss(rng.permutation(300)[:30]) for _ in range(20)])
    assert miss(herding(X, y, 30)) < drawn / 3


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 45))
def test_every_class_has_its_share(labels: list[int], n_keep: int) -> None:
    y = np.array(labels)
    kept = herding(np.random.default_rng(0).normal(size=(len(y), 3)), y, n_keep)
    wanted = min(n_keep, len(y))
    assert len(kept) == len(set(kept.tolist())) == wanted
    assert kept.tolist() == sorted(kept.tolist())
    for label, count in zip(*np.unique(y, return_counts=True), strict=True):
        assert abs((y[kept] == label).sum() - count * wanted / len(y)) < 1


def test_of_no_rows_none_are_kept() -> None:
    assert herding(np.ones((0, 3)), np.zeros(0, np.intp), 5).tolist() == []
    assert herding(np.ones((2, 3)), np.zeros(2, np.intp), 0).tolist() == []
