"""The two halves of the trusted samples: one guards online learning, the other judges candidates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def halve(ids: Sequence[str], groups: Sequence[str]) -> tuple[list[str], list[str]]:
    """Guard and gate: which samples are in which half, in their order.

    The digest of a sample's group decides, so that groups stay whole and no sample ever changes sides, whatever else
    comes and goes.

    >>> halve(["a", "b", "c", "d"], ["a", "b", "b", "d"])
    (['a'], ['b', 'c', 'd'])
    """
    guard: list[str] = []
    gate: list[str] = []
    for name, group in zip(ids, groups, strict=True):
        half = guard if hashlib.sha256(f"half {group}".encode()).digest()[0] % 2 else gate
        half.append(name)
    return guard, gate
