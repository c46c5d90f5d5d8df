from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from pellucid.labels.split import Splits, assign_splits, merge_groups
from pellucid.types import Split

KEYS = st.lists(st.tuples(st.sampled_from([None, 1, 2, 3, 4]), st.sampled_from([None, "x", "y", "z"])), max_size=12)


@given(KEYS)
def test_groups_are_the_connected_components(keys: list[tuple[int | None, str | None]]) -> None:
    ids = [f"{index:02}" for index in range(len(keys))]
    alike = [[any(a == b is not None for a, b in zip(one, two, strict=True)) for two in keys] for one in keys]
    _, component = connected_components(np.array(alike).reshape(len(keys), len(keys)), directed=False)
    smallest = {int(number): name for number, name in reversed(list(zip(component, ids, strict=True)))}
    wanted = [smallest[int(number)] for number in component]
    assert merge_groups(ids, *zip(*keys, strict=True)) == wanted


class Collection(NamedTuple):
    """Samples s0, s1, ... and what is known of them."""

    labels: list[str | None]
    groups: list[str]
    given: list[Split | None]

    @property
    def ids(self) -> list[str]:
        return [f"s{index}" for index in range(len(self.labels))]

    def split(self, seed: int = 0, test: float = 0.3) -> Splits:
        return assign_splits(self.ids, *self, test_fraction=test, trusted_fraction=0.1, seed=seed)


@st.composite
def collections(draw: st.DrawFn) -> Collection:
    n = draw(st.integers(1, 40))
    groups = st.sampled_from([f"g{index}" for index in range(30)])
    return Collection(
        draw(st.lists(st.sampled_from(["a", "b", None]), min_size=n, max_size=n)),
        draw(st.lists(groups, min_size=n, max_size=n)),
        draw(st.lists(st.sampled_from([None, None, None, *Split]), min_size=n, max_size=n)),
    )


@given(collections(), st.integers(0, 3))
def test_no_group_is_torn_but_by_given_splits_and_those_win(data: Collection, seed: int) -> None:
    found = data.split(seed=seed)
    members = defaultdict(list)
    for name, group, decided in zip(data.ids, data.groups, data.given, strict=True):
        members[group].append((name, decided))
        if decided is not None:
            assert found.of[name] is decided
    for group_members in members.values():
        splits = {found.of[name] for name, _ in group_members}
        given_splits = {decided for _, decided in group_members} - {None}
        if given_splits:
            assert splits == given_splits
        else:
            assert len(splits) == 1
        # Whoever trains on what is neither set aside nor held out learns nothing of a held-out group.
        learnt = {name for name, _ in group_members if found.of[name] is Split.TRAIN} - set(found.torn)
        assert not learnt or splits == {Split.TRAIN}


@given(collections())
def test_order_does_not_matter(data: Collection) -> None:
    found = data.split()
    back = assign_splits(
        data.ids[::-1],
        data.labels[::-1],
        data.groups[::-1],
        data.given[::-1],
        test_fraction=0.3,
        trusted_fraction=0.1,
        seed=0,
    )
    assert dict(back.of) == dict(found.of)
    assert dict(back.torn) == dict(found.torn)


@pytest.mark.parametrize("seed", range(3))
def test_every_class_is_divided_by_the_fractions(seed: int) -> None:
    labels = ["a"] * 100 + ["b"] * 10 + ["c"] * 1000
    ids = [f"s{index}" for index in range(len(labels))]
    found = assign_splits(ids, labels, ids, [None] * len(ids), test_fraction=0.2, trusted_fraction=0.1, seed=seed)
    counts = Counter((label, found.of[name]) for label, name in zip(labels, ids, strict=True))
    for label, n in (("a", 100), ("b", 10), ("c", 1000)):
        assert counts[label, Split.TEST] == 0.2 * n
        assert counts[label, Split.TRUSTED] == 0.1 * n


def test_seeds_differ_and_repeat() -> None:
    data = Collection(["a"] * 30, [f"g{index}" for index in range(30)], [None] * 30)
    assert data.split(seed=1).of == data.split(seed=1).of
    assert data.split(seed=1).of != data.split(seed=2).of


def test_large_groups_do_not_swell_the_test_split() -> None:
    groups = ["big"] * 50 + [f"g{index}" for index in range(50)]
    found = Collection(["a"] * 100, groups, [None] * 100).split(test=0.2)
    assert 15 <= sum(part is Split.TEST for part in found.of.values()) <= 25


def test_unlabelled_images_are_not_tested_on() -> None:
    found = Collection([None] * 5, list("abcde"), [None] * 5).split()
    assert set(found.of.values()) == {Split.TRAIN}


def test_training_copies_of_a_measured_group_are_named() -> None:
    found = Collection(["a"] * 3, ["g", "g", "h"], [Split.TRAIN, Split.TRUSTED, None]).split()
    assert found.torn == {"s0": Split.TRUSTED}
