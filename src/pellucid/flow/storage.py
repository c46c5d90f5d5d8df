"""Storage: how much the project keeps, and how much room is left."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from pellucid.flow.workspace import Workspace
from pellucid.store.census import count_records, database_bytes


@dataclass(frozen=True, slots=True)
class Storage:
    """What lies where."""

    database: int  # bytes
    packs: int  # files of images
    images: int  # images in them
    image_bytes: int
    answers: int  # the highest number that one has had; those that were pruned are counted too
    votes: int  # the same of votes
    free: int | None  # bytes left on the disk of the project; None where its images are elsewhere
    size: int | None  # bytes of that disk

    @property
    def used(self) -> float | None:
        """0..1, the share of the disk that is taken, by whomever."""
        return None if self.size is None or self.free is None else 1 - self.free / self.size


def measure_storage(workspace: Workspace) -> Storage:
    """How much is kept; the images are counted by an index, answers and votes by their numbers, files by their names.

    Raises:
        StorageError: the database or the images cannot be reached.
    """
    with workspace.database.read() as connection:
        records, size = count_records(connection), database_bytes(connection)
    packs = workspace.blobs.sizes("packs", suffix=".pack")
    local = "://" not in workspace.settings.blob_url
    disk = shutil.disk_usage(workspace.root) if local else None
    return Storage(
        database=size,
        packs=len(packs),
        images=records.images,
        image_bytes=sum(packs.values()),
        answers=records.answers,
        votes=records.votes,
        free=disk.free if disk else None,
        size=disk.total if disk else None,
    )
