"""Making a dataset's next version out of its newest one and the votes that have come since."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.features.similar import near_groups
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.labels.consensus import derive
from pellucid.labels.split import assign_splits, merge_groups
from pellucid.store.datasets import Finding, commit_version, findings_of, latest_version
from pellucid.store.ingests import (
    Sighting,
    finish_ingest,
    forget_ingest,
    metadata_of,
    sightings_in,
    sightings_of,
)
from pellucid.store.manifests import content_id, read_manifest, write_manifest
from pellucid.store.samples import sketches_of
from pellucid.store.votes import votes_of
from pellucid.types import TRUST_SCALE, DatasetVersion, Row, Split, Status

_ATTEMPTS = 20  # commits that may lose the race against other processes before this one gives up
_MEASURED = {Split.TRUSTED: "trusted", Split.TEST: "test"}


@dataclass(frozen=True, slots=True)
class VersionRules:
    """How a dataset is divided; a child version follows its parent's rules unless told otherwise."""

    test_fraction: float
    trusted_fraction: float
    seed: int
    group_by: str | None  # metadata key whose samples stay together

    @property
    def held_out(self) -> float:
        """The share that is not trained on."""
        return self.test_fraction + self.trusted_fraction

    def to_dict(self) -> dict[str, Any]:
        """As it is kept in a version's recipe."""
        return asdict(self)


def rules_of(version: DatasetVersion) -> VersionRules:
    """The rules that the version was made by."""
    recipe = version.recipe
    return VersionRules(recipe["test_fraction"], recipe["trusted_fraction"], recipe["seed"], recipe["group_by"])


def commit_votes(
    workspace: Workspace,
    dataset: str,
    *,
    rules: VersionRules,
    recipe: Mapping[str, Any],
    ingest_id: int | None = None,
    touched: Iterable[str] = (),
    progress: Progress = no_progress,
) -> tuple[DatasetVersion, bool, list[Finding]]:
    """Commits what an ingest, or votes on single samples, add to the dataset.

    The version is made outside any transaction and committed by compare-and-swap: where another process was faster,
    it is made again on top of the other's.

    Args:
        ingest_id: the ingest whose samples come in and whose votes count from now on.
        touched: samples whose votes have changed otherwise.

    Returns:
        The version, whether it is new, and what making it found; where the content is that of the newest version, no
        new one is made.
    """
    for _ in range(_ATTEMPTS):
        with workspace.database.read() as connection:
            parent = latest_version(connection, dataset)
            new = sightings_in(connection, ingest_id) if ingest_id is not None else []
            draft = _Draft(workspace, connection, dataset, parent, rules, ingest_id, new, set(touched))
            progress("grouping", 0, None)
            rows, findings = draft.build()
            repeats = parent is not None and content_id(rows) == parent.content_id
            nothing_new = repeats and draft.brings_nothing()
        if parent is not None and repeats:
            with workspace.database.write() as connection:
                if ingest_id is not None and not nothing_new:
                    finish_ingest(connection, ingest_id)
                elif ingest_id is not None:
                    forget_ingest(connection, ingest_id)
                return parent, False, findings_of(connection, parent)
        name = write_manifest(workspace.blobs, rows)
        known = parent.classes if parent else ()
        labels = {row.label for row in rows if row.label is not None}
        try:
            with workspace.database.write() as connection:
                version = commit_version(
                    connection,
                    name=dataset,
                    parent=parent,
                    parents=[parent.ref] if parent else [],
                    content_id=name,
                    classes=[*known, *sorted(labels.difference(known))],
                    recipe=recipe,
                    counts=count_rows(rows),
                    findings=findings,
                    ingest_id=ingest_id,
                )
                if ingest_id is not None:
                    finish_ingest(connection, ingest_id)
            return version, True, findings
        except ConcurrencyError:
            continue
    raise ConcurrencyError(f"{dataset} is being changed all the time by others; run the command again")


def count_rows(rows: Iterable[Row]) -> dict[str, int]:
    """Images by split, where they may be used, and by status, where they may not."""
    counts = Counter(str(row.split if row.status is Status.OK else row.status) for row in rows)
    return {"images": sum(counts.values()), **dict(sorted(counts.items()))}


