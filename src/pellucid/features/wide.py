"""A wide look: what an audit sees of pictures, which is more than what answers for them has to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pellucid.features.extractor import Extractor

CLASSICAL = "classical"
PLAIN, WIDE = "plain", "wide"
LOOKS = (PLAIN, WIDE)  # in the order in which an audit is given them
_SHARES = (1.0, 0.5)  # lengths of the vectors


def wide_specs(extractor: Extractor) -> tuple[str, ...]:
    """The extractors of a wide look: the mean over a picture's quarter turns, and colours, patterns and shapes.

    A network is blind to some of what tells pictures apart, and a label is seen to be wrong by whatever tells them
    apart. It costs four times as long as the network alone, which is why it is for an audit and not for answers.
    Empty for what computes hand-made features itself: they are nothing new to it.

    >>> from pellucid.features.extractor import open_extractor
    >>> wide_specs(open_extractor("classical"))
    ()
    """
    kind = str(extractor.record["kind"])
    if not extractor.files or ":" in kind:
        return ()
    return extractor.spec if kind == "views" else f"views:turns:{extractor.spec}", CLASSICAL


def join(parts: Iterable[NDArray[np.float32]], dims: Sequence[int]) -> NDArray[np.float32]:
    """The vectors of `wide_specs`, each (n, dim), side by side: the first at length 1, the second at half of it.

    >>> join([np.array([[3.0, 4.0]], np.float32), np.array([[0.0, 2.0, 0.0]], np.float32)], [2, 3]).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929, 0.0, 0.5, 0.0]]
    """
    joined, start = np.empty((0, 0), np.float32), 0
    for X, dim, share in zip(parts, dims, _SHARES, strict=True):  # one at a time: together they may be large
        if not start:
            joined = np.empty((len(X), sum(dims)), np.float32)
        length = np.linalg.norm(X, axis=1, keepdims=True)
        np.multiply(X, share / np.where(length > 0, length, 1), out=joined[:, start : start + dim], casting="same_kind")
        start += dim
    return joined
