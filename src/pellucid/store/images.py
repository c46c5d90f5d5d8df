"""The bytes of samples: many images to a file, so that neither a disk nor a bucket keeps 100,000 small ones.

A *pack* is the images one after the other, then an index as JSON (``{sample: [offset, size]}``), the index's length in
8 bytes, and the bytes ``PELLUPK1``: what it holds can be told without the database. It is named by its sha256 and never
changed; the sample's row says in which pack its image lies, and where.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from pellucid.errors import IntegrityError, NotFoundError
from pellucid.store.blobs import Blobs, digest_of
from pellucid.store.database import Database
from pellucid.store.samples import chunked
from pellucid.store.schema import sample as table

PACK_BYTES = 16 * 2**20  # a pack is closed once it has so many; what a reader of packs must have in memory at once
MAGIC = b"PELLUPK1"  # to change the format: a new number, and readers that still know this one

_KIND, _SUFFIX = "packs", ".pack"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies."""

    pack: str  # sha256 of the pack
    offset: int  # bytes from its beginning
    size: int  # bytes


class Images:
    """The images of a project, by sample id."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def keep(self, images: Mapping[str, bytes]) -> dict[str, Place]:
        """Stores the images in one pack and tells where each lies; it counts once its sample's row says so.

        Raises:
            StorageError: the place does not take them.
        """
        if not images:
            return {}
        index, offset = {}, 0
        for name, data in images.items():
            index[name] = (offset, len(data))
            offset += len(data)
        listing = json.dumps(index, separators=(",", ":")).encode()
        content = b"".join([*images.values(), listing, len(listing).to_bytes(8, "big"), MAGIC])
        pack = self._blobs.put(_KIND, content, suffix=_SUFFIX)
        return {name: Place(pack, start, size) for name, (start, size) in index.items()}

    def get(self, sample: str) -> bytes:
        """The image of the sample.

        Raises:
            NotFoundError: there is none.
            IntegrityError: it is not what was stored.
        """
        return self.readers([sample])[sample]()

    def readers(self, samples: Sequence[str]) -> dict[str, Callable[[], bytes]]:
        """How to read the image of each sample; to be called from any thread, with the errors of ``get``.

        Raises:
            NotFoundError: a sample has no image.
        """
        found: dict[str, Callable[[], bytes]] = {}
        columns = (table.c.id, table.c.pack, table.c.offset, table.c.size)
        with self._database.read() as connection:
            for chunk in chunked(samples):
                for row in connection.execute(sa.select(*columns).where(table.c.id.in_(chunk))).all():
                    found[row.id] = partial(self._read, row.id, Place(row.pack, row.offset, row.size))
        for name in samples:
            if name not in found:
                raise NotFoundError(f"the project has no image {name[:12]}...; ingest it")
        return found

    def intact(self) -> set[bytes]:
        """The ids, 32 bytes each, of all samples whose pack is there and long enough: no need to store them again."""
        there = self._blobs.sizes(_KIND, suffix=_SUFFIX)
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table.c.id, table.c.pack, table.c.offset + table.c.size)).all()
        return {bytes.fromhex(name) for name, pack, end in rows if there.get(pack, -1) >= end}

    def _read(self, sample: str, place: Place) -> bytes:
        path = self._blobs.path_of(_KIND, place.pack, _SUFFIX)
        data = self._blobs.read(path, start=place.offset, size=place.size)
        if digest_of(data) != sample:
            raise IntegrityError(
                f"the image {sample[:12]}... in {path} is not what was stored: the pack was damaged or edited; "
                "restore it from a backup, or remove it and ingest the same images again"
            )
        return data
