"""The cache of feature vectors: immutable shards on local disk, memory-mapped, one folder per extractor.

A shard is two files: ``NAME.npy`` with the vectors (n, d) and ``NAME.ids`` with the n sample ids, 32 bytes each. The
ids are moved into place last, so a shard without them does not exist yet; a killed run loses at most one shard.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import StorageError
from pellucid.store.blobs import write_whole

ID_BYTES = 32


class VectorCache:
    """Vectors of one extractor, by sample id.

    >>> import tempfile
    >>> cache = VectorCache(Path(tempfile.mkdtemp()), "0" * 64, dim=2)
    >>> cache.append(["ab" * 32], np.array([[1.0, 2.0]], np.float32))
    >>> cache.missing(["ab" * 32, "cd" * 32]) == ["cd" * 32]
    True
    >>> cache.gather(["ab" * 32])
    array([[1., 2.]], dtype=float32)
    """

    def __init__(self, folder: Path, fingerprint: str, dim: int) -> None:
        self._folder = folder / fingerprint
        self._dim = dim
        self._place: dict[bytes, tuple[int, int]] = {}
        self._shards: list[NDArray[np.float32]] = []
        self._seen: set[str] = set()
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
            StorageError: the disk does not take them.
        """
        if len(ids) == 0:
            return
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
        name = uuid.uuid4().hex
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / f"{name}.npy", buffer.getvalue())
            write_whole(self._folder / f"{name}.ids", b"".join(bytes.fromhex(item) for item in ids))
        except OSError as error:
            raise StorageError(
                f"{self._folder} takes no more vectors: {error.strerror or error}; free some space, or move cache_dir, "
                "and run the same command again: what is stored is kept"
            ) from error
        self._load(name)

    def gather(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the samples, (len(ids), dim), in their order; every id must be in the cache."""
        place = [self._place[bytes.fromhex(name)] for name in ids]
        found = np.empty((len(ids), self._dim), np.float32)
        shard_of = np.fromiter((shard for shard, _ in place), np.int64, len(ids))
        row_of = np.fromiter((row for _, row in place), np.int64, len(ids))
        for shard in np.unique(shard_of):
            mine = np.flatnonzero(shard_of == shard)
            found[mine] = self._shards[shard][row_of[mine]]
        return found

    def _refresh(self) -> None:
        if self._folder.is_dir():
            names = sorted(entry.name[:-4] for entry in os.scandir(self._folder) if entry.name.endswith(".ids"))
            for name in names:
                if name not in self._seen and not name.startswith("."):
                    self._load(name)

    def _load(self, name: str) -> None:
        self._seen.add(name)
        try:
            ids = (self._folder / f"{name}.ids").read_bytes()
            vectors = np.load(self._folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            return  # a damaged shard is no shard: its vectors are computed again
        if vectors.dtype != np.float32 or vectors.shape != (len(ids) // ID_BYTES, self._dim) or len(ids) % ID_BYTES:
            return
        shard = len(self._shards)
        self._shards.append(vectors)
        for row in range(len(vectors)):
            self._place[ids[row * ID_BYTES : (row + 1) * ID_BYTES]] = (shard, row)
