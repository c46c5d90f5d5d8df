"""Vectors: stored samples as one model sees them, as they were kept with answers and votes, or made from the images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.features.extractor import Extractor
from pellucid.flow.data.embed import embed_intact, embed_samples
from pellucid.flow.workspace import Workspace
from pellucid.store.live_vectors import vectors_of

_BLOCK = 1024  # samples at a time


class SampleVectors:
    """The vectors of samples; from any thread.

    Args:
        workspace: the project.
        extractor: of the model.
        fingerprint: of the model, by which vectors are kept.
        trained: samples that the model sees as in its training, all others as they came.
    """

    def __init__(self, workspace: Workspace, extractor: Extractor, fingerprint: str, trained: Collection[str]) -> None:
        self.lost: frozenset[str] = frozenset()  # samples that were left out because their images are gone
        self._workspace = workspace
        self._extractor = extractor
        self._fingerprint = fingerprint
        self._trained = trained
        self._lock = threading.Lock()

    def of(self, connection: sa.Connection, ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors, (n, d), with the errors of `embed_samples`."""
        kept = self._kept(connection, ids)
        missing = [name for name in dict.fromkeys(ids) if name not in kept]
        if missing:
            made = embed_samples(self._workspace, self._extractor, missing)
            kept |= dict(zip(missing, made, strict=True))
        return self._stack([kept[name] for name in ids])

    def intact(self, connection: sa.Connection, ids: Sequence[str]) -> tuple[list[str], NDArray[np.float32]]:
        """The same of those whose images can be had, with their names, each once; the others are then `lost`."""
        kept = self._kept(connection, ids)
        kept |= embed_intact(self._workspace, self._extractor, [name for name in ids if name not in kept])
        names = [name for name in dict.fromkeys(ids) if name in kept]
        with self._lock:
            self.lost = self.lost.difference(ids).union(name for name in ids if name not in kept)
        return names, self._stack([kept[name] for name in names])

    def gather(
        self, ids: Sequence[str], rest: Callable[[], None] = lambda: None
    ) -> tuple[list[str], NDArray[np.float32]]:
        """The same of any number of samples, each named once: some at a time, and by a transaction of their own.

        Args:
            rest: called before each time.
        """
        names: list[str] = []
        parts = [self._stack([])]
        for start in range(0, len(ids), _BLOCK):
            rest()
            with self._workspace.database.read() as connection:
                found, X = self.intact(connection, ids[start : start + _BLOCK])
            names += found
            parts.append(X)
        return names, np.concatenate(parts)

    def _kept(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return vectors_of(connection, self._fingerprint, [name for name in ids if name not in self._trained])

    def _stack(self, vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.stack(vectors) if vectors else np.empty((0, self._extractor.dim), np.float32)
