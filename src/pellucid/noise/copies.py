"""When two images are one image sent twice: nearer to each other than distinct images of the same kind come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
    unit = np.asarray(X, np.float32)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    asked = np.arange(0, n, -(-n // _ASKED))
    cosines = unit[asked] @ unit.T
    numbers = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    cosines[numbers[asked][:, None] == numbers] = -1.0
    nearest = float(np.quantile(cosines.max(axis=1), _RARE))
    return (1 + max(0.0, nearest)) / 2