class _Draft:
    """One attempt at the next version, on top of what was the newest one when it began."""

    def __init__(
        self,
        workspace: Workspace,
        connection: sa.Connection,
        dataset: str,
        parent: DatasetVersion | None,
        rules: VersionRules,
        ingest_id: int | None,
        new: Sequence[Sighting],
        touched: set[str],
    ) -> None:
        self._connection = connection
        self._dataset = dataset
        self._rules = rules
        self._pending = ingest_id
        self._new = new
        self._before = {row.sample: row for row in read_manifest(workspace.blobs, parent.content_id)} if parent else {}
        self._touched = sorted(touched | {item.sample for item in new})
        self._ids = sorted(self._before.keys() | set(self._touched))

    def build(self) -> tuple[list[Row], list[Finding]]:
        """The rows, sorted by sample, and what was found on the way."""
        rows = self._labelled()
        near = near_groups(self._ids, sketches_of(self._connection, self._ids))
        groups = merge_groups(self._ids, near, self._keys())
        splits = assign_splits(
            self._ids,
            [rows[name].label for name in self._ids],
            groups,
            self._given(),
            test_fraction=self._rules.test_fraction,
            trusted_fraction=self._rules.trusted_fraction,
            seed=self._rules.seed,
        )
        finished = []
        for name, group in zip(self._ids, groups, strict=True):
            row = replace(rows[name], group=group, split=splits.of[name])
            if name in splits.torn and row.status is Status.OK:
                reason = f"its group is in the {_MEASURED[splits.torn[name]]} split too"
                row = replace(row, status=Status.SET_ASIDE, reason=reason)
            finished.append(row)
        return finished, [*self._conflicts(finished), *_near_findings(finished, near), *_torn(finished)]

    def brings_nothing(self) -> bool:
        """Whether the ingest saw no file that an earlier one had not seen just so."""
        before = sightings_of(self._connection, self._dataset, self._touched)
        return all(item in before.get(item.sample, ()) for item in self._new)

    def _labelled(self) -> dict[str, Row]:
        rows = dict(self._before)
        votes = votes_of(self._connection, self._dataset, self._touched, pending=self._pending)
        for name in self._touched:
            said = derive(votes.get(name, ()))
            split = self._before[name].split if name in self._before else Split.TRAIN
            rows[name] = Row(name, said.label, min(said.trust, TRUST_SCALE), split, said.status, said.reason, name)
        return rows

    def _given(self) -> list[Split | None]:
        given: dict[str, Split] = {name: row.split for name, row in self._before.items()}
        seen: dict[str, set[Split]] = defaultdict(set)
        for item in self._new:
            if item.split is not None:
                seen[item.sample].add(item.split)
        for name, found in seen.items():
            given[name] = next(split for split in (Split.TRUSTED, Split.TEST, Split.TRAIN) if split in found)
        return [given.get(name) for name in self._ids]

    def _keys(self) -> list[Any]:
        key = self._rules.group_by
        if key is None:
            return [None] * len(self._ids)
        found = metadata_of(self._connection, self._dataset, self._ids)
        for item in self._new:
            found.setdefault(item.sample, {}).update(item.metadata)
        return [found.get(name, {}).get(key) for name in self._ids]

    def _conflicts(self, rows: Sequence[Row]) -> list[Finding]:
        names = [row.sample for row in rows if row.status is Status.CONFLICT]
        paths: dict[str, list[str]] = {
            name: [item.path for item in items]
            for name, items in sightings_of(self._connection, self._dataset, names).items()
        }
        unsettled = set(names)
        for item in self._new:
            if item.sample in unsettled:
                paths.setdefault(item.sample, []).append(item.path)
        reasons = {row.sample: row.reason for row in rows}
        return [
            Finding("conflict", (name,), f"{reasons[name]}: {', '.join(dict.fromkeys(paths.get(name, ())))}")
            for name in names
        ]


def _near_findings(rows: Sequence[Row], near: Sequence[str]) -> list[Finding]:
    members: dict[str, list[Row]] = defaultdict(list)
    for row, group in zip(rows, near, strict=True):
        members[group].append(row)
    findings = []
    for alike in members.values():
        labels = sorted({row.label for row in alike if row.label is not None})
        if len(alike) > 1:
            names = tuple(row.sample for row in alike)
            findings.append(Finding("near_duplicate", names, f"{len(alike)} images show the same thing"))
            if len(labels) > 1:
                detail = f"near-identical images are labelled {' and '.join(labels)}"
                findings.append(Finding("near_conflict", names, detail))
    return findings


def _torn(rows: Sequence[Row]) -> list[Finding]:
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        members[row.group].append(row)
    findings = []
    for group in members.values():
        splits = sorted({str(row.split) for row in group})
        if len(splits) > 1:
            aside = sum(row.status is Status.SET_ASIDE for row in group)
            detail = f"one group lies in {' and '.join(splits)}; {aside} training copies are set aside"
            findings.append(Finding("torn_group", tuple(row.sample for row in group), detail))
    return findings
