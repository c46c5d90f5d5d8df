from __future__ import annotations

import hashlib
import math

import pytest

from pellucid.errors import DataError
from pellucid.labels.halves import halve

IDS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(4000)]
GUARD = [0, 1, 3, 4, 7]  # of the first eight: written down once, or a guard's sample would wake up as the gate's


def test_every_sample_is_on_one_side_and_in_its_order() -> None:
    guard, gate = halve(IDS, IDS)
    assert sorted([*guard, *gate]) == sorted(IDS)
    assert list(guard) == [name for name in IDS if name in set(guard)]
    assert abs(len(guard) - 2000) < 4 * math.sqrt(1000)  # four standard deviations of a fair coin


def test_no_group_is_torn() -> None:
    groups = [IDS[number // 4] for number in range(4000)]
    guard, gate = (set(half) for half in halve(IDS, groups))
    of = dict(zip(IDS, groups, strict=True))
    assert {of[name] for name in guard}.isdisjoint(of[name] for name in gate)


def test_a_sample_stays_on_its_side_whoever_else_comes_or_goes() -> None:
    guard, gate = halve(IDS, IDS)
    for part in (IDS[:7], IDS[::-3], IDS[1000:]):
        fewer_guard, fewer_gate = halve(part, part)
        assert set(fewer_guard) <= set(guard)
        assert set(fewer_gate) <= set(gate)


def test_the_sides_are_those_of_every_other_release() -> None:
    guard, gate = halve(IDS[:8], IDS[:8])
    assert [IDS.index(name) for name in guard] == GUARD
    assert [IDS.index(name) for name in gate] == [number for number in range(8) if number not in GUARD]


def test_nobody_is_halved_into_nothing() -> None:
    assert halve([], []) == ((), ())
    with pytest.raises(DataError, match="2 samples have 1 groups"):
        halve(["a", "b"], ["a"])
