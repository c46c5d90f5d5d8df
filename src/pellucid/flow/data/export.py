"""Export: a dataset version as class folders, with a manifest and Croissant metadata."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import StorageError, UsageError
from pellucid.flow.data.croissant import FORMATS, croissant
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.blobs import digest_of, write_whole
from pellucid.store.datasets import get_version
from pellucid.store.ingests import metadata_of
from pellucid.store.manifests import read_manifest
from pellucid.store.samples import media_of
from pellucid.types import TRUST_SCALE, DatasetVersion, Row, Status

MANIFEST = "metadata.csv"  # the name that Hugging Face's ImageFolder looks for; `pellucid ingest` reads it too
_LONGEST = 50  # characters of a class in a folder's name; file systems take 255 bytes
_COLUMNS = ("file_name", "label", "split", "trust", "status", "reason", "group", "sample")


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote."""

    version: DatasetVersion
    folder: Path
    images: int


def export(
    workspace: Workspace,
    ref: str,
    target: Path,
    *,
    include_unusable: bool = False,
    progress: Progress = no_progress,
) -> ExportReport:
    """Writes ``split/class/SAMPLE.ext`` for every usable image, metadata.csv, and croissant.json (Croissant 1.1).

    A run that was stopped can be repeated: what is written already is kept.

    Args:
        include_unusable: also writes images that are set aside, in conflict or unlabelled, under ``_STATUS/``.

    Raises:
        UsageError: the folder holds another export or other files.
        StorageError: it cannot be written to.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, ref)
        rows = read_manifest(workspace.blobs, version.content_id)
        chosen = [row for row in rows if include_unusable or row.status is Status.OK]
        media = media_of(connection, [row.sample for row in chosen])
        metadata = metadata_of(connection, version.dataset, [row.sample for row in chosen])
    images = workspace.images.readers([row.sample for row in chosen])
    folders = class_folders(version.classes)
    names = [f"{_place(row, folders)}/{row.sample[:16]}{FORMATS.get(media[row.sample][0], '')}" for row in chosen]
    keys = sorted({key for values in metadata.values() for key in values} - set(_COLUMNS))
    data = _table(names, chosen, metadata, keys)
    try:
        _claim(target, version)
        for done, (name, row) in enumerate(zip(names, chosen, strict=True), 1):
            file = target / name
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(file, images[row.sample]())
            progress("exporting", done, len(chosen))
        write_whole(target / MANIFEST, data)
        media_types = {media[row.sample][0] for row in chosen}
        text = croissant(version, MANIFEST, digest_of(data), keys, media_types)
        write_whole(target / "croissant.json", text.encode("utf-8", "surrogatepass"))
    except OSError as error:
        raise StorageError(
            f"{error.filename or target} cannot be written: {error.strerror or error}; make room, or name another "
            "folder, and run the same command again"
        ) from error
    return ExportReport(version, target, len(chosen))


def _table(
    names: Sequence[str], rows: Sequence[Row], metadata: Mapping[str, Mapping[str, Any]], keys: Sequence[str]
) -> bytes:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow([*_COLUMNS, *keys])
    for name, row in zip(names, rows, strict=True):
        own = metadata.get(row.sample, {})
        facts = [row.split, f"{row.trust / TRUST_SCALE:.3f}", row.status, row.reason, row.group, row.sample]
        writer.writerow([name, row.label or "", *facts, *(own.get(key, "") for key in keys)])
    return table.getvalue().encode("utf-8", "surrogatepass")


def class_folders(classes: Sequence[str]) -> dict[str, str]:
    """A safe and distinct folder name for each class.

    >>> class_folders(["cat", "../dog"])
    {'cat': 'cat', '../dog': '1_dog'}
    """
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for index, name in enumerate(classes):
        safe = re.sub(r'[\x00-\x1f/\\:*?"<>|]+', "_", name).strip(" ._")[:_LONGEST]
        folder = name if name and safe == name else f"{index}_{safe or 'class'}"
        while folder.casefold() in taken:
            folder = f"{index}_{folder}"
        taken.add(folder.casefold())
        folders[name] = folder
    return folders


def _place(row: Row, folders: dict[str, str]) -> str:
    if row.status is not Status.OK:
        return f"_{row.status}"
    return f"{row.split}/{folders[row.label]}" if row.label is not None else "_unlabelled"


def _claim(target: Path, version: DatasetVersion) -> None:
    """Makes the folder this version's, or refuses where it is somebody else's."""
    mark = target / ".pellucid-export"
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file; name a folder to export to")
    own = mark.is_file() and mark.read_text(encoding="utf-8").strip() == version.content_id
    if target.is_dir() and any(target.iterdir()) and not own:
        raise UsageError(f"{target} holds other files already; name a new or an empty folder")
    target.mkdir(parents=True, exist_ok=True)
    mark.write_text(version.content_id + "\n", encoding="utf-8")
