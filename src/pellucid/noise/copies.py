"""When two images are one image sent twice: nearer to each other than distinct images of the same kind come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.heads.statistic import blocks

USUAL = 0.995  # cosine above which vectors are taken for copies where nothing is known of distinct images
_ENOUGH = 20  # images that tell how near distinct ones come
_ASKED = 500  # images whose nearest neighbours are looked for; bounds the time
_RARE = 0.99  # share of the images that have no distinct one so near


def copy_cosine(X: NDArray[np.floating], groups: Sequence[str] | None = None) -> float:
    """The cosine above which two vectors are taken for copies of one image: half way from rare neighbours to sameness.

    How alike distinct images are depends on the features and on what is photographed: of networks few reach 0.9, of
    histograms most do. So it is asked of images that are known to be distinct how near the nearest other one comes,
    and the cosine that one of a hundred exceeds is taken for the end of what is distinct.

    Parameters
    ----------
    X : (n, d) vectors of images; of more than 500 each k-th is asked for its nearest among all.
    groups : (n,) images with the same one show the same thing and tell nothing; all are distinct where None.

    >>> round(copy_cosine(np.eye(30)), 3), copy_cosine(np.eye(3))
    (0.5, 0.995)
    """
    n = len(X)
    if n < _ENOUGH:
        return USUAL
    vectors = unit(X)
    asked = np.arange(0, n, -(-n // _ASKED))
    cosines = vectors[asked] @ vectors.T
    numbers = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    cosines[numbers[asked][:, None] == numbers] = -1.0
    nearest = float(np.quantile(cosines.max(axis=1), _RARE))
    return (1 + max(0.0, nearest)) / 2


def originals(X: ArrayLike, cosine: float) -> NDArray[np.intp]:
    """For each image the earliest original that it is a near-copy of, or itself where it is an original, (n,).

    Only originals have copies: of a row of images that each resemble the next, the third need not be one of the first.

    Parameters
    ----------
    X : (n, d) vectors of images, those first that are to be originals rather than copies.
    cosine : above which two vectors are taken for copies, as `copy_cosine` finds it.

    >>> originals([[1, 0], [0, 2], [3, 0.01]], 0.99).tolist()
    [0, 1, 0]
    """
    vectors = unit(X)
    found = np.arange(len(vectors))
    for block in blocks(len(vectors)):
        earlier = np.flatnonzero(found[: block.start] == np.arange(block.start))
        alike = vectors[block] @ vectors[earlier].T > cosine
        copied = alike.any(axis=1)
        if len(earlier):
            found[block] = np.where(copied, earlier[alike.argmax(axis=1)], found[block])
        beside = vectors[block] @ vectors[block].T > cosine
        for row in np.flatnonzero(~copied).tolist():
            near = np.flatnonzero(beside[row, :row] & (found[block][:row] == np.arange(block.start, block.start + row)))
            found[block.start + row] = block.start + near[0] if len(near) else block.start + row
    return found


def unit(X: ArrayLike) -> NDArray[np.float32]:
    """Vectors (n, d) of length 1; a zero vector stays one. Half the memory of what the statistic works with."""
    vectors = np.asarray(X, np.float32)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
