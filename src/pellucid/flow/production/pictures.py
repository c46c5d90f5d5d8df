"""Pictures for a simulation: what a model has not been trained on, of a dataset or of a folder of classes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial

from pellucid.errors import DataError, ImageError
from pellucid.flow.production.simulate import Picture
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.blobs import digest_of
from pellucid.store.datasets import get_version, list_versions
from pellucid.store.manifests import read_manifest
from pellucid.store.sources.item import Item, Source
from pellucid.types import DatasetVersion, Row, Split, Status


class Pool(StrEnum):
    """Which images of a dataset may come by."""

    UNSEEN = "unseen"  # in no version's train split, and not trusted
    TEST = "test"
    TRAIN = "train"  # learnt from, so that a model of them looks better than it is
    ALL = "all"


def dataset_pictures(workspace: Workspace, ref: str, pool: Pool = Pool.UNSEEN) -> list[Picture]:
    """The images of a dataset version whose label is settled, which counts as the truth.

    Of images in the test split the live loop records what users say and learns nothing; corrupted ones are new images,
    which it learns.

    Raises:
        NotFoundError: there is no such version.
        DataError: it has no such image.
    """
    version, rows = _rows(workspace, ref)
    seen = learnt_samples(workspace, ref) if pool is Pool.UNSEEN else frozenset[str]()
    chosen = [row for row in rows if row.label is not None and row.status is Status.OK and _is_in(row, pool, seen)]
    if not chosen:
        raise DataError(f"{version.ref} has no {pool} image; name another --split, or a folder by --from")
    readers = workspace.images.readers([row.sample for row in chosen])
    return [Picture(row.sample, row.sample, str(row.label), row.group, readers[row.sample]) for row in chosen]


def learnt_samples(workspace: Workspace, ref: str) -> frozenset[str]:
    """The ids of all images that were in the train split of this version or an earlier one, whatever their status.

    Raises:
        NotFoundError: there is no such version.
    """
    with workspace.database.read() as connection:
        last = get_version(connection, ref)
        versions = [item for item in list_versions(connection, last.dataset) if item.number <= last.number]
    contents = {item.content_id for item in versions}
    rows = (row for content in contents for row in read_manifest(workspace.blobs, content))
    return frozenset(row.sample for row in rows if row.split is Split.TRAIN)


def held_samples(workspace: Workspace, ref: str) -> frozenset[str]:
    """The ids of all images of the version. Raises NotFoundError where there is none."""
    return frozenset(row.sample for row in _rows(workspace, ref)[1])


def source_pictures(
    source: Source, *, without: frozenset[str] = frozenset(), progress: Progress = no_progress
) -> list[Picture]:
    """The labelled images of a folder or archive, which has to stay open while they are read.

    A file that is there twice comes once; one that has two labels does not come, nor do those that cannot be read.

    Args:
        without: sha256 of images to leave out, as of those that a model was trained on.

    Raises:
        DataError: nothing is left.
    """
    found: dict[str, Item] = {}
    labels: dict[str, set[str]] = {}
    for done, item in enumerate(source.items, 1):
        progress("reading", done, len(source.items))
        if item.label is None:
            continue
        try:
            name = digest_of(item.read())
        except ImageError:
            continue
        found.setdefault(name, item)
        labels.setdefault(name, set()).add(item.label)
    chosen: Mapping[str, Item] = {
        name: item for name, item in found.items() if len(labels[name]) == 1 and name not in without
    }
    if not chosen:
        why = "holds no labelled image" if not found else f"holds {len(found)} images, all of them in the dataset"
        raise DataError(f"{source.location} {why}; offer a folder of classes with images that no model has learnt")
    return [
        Picture(name, item.path, str(item.label), name, partial(_read, item, name)) for name, item in chosen.items()
    ]


def _read(item: Item, name: str) -> bytes:
    data = item.read()
    if digest_of(data) != name:
        raise ImageError("changed", f"{item.path} was written to since the traffic was drawn; simulate it again")
    return data


def _rows(workspace: Workspace, ref: str) -> tuple[DatasetVersion, tuple[Row, ...]]:
    with workspace.database.read() as connection:
        version = get_version(connection, ref)
    return version, read_manifest(workspace.blobs, version.content_id)


def _is_in(row: Row, pool: Pool, seen: frozenset[str]) -> bool:
    if pool is Pool.UNSEEN:
        return row.split is Split.TEST and row.sample not in seen
    return pool is Pool.ALL or str(row.split) == str(pool)
