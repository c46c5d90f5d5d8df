"""Embed: images to vectors, each computed once for all time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ImageError, IntegrityError, NotFoundError, PellucidError
from pellucid.features.extractor import Extractor
from pellucid.features.pipeline import embed_stream
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.live_vectors import vectors_of
from pellucid.store.vectors import VectorCache

_SHARD = 1024  # vectors; what a killed run loses at most


def embed_samples(
    workspace: Workspace, extractor: Extractor, ids: Sequence[str], *, progress: Progress = no_progress
) -> NDArray[np.float32]:
    """The vectors of stored samples, shape (len(ids), extractor.dim), in the order of ``ids``.

    An image that is gone is not needed where its vector was kept with an answer or a vote.

    Raises:
        NotFoundError, IntegrityError: a stored image is gone or damaged.
    """
    cache, lost = _fill(workspace, extractor, ids, progress)
    for error in lost.values():
        raise error
    return cache.gather(ids)


def embed_intact(
    workspace: Workspace, extractor: Extractor, ids: Sequence[str], *, progress: Progress = no_progress
) -> dict[str, NDArray[np.float32]]:
    """The same, (dim,) by sample, of those whose images can be had; those that are gone or damaged are left out."""
    cache, lost = _fill(workspace, extractor, ids, progress)
    there = [name for name in dict.fromkeys(ids) if name not in lost]
    return dict(zip(there, cache.gather(there), strict=True))


def find_lost(
    workspace: Workspace, extractor: Extractor, ids: Sequence[str], *, progress: Progress = no_progress
) -> frozenset[str]:
    """Those of the samples that `embed_intact` would leave out; the vectors of all others are cached then."""
    return frozenset(_fill(workspace, extractor, ids, progress)[1])


def fill_cache(
    workspace: Workspace,
    extractor: Extractor,
    cache: VectorCache,
    sources: Mapping[str, Callable[[], bytes]],
    *,
    progress: Progress = no_progress,
) -> dict[str, ImageError]:
    """Computes the vectors that the cache lacks and keeps them as they come; a stopped run loses at most a shard.

    Args:
        sources: how to read the image of each sample.

    Returns:
        The error of each image that could not be used.
    """
    missing = cache.missing(list(sources))
    failed: dict[str, ImageError] = {}
    ready: dict[str, NDArray[np.float32]] = {}

    def keep() -> None:
        if ready:
            cache.append(list(ready), np.stack(list(ready.values())))
            ready.clear()

    items: Iterable[tuple[str, Callable[[], bytes]]] = ((name, sources[name]) for name in missing)
    stream = embed_stream(extractor, items, limits=workspace.limits, threads=workspace.threads)
    try:
        for done, (name, result) in enumerate(stream, 1):
            if isinstance(result, ImageError):
                failed[name] = result
            else:
                ready[name] = result
            if len(ready) >= _SHARD:
                keep()
            progress("embedding", done, len(missing))
    finally:
        keep()
    return failed


def _fill(
    workspace: Workspace, extractor: Extractor, ids: Sequence[str], progress: Progress
) -> tuple[VectorCache, dict[str, PellucidError]]:
    """The cache with all vectors that can be had, and the error of each sample that has none."""
    cache = VectorCache(workspace.cache / "vectors", extractor.fingerprint, extractor.dim)
    missing = cache.missing(ids)
    lost: dict[str, PellucidError] = {}

    def reader(name: str, read: Callable[[], bytes]) -> Callable[[], bytes]:
        def run() -> bytes:
            try:
                return read()
            except (NotFoundError, IntegrityError) as error:
                lost[name] = error
                raise ImageError("gone", str(error)) from None

        return run

    sources = {name: reader(name, read) for name, read in workspace.images.readers(missing).items()}
    for name, error in fill_cache(workspace, extractor, cache, sources, progress=progress).items():
        lost.setdefault(
            name,
            IntegrityError(
                f"the stored image {name[:12]}... can no longer be used ({error}); the limits in pellucid.toml are "
                "tighter than when it was ingested"
            ),
        )
    if lost:
        with workspace.database.read() as connection:
            kept = vectors_of(connection, extractor.fingerprint, sorted(lost))
        if kept:
            cache.append(list(kept), np.stack(list(kept.values())))
        lost = {name: error for name, error in lost.items() if name not in kept}
    return cache, lost
