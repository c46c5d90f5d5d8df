"""The two halves of the trusted samples: one guards what is learnt online, the other is the promotion gate's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from pellucid.errors import DataError
from pellucid.types import Row, Split, Status

_PURPOSE = "trusted half"  # sets these draws apart from those of splits, which hash group names too


def halve(ids: Sequence[str], groups: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the guard's half and of the gate's, each in the order given.

    The first bit of the sha256 of a group's name decides, and nothing else does: no group is torn, a sample stays on
    its side whatever samples come or go, and all who ask agree without a record. The price is that the halves are only
    nearly equal: of n groups, n / 2 give or take sqrt(n) / 2. A group is drawn anew only where a merger renames it.

    Args:
        ids: the samples.
        groups: the group of each sample, as a manifest row has it.

    Raises:
        DataError: there is not one group for each sample.

    >>> guard, gate = halve(["f", "g", "h", "i", "j"], ["f", "g", "h", "h", "j"])
    >>> guard, gate
    (('f', 'g'), ('h', 'i', 'j'))
    """
    if len(ids) != len(groups):
        raise DataError(f"{len(ids)} samples have {len(groups)} groups; wanted is one group for each sample")
    side = {group: _for_gate(group) for group in set(groups)}
    pairs = list(zip(ids, groups, strict=True))
    guard = tuple(name for name, group in pairs if not side[group])
    return guard, tuple(name for name, group in pairs if side[group])


def halve_trusted(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """The guard's and the gate's rows of a version: those of the trusted split that have a label and may be used."""
    trusted = [row for row in rows if row.split is Split.TRUSTED and row.status is Status.OK and row.label is not None]
    gates = set(halve([row.sample for row in trusted], [row.group for row in trusted])[1])
    return [row for row in trusted if row.sample not in gates], [row for row in trusted if row.sample in gates]


def _for_gate(group: str) -> bool:
    return hashlib.sha256(f"{_PURPOSE}:{group}".encode()).digest()[0] >= 128
