"""Datasets and their versions: commits that point at immutable manifests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, NotFoundError, UsageError
from pellucid.store.database import Database
from pellucid.store.schema import dataset, dataset_version, finding
from pellucid.types import DatasetVersion

MAX_DIGITS = 9  # of a version's number, which the database holds in 32 bits

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that making a version found in the data and that a person should know."""

    kind: str  # "conflict", "near_conflict", "near_duplicate", "torn_group"
    samples: tuple[str, ...]  # Sample.id
    detail: str


def check_name(name: str) -> str:
    """The name, where it can name a dataset.

    Raises:
        UsageError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a dataset; wanted are up to 100 letters, digits, '.', '_' and '-', "
            "beginning with a letter or a digit"
        )
    return name


def parse_ref(ref: str) -> tuple[str, int | None]:
    """Name and number of ``NAME``, ``NAME@latest`` or ``NAME@3``; None stands for the newest.

    >>> parse_ref("trash@3"), parse_ref("trash")
    (('trash', 3), ('trash', None))
    """
    name, _, version = ref.partition("@")
    if version in {"", "latest"}:
        return name, None
    if not version.isdecimal() or len(version) > MAX_DIGITS:
        raise UsageError(f"{ref!r} names no version; wanted is NAME, NAME@latest or NAME@NUMBER")
    return name, int(version)


def create_dataset(database: Database, connection: sa.Connection, name: str) -> None:
    """Makes the dataset where there is none of that name."""
    database.insert_new(connection, dataset, [{"name": check_name(name), "created_at": datetime.now(UTC)}])


def dataset_names(connection: sa.Connection) -> list[str]:
    """The names of all datasets that have a version."""
    query = sa.select(dataset_version.c.dataset).distinct().order_by(dataset_version.c.dataset)
    return list(connection.execute(query).scalars())


def latest_version(connection: sa.Connection, name: str) -> DatasetVersion | None:
    """The newest version of the dataset, or None where it has none."""
    query = sa.select(dataset_version).where(dataset_version.c.dataset == name)
    row = connection.execute(query.order_by(dataset_version.c.number.desc()).limit(1)).first()
    return _version(row) if row else None


def get_version(connection: sa.Connection, ref: str) -> DatasetVersion:
    """The version that the reference names.

    Raises:
        NotFoundError: there is no such dataset or version; the message lists those there are.
    """
    name, number = parse_ref(ref)
    version = latest_version(connection, name)
    if version is None:
        names = ", ".join(dataset_names(connection)) or "none yet; `pellucid ingest` makes one"
        raise NotFoundError(f"no dataset {name!r}; the project has: {names}")
    if number is None or number == version.number:
        return version
    query = sa.select(dataset_version).where(dataset_version.c.dataset == name, dataset_version.c.number == number)
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(f"no version {ref}; {name} has the versions 1 to {version.number}")
    return _version(row)


def list_versions(connection: sa.Connection, name: str | None = None) -> list[DatasetVersion]:
    """The versions of one dataset or of all, oldest first."""
    query = sa.select(dataset_version)
    if name is not None:
        query = query.where(dataset_version.c.dataset == name)
    rows = connection.execute(query.order_by(dataset_version.c.dataset, dataset_version.c.number))
    return [_version(row) for row in rows]


def commit_version(
    connection: sa.Connection,
    *,
    name: str,
    parent: DatasetVersion | None,
    parents: Sequence[str],
    content_id: str,
    classes: Sequence[str],
    recipe: Mapping[str, Any],
    counts: Mapping[str, int],
    findings: Sequence[Finding],
    ingest_id: int | None = None,
) -> DatasetVersion:
    """Adds a version on top of ``parent``.

    Raises:
        ConcurrencyError: the dataset's newest version is no longer ``parent``; nothing was changed.
    """
    newest = latest_version(connection, name)
    if (newest and newest.number) != (parent and parent.number):
        raise ConcurrencyError(f"{name} got version {newest.number if newest else 0} meanwhile; run the command again")
    number = parent.number + 1 if parent else 1
    values = {
        "dataset": name,
        "number": number,
        "content_id": content_id,
        "parents": list(parents),
        "recipe": dict(recipe),
        "classes": list(classes),
        "counts": dict(counts),
        "ingest_id": ingest_id,
        "created_at": datetime.now(UTC),
    }
    try:
        connection.execute(sa.insert(dataset_version).values(**values))
    except sa.exc.IntegrityError as error:
        raise ConcurrencyError(f"{name} got version {number} meanwhile; run the command again") from error
    if findings:
        rows = [{"kind": item.kind, "samples": list(item.samples), "detail": item.detail} for item in findings]
        connection.execute(sa.insert(finding), [{"dataset": name, "number": number, **row} for row in rows])
    return get_version(connection, f"{name}@{number}")


def findings_of(connection: sa.Connection, version: DatasetVersion, kind: str | None = None) -> list[Finding]:
    """What making the version found."""
    query = sa.select(finding).where(finding.c.dataset == version.dataset, finding.c.number == version.number)
    if kind is not None:
        query = query.where(finding.c.kind == kind)
    rows = connection.execute(query.order_by(finding.c.id))
    return [Finding(row.kind, tuple(row.samples), row.detail) for row in rows]


def _version(row: Any) -> DatasetVersion:
    return DatasetVersion(
        dataset=row.dataset,
        number=row.number,
        content_id=row.content_id,
        parents=tuple(row.parents),
        recipe=row.recipe,
        created_at=row.created_at,
        classes=tuple(row.classes),
        counts=row.counts,
    )
