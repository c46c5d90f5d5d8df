"""Which samples are for training, testing and trust: seeded, stratified, and never through the middle of a group."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from pellucid.types import Split

# A group with samples in several splits counts as the first of these: what is measured on must not be learnt from.
PRECEDENCE = (Split.TRUSTED, Split.TEST, Split.TRAIN)


@dataclass(frozen=True, slots=True)
class Splits:
    """The result of ``assign_splits``."""

    of: Mapping[str, Split]  # by sample
    torn: Mapping[str, Split]  # training samples whose group lies in that other split too; not to be trained on


def merge_groups(ids: Sequence[str], *keys: Sequence[Hashable | None]) -> list[str]:
    """The finest grouping that every key agrees with: samples that share any key are together, as is all they touch.

    Args:
        ids: the samples.
        keys: each one value a sample; None joins with nobody.

    Returns:
        For each sample the smallest id of its group.

    >>> merge_groups(["a", "b", "c", "d"], [1, 1, 2, 3], ["x", None, "x", None])
    ['a', 'a', 'a', 'd']
    """
    parent = {name: name for name in ids}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for key in keys:
        first: dict[Hashable, str] = {}
        for name, value in zip(ids, key, strict=True):
            if value is not None:
                a, b = root(first.setdefault(value, name)), root(name)
                parent[max(a, b)] = min(a, b)
    return [root(name) for name in ids]


def assign_splits(
    ids: Sequence[str],
    labels: Sequence[str | None],
    groups: Sequence[str],
    given: Sequence[Split | None],
    *,
    test_fraction: float,
    trusted_fraction: float,
    seed: int,
) -> Splits:
    """A split for every sample: the given one, or one drawn so that each class is divided by the fractions.

    Groups are drawn whole, in an order that depends on nothing but the seed and their names; a class gives its next
    group to a split while that brings the class nearer to the split's share. Samples without a label go to training,
    where nobody uses them. A group that has members with a given split follows them.

    Args:
        labels: the class of each sample; None where it has none.
        groups: the group of each sample.
        given: the split of each sample where it is decided already.
        test_fraction, trusted_fraction: 0..1, shares of each class.

    >>> found = assign_splits(list("abcde"), ["x"] * 5, list("aacde"), [None] * 5,
    ...                       test_fraction=0.4, trusted_fraction=0.0, seed=0)
    >>> sorted(name for name, split in found.of.items() if split is Split.TEST)
    ['c', 'd']
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    split_of: dict[str, Split] = {}
    decided: dict[str, Split] = {}
    for group, indices in members.items():
        kept = {given[index] for index in indices} - {None}
        if kept:
            decided[group] = next(split for split in PRECEDENCE if split in kept)
    free = {
        group: Counter(label for index in indices if (label := labels[index]) is not None)
        for group, indices in members.items()
        if group not in decided
    }
    have: dict[tuple[str, Split], int] = Counter()
    for group, split in decided.items():
        for index in members[group]:
            if (label := labels[index]) is not None:
                have[label, split] += 1
    sizes = Counter(label for label in labels if label is not None)
    shares = {Split.TRUSTED: trusted_fraction, Split.TEST: test_fraction}
    for group in sorted(free, key=lambda name: _draw(seed, name)):
        decided[group] = _neediest(free[group], sizes, have, shares)
        for label, count in free[group].items():
            have[label, decided[group]] += count
    torn: dict[str, Split] = {}
    for group, indices in members.items():
        for index in indices:
            split_of[ids[index]] = own = given[index] or decided[group]
            if own is Split.TRAIN and decided[group] is not Split.TRAIN:
                torn[ids[index]] = decided[group]
    return Splits(split_of, torn)


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _neediest(
    group: Counter[str],
    sizes: Counter[str],
    have: Mapping[tuple[str, Split], int],
    shares: Mapping[Split, float],
) -> Split:
    """The split that the group brings nearest to its share, training where none gains."""
    if not group:
        return Split.TRAIN
    label, count = min(group.items(), key=lambda item: (-item[1], item[0]))
    for split, share in shares.items():
        lacking = share * sizes[label] - have.get((label, split), 0)
        if share > 0 and count < 2 * lacking:
            return split
    return Split.TRAIN
