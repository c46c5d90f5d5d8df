"""Look: what an audit sees of stored images beside the vectors that answer for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pellucid.features.extractor import Extractor
from pellucid.features.wide import CLASSICAL, join, wide_specs
from pellucid.flow.data.embed import embed_intact
from pellucid.flow.workspace import Progress, Workspace, no_progress

_MOST_CELLS = 2 * 10**8  # images x features at most: 800 MB, and some 50,000 images


def look_widely(
    workspace: Workspace,
    extractor: Extractor,
    ids: Sequence[str],
    X: NDArray[np.float32],
    *,
    progress: Progress = no_progress,
) -> NDArray[np.float32] | None:
    """The wide vectors of samples, (n, d), beside those that the extractor makes of them, ``X``.

    None where there is nothing more to see, or where it is too much for memory; more images teach what fewer eyes miss.
    Of an image that is gone, and whose vector was kept, that is all there is.
    """

    def embed(other: Extractor) -> NDArray[np.float32]:
        found = embed_intact(workspace, other, ids, progress=progress)
        gone = np.zeros((len(ids), other.dim), np.float32) if other.spec == CLASSICAL else X
        return np.stack([found.get(name, blind) for name, blind in zip(ids, gone, strict=True)])

    return widen(wide_parts(workspace, extractor), len(ids), embed)


def wide_parts(workspace: Workspace, extractor: Extractor) -> list[Extractor]:
    """The extractors of a wide look; opening one reads its weights."""
    return [workspace.extractor(spec) for spec in wide_specs(extractor)]


def widen(
    parts: Sequence[Extractor], n: int, embed: Callable[[Extractor], NDArray[np.float32]]
) -> NDArray[np.float32] | None:
    """The same of ``n`` pictures that anybody embeds by the `wide_parts`."""
    if not parts or n * sum(part.dim for part in parts) > _MOST_CELLS:
        return None
    return join(map(embed, parts), [part.dim for part in parts])
