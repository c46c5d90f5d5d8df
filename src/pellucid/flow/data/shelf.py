"""Shelf: dataset versions taken apart into columns, and kept while people look at them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.flow.workspace import Workspace
from pellucid.store.datasets import Finding, findings_of, get_version, parse_ref
from pellucid.store.ingests import count_ingests, sightings_of
from pellucid.store.manifests import read_manifest
from pellucid.types import DatasetVersion, Row, Split, Status

SPLITS, STATUSES = tuple(Split), tuple(Status)
NONE = -1  # the code of what is not there
_KEPT = 4  # versions that a shelf holds

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """What the files say of the rows, in their order."""

    ingests: int  # finished ones of the dataset when it was read
    paths: tuple[str, ...]
    texts: tuple[str, ...]  # all paths in small letters
    metadata: Mapping[str, tuple[tuple[str, ...], NDArray[np.int32]]]  # key -> values, and each row's among them


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A version, ready to be looked up. Columns hold a number for each row, of what it has."""

    version: DatasetVersion
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    place: Mapping[str, int]  # sample -> its row
    classes: tuple[str, ...]
    labels: NDArray[np.int32]  # of classes; -1 without label
    splits: NDArray[np.int8]
    statuses: NDArray[np.int8]
    trust: NDArray[np.int16]  # thousandths
    kinds: Mapping[str, Mask]  # kind of finding -> which rows


@dataclass(slots=True, eq=False)
class Shelf:
    """The versions that were looked at last, so that nobody waits for them twice. Thread-safe.

    A version never changes; what its files say may come to be more, and is then read again.
    """

    _tables: OrderedDict[str, Table] = field(default_factory=OrderedDict)
    _files: dict[str, Files] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def table(self, workspace: Workspace, ref: str) -> Table:
        """The version of that reference.

        Raises:
            NotFoundError, UsageError: there is no such version.
            IntegrityError: its manifest was damaged or edited.
        """
        with self._lock:
            if parse_ref(ref)[1] is None or ref not in self._tables:
                with workspace.database.read() as connection:
                    version = get_version(connection, ref)
                    findings = () if version.ref in self._tables else tuple(findings_of(connection, version))
                ref = version.ref
                if ref not in self._tables:
                    self._tables[ref] = _table(version, read_manifest(workspace.blobs, version.content_id), findings)
            self._tables.move_to_end(ref)
            while len(self._tables) > _KEPT:
                self._files.pop(self._tables.popitem(last=False)[0], None)
            return self._tables[ref]

    def files(self, workspace: Workspace, table: Table) -> Files:
        """What the files say of the version's rows by now."""
        ref, dataset = table.version.ref, table.version.dataset
        with self._lock, workspace.database.read() as connection:
            ingests = count_ingests(connection, dataset)
            found = self._files.get(ref)
            if found is None or found.ingests != ingests:
                seen = sightings_of(connection, dataset, [row.sample for row in table.rows])
                paths = [[item.path for item in seen.get(row.sample, ())] for row in table.rows]
                said = [[item.metadata for item in seen.get(row.sample, ())] for row in table.rows]
                found = _files(ingests, paths, said)
                if ref in self._tables:
                    self._files[ref] = found
            return found


def _table(version: DatasetVersion, rows: tuple[Row, ...], findings: tuple[Finding, ...]) -> Table:
    place = {row.sample: at for at, row in enumerate(rows)}
    classes = {name: code for code, name in enumerate(version.classes)}
    kinds: dict[str, Mask] = {}
    for item in findings:
        mask = kinds.setdefault(item.kind, np.zeros(len(rows), np.bool_))
        mask[[place[name] for name in item.samples if name in place]] = True
    return Table(
        version=version,
        rows=rows,
        findings=findings,
        place=place,
        classes=version.classes,
        labels=np.array([NONE if row.label is None else classes[row.label] for row in rows], np.int32),
        splits=np.array([SPLITS.index(row.split) for row in rows], np.int8),
        statuses=np.array([STATUSES.index(row.status) for row in rows], np.int8),
        trust=np.array([row.trust for row in rows], np.int16),
        kinds=kinds,
    )


def _files(ingests: int, paths: Sequence[Sequence[str]], said: Sequence[Sequence[Mapping[str, Any]]]) -> Files:
    columns: dict[str, dict[str, int]] = {}
    codes: dict[str, NDArray[np.int32]] = {}
    for at, items in enumerate(said):
        for item in items:  # of two files that disagree the later one is believed
            for key, value in item.items():
                values = columns.setdefault(key, {})
                column = codes.setdefault(key, np.full(len(said), NONE, np.int32))
                column[at] = values.setdefault(_text(value), len(values))
    return Files(
        ingests=ingests,
        paths=tuple(items[0] if items else "" for items in paths),
        texts=tuple("\n".join(items).lower() for items in paths),
        metadata={key: (tuple(columns[key]), codes[key]) for key in sorted(columns)},
    )


def _text(value: Any) -> str:
    """One spelling for one value, whether a CSV said ``"7"`` or Parquet ``7.0``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
