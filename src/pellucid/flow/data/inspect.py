"""Inspect: what a dataset version holds, what was found in it, and what was set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from pellucid.flow.workspace import Workspace
from pellucid.store.datasets import Finding, findings_of, get_version, list_versions
from pellucid.store.ingests import Rejected, ingests_of, rejected_in
from pellucid.store.manifests import read_manifest
from pellucid.types import DatasetVersion, Row, Status


@dataclass(frozen=True, slots=True)
class Inspection:
    """A dataset version, looked at."""

    version: DatasetVersion
    rows: tuple[Row, ...]
    by_class: Mapping[str, Mapping[str, int]]  # class -> split -> usable images
    set_aside: Mapping[str, int]  # reason -> images of the version that nobody trains on
    findings: tuple[Finding, ...]
    rejected: tuple[Rejected, ...]  # files that could not be used at all


def inspect(workspace: Workspace, ref: str) -> Inspection:
    """Everything about a version that a person may want to know.

    Raises:
        NotFoundError: there is no such version.
        IntegrityError: its manifest was damaged or edited.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, ref)
        findings = findings_of(connection, version)
        rejected = _rejected(connection, version)
    rows = read_manifest(workspace.blobs, version.content_id)
    usable = Counter((row.label, str(row.split)) for row in rows if row.status is Status.OK)
    splits = sorted({split for _, split in usable})
    return Inspection(
        version=version,
        rows=rows,
        by_class={name: {split: usable[name, split] for split in splits} for name in version.classes},
        set_aside=Counter(_reason(row) for row in rows if row.status is not Status.OK),
        findings=tuple(findings),
        rejected=tuple(rejected),
    )


def _rejected(connection: sa.Connection, version: DatasetVersion) -> list[Rejected]:
    """The files that were set aside up to the version, each once however often it was offered."""
    later = [item.created_at for item in list_versions(connection, version.dataset) if item.number > version.number]
    until = min(later, default=None)
    counted = {
        item["id"] for item in ingests_of(connection, version.dataset) if until is None or item["finished_at"] < until
    }
    found = [item for number, item in rejected_in(connection, version.dataset) if number in counted]
    return list(dict.fromkeys(found))


def _reason(row: Row) -> str:
    return row.reason if row.status is Status.SET_ASIDE and row.reason else str(row.status)
