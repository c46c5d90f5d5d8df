from __future__ import annotations

import numpy as np
import pytest

from pellucid.noise.copies import USUAL, copy_cosine, originals


def test_it_is_half_way_from_what_distinct_images_reach() -> None:
    angles = np.radians(np.arange(0, 360, 10))  # 36 directions: each one's nearest is 10 degrees away
    X = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert copy_cosine(X) == pytest.approx((1 + np.cos(np.radians(10))) / 2)


def test_images_of_one_group_tell_nothing() -> None:
    angles = np.radians(np.repeat(np.arange(0, 360, 10), 2))  # each twice
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert copy_cosine(X) == pytest.approx(1)
    groups = [str(place // 2) for place in range(len(X))]
    assert copy_cosine(X, groups) == pytest.approx((1 + np.cos(np.radians(10))) / 2)


def test_neither_order_nor_length_matters_and_one_pair_of_copies_does_not_either() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 20))
    found = copy_cosine(X)
    assert copy_cosine(X[rng.permutation(300)]) == pytest.approx(found, abs=1e-6)
    assert copy_cosine(X * rng.uniform(1, 9, size=(300, 1))) == pytest.approx(found, abs=1e-6)
    assert copy_cosine(np.concatenate([X, X[:1]])) == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize("n", [0, 1, 19])
def test_of_a_few_the_usual_is_taken(n: int) -> None:
    assert copy_cosine(np.ones((n, 4))) == USUAL


def test_zero_vectors_and_one_group_are_survived() -> None:
    assert copy_cosine(np.zeros((40, 4))) == 0.5
    assert copy_cosine(np.ones((40, 4)), ["one"] * 40) == 0.5


def test_only_originals_have_copies() -> None:
    angles = np.radians([0, 8, 16, 90, 95, 4])  # 10 degrees apart are copies
    X = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert originals(X, np.cos(np.radians(10))).tolist() == [0, 0, 2, 3, 3, 0]


@pytest.mark.parametrize("n", [0, 1, 40, 2500])
def test_originals_as_one_would_look_for_them_one_by_one(n: int) -> None:
    X = np.random.default_rng(n).normal(size=(n, 3))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    wanted: list[int] = []
    for place, x in enumerate(X):
        wanted.append(next((at for at in range(place) if wanted[at] == at and X[at] @ x > 0.99), place))
    found = originals(X, 0.99)
    assert found.tolist() == wanted
    assert n < 2500 or 100 < len(set(wanted)) < 1000


def test_zeros_are_no_copies() -> None:
    assert originals(np.zeros((3, 4)), 0.5).tolist() == [0, 1, 2]
