"""Embed: images to vectors, each computed once for all time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ImageError, IntegrityError
from pellucid.features.extractor import Extractor
from pellucid.features.pipeline import embed_stream
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.vectors import VectorCache

_SHARD = 1024  # vectors; what a killed run loses at most


def embed_samples(
    workspace: Workspace, extractor: Extractor, ids: Sequence[str], *, progress: Progress = no_progress
) -> NDArray[np.float32]:
    """The vectors of stored samples, shape (len(ids), extractor.dim), in the order of ``ids``.

    Raises:
        IntegrityError: a stored image is damaged.
    """
    cache = VectorCache(workspace.cache / "vectors", extractor.fingerprint, extractor.dim)
    sources = workspace.images.readers(cache.missing(ids))
    failed = fill_cache(workspace, extractor, cache, sources, progress=progress)
    for name, error in failed.items():
        raise IntegrityError(
            f"the stored image {name[:12]}... can no longer be used ({error}); the limits in pellucid.toml are tighter "
            "than when it was ingested"
        )
    return cache.gather(ids)


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
