"""What making a version finds in the data: conflicts, near-duplicates and groups that the given splits tear."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from pellucid.store.datasets import Finding
from pellucid.types import Row, Status

_NAMED = 4  # files that a finding names

PathsOf = Callable[[Iterable[str]], Mapping[str, Sequence[str]]]  # of samples: the files that held each


def find(rows: Sequence[Row], near: Sequence[str], paths_of: PathsOf) -> list[Finding]:
    """What a person should know about the rows of a version.

    Args:
        near: for each row the near-duplicate group, which a metadata key may have joined to larger groups.
        paths_of: names the files, which are what people recognise.
    """
    groups = [(kind, members, what) for kind, members, what in _found(rows, near)]
    paths = paths_of({row.sample for _, members, _ in groups for row in members})
    return [
        Finding(kind, tuple(row.sample for row in members), f"{what}: {_files(members, paths)}")
        for kind, members, what in groups
    ]


def _found(rows: Sequence[Row], near: Sequence[str]) -> Iterable[tuple[str, Sequence[Row], str]]:
    for row in rows:
        if row.status is Status.CONFLICT:
            yield "conflict", [row], row.reason
    for alike in _by(near, rows):
        yield "near_duplicate", alike, f"{len(alike)} images show the same thing"
        labels = sorted({row.label for row in alike if row.label is not None})
        if len(labels) > 1:
            yield "near_conflict", alike, f"near-identical images are labelled {' and '.join(labels)}"
    for group in _by([row.group for row in rows], rows):
        splits = sorted({str(row.split) for row in group})
        if len(splits) > 1:
            aside = sum(row.status is Status.SET_ASIDE for row in group)
            copies = f"{aside} training {'copy is' if aside == 1 else 'copies are'} set aside"
            yield "torn_group", group, f"one group lies in {' and '.join(splits)}; {copies}"


def _by(keys: Sequence[str], rows: Sequence[Row]) -> list[list[Row]]:
    """The groups of more than one."""
    members: dict[str, list[Row]] = defaultdict(list)
    for key, row in zip(keys, rows, strict=True):
        members[key].append(row)
    return [group for group in members.values() if len(group) > 1]


def _files(members: Sequence[Row], paths: Mapping[str, Sequence[str]]) -> str:
    named = [path for row in members for path in paths.get(row.sample, ())]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
