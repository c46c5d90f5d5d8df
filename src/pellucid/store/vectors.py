"""The cache of feature vectors: immutable shards on local disk, read through memory maps, one folder per extractor.

A shard is two files: ``NAME.npy`` with the vectors (n, d) and ``NAME.ids`` with the n sample ids, 32 bytes each. The
ids are moved into place last, so a shard without them does not exist yet; a killed run loses at most one shard.
"""

from __future__ import annotations

import contextlib
import io
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import IntegrityError, StorageError
from pellucid.store.blobs import write_whole

ID_BYTES = 32
SMALL = 256  # vectors; predicting image by image makes shards of one
MAX_SMALL = 64  # so many small shards are put together into one


class VectorCache:
    """Vectors of one extractor, by sample id; any number of processes may read and write one folder.

    >>> import tempfile
    >>> cache = VectorCache(Path(tempfile.mkdtemp()), "0" * 64, dim=2)
    >>> cache.append(["ab" * 32], np.array([[1.0, 2.0]], np.float32))
    >>> cache.missing(["ab" * 32, "cd" * 32]) == ["cd" * 32]
    True
    >>> cache.gather(["ab" * 32])
    array([[1., 2.]], dtype=float32)

    Args:
        folder: where the folders of all extractors lie.
        fingerprint: of the extractor.
        dim: numbers in a vector.
    """

    def __init__(self, folder: Path, fingerprint: str, dim: int) -> None:
        self._folder = folder / fingerprint
        self._dim = dim
        self._place: dict[bytes, tuple[str, int]] = {}  # sample -> shard and row
        self._shards: dict[str, int] = {}  # shard -> its vectors; 0 where it is damaged
        self._refresh()

    def __len__(self) -> int:
        """How many samples have a vector."""
        return len(self._place)

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that have no vector yet, in their order, each once."""
        self._refresh()
        return [name for name in dict.fromkeys(ids) if bytes.fromhex(name) not in self._place]

    def append(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Stores the vectors, shape (len(ids), dim), as one new shard.

        Raises:
            IntegrityError: they have another shape.
            StorageError: the disk does not take them.
        """
        if np.shape(vectors) != (len(ids), self._dim):
            raise IntegrityError(
                f"vectors of shape {np.shape(vectors)} were offered; wanted is {(len(ids), self._dim)}: "
                "one row an image, as wide as the extractor says"
            )
        if len(ids) == 0:
            return
        try:
            self._write([bytes.fromhex(name) for name in ids], vectors)
            self._put_together()
        except OSError as error:
            raise StorageError(
                f"{self._folder} takes no more vectors: {error.strerror or error}; free some space, or move cache_dir, "
                "and run the same command again: what is stored is kept"
            ) from error

    def gather(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the samples, (len(ids), dim), in their order; every id must be in the cache.

        Raises:
            StorageError: the cache was deleted meanwhile.
        """
        keys = [bytes.fromhex(name) for name in ids]
        try:
            return self._gather(keys)
        except (OSError, EOFError, KeyError, ValueError):  # another process has put shards together
            self._place.clear()
            self._shards.clear()
            self._refresh()
        try:
            return self._gather(keys)
        except (OSError, EOFError, KeyError, ValueError) as error:
            raise StorageError(
                f"{self._folder} lacks vectors that it had: it was deleted meanwhile; run the same command again"
            ) from error

    def _gather(self, keys: Sequence[bytes]) -> NDArray[np.float32]:
        found = np.empty((len(keys), self._dim), np.float32)
        wanted: dict[str, list[tuple[int, int]]] = {}
        for index, key in enumerate(keys):
            shard, row = self._place[key]
            wanted.setdefault(shard, []).append((index, row))
        for shard, pairs in wanted.items():
            where, rows = np.array(pairs).T
            found[where] = self._map(shard)[rows]
        return found

    def _map(self, shard: str) -> NDArray[np.float32]:
        # Mapped for the moment only: every map holds a file descriptor, of which there are few.
        vectors: NDArray[np.float32] = np.load(self._folder / f"{shard}.npy", mmap_mode="r", allow_pickle=False)
        return vectors

    def _write(self, ids: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
        shard = uuid.uuid4().hex
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / f"{shard}.npy", buffer.getvalue())
        write_whole(self._folder / f"{shard}.ids", b"".join(ids))
        self._load(shard)

    def _refresh(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.name.endswith(".ids"))
            for name in names:
                if name[:-4] not in self._shards:
                    self._load(name[:-4])

    def _load(self, shard: str) -> None:
        self._shards[shard] = 0
        try:
            ids = (self._folder / f"{shard}.ids").read_bytes()
            vectors = self._map(shard)
        except (OSError, EOFError, ValueError):
            return  # a damaged shard is no shard: its vectors are computed again
        if vectors.dtype != np.float32 or vectors.shape != (len(ids) // ID_BYTES, self._dim) or len(ids) % ID_BYTES:
            return
        self._shards[shard] = len(vectors)
        for row in range(len(vectors)):
            self._place[ids[row * ID_BYTES : (row + 1) * ID_BYTES]] = (shard, row)

    def _put_together(self) -> None:
        small = {shard for shard, size in self._shards.items() if 0 < size < SMALL}
        if len(small) < MAX_SMALL:
            return
        keys = [key for key, (shard, _) in self._place.items() if shard in small]
        with contextlib.suppress(FileNotFoundError, EOFError, ValueError):  # another process is doing the same
            if keys:
                self._write(keys, self._gather(keys))
            for shard in small:
                del self._shards[shard]
                (self._folder / f"{shard}.ids").unlink(missing_ok=True)
                (self._folder / f"{shard}.npy").unlink(missing_ok=True)
