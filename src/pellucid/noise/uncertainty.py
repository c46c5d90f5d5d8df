"""The published Bayesian cut-off: what a network with dropout is unsure of is not learnt.

Outputs of passes with dropout left on are samples of the network's belief (Y. Gal, Z. Ghahramani 2016, "Dropout as a
Bayesian approximation", ICML). The published system cuts off what varies most; labels play no part in it. Entropy and
mutual information (N. Houlsby et al. 2011, "Bayesian active learning for classification and preference learning") are
the usual measures of the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, softmax

from pellucid.errors import DataError, UsageError

PERCENTILE = 90.0  # as published: the most uncertain tenth is cut off


def uncertainty(outputs: ArrayLike, measure: str = "variance") -> NDArray[np.float64]:
    """How unsure a network is of each image, from its outputs (T, n, K) before the softmax in T passes, (n,).

    - ``variance``: over the passes, of the sum of an image's outputs, as published;
    - ``entropy``: of the mean prediction, in natural units, 0..log K;
    - ``information``: the part of the entropy that is the network's and not the image's, 0..log K.

    Raises:
        UsageError: an unknown measure.
        DataError: outputs that are not (T, n, K) with two passes at least, or not finite.

    >>> sure, unsure = [[9.0, 0.0], [9.0, 0.0]], [[9.0, 0.0], [0.0, 9.0]]
    >>> outputs = np.stack([sure, unsure], axis=1)
    >>> uncertainty(outputs, "information").round(2).tolist()
    [0.0, 0.69]
    """
    if measure not in MEASURES:
        raise UsageError(f"there is no measure {measure!r}; there are {', '.join(MEASURES)}")
    samples = np.asarray(outputs, np.float64)
    if samples.ndim != 3 or len(samples) < 2 or not np.isfinite(samples).all():
        raise DataError(
            f"the outputs have shape {samples.shape}; wanted are finite (passes, images, classes), 2 passes up"
        )
    return MEASURES[measure](samples)


def cut_off(scores: ArrayLike, percentile: float = PERCENTILE) -> NDArray[np.bool_]:
    """Which to keep (n,): those whose score is at most the percentile of all.

    >>> cut_off([0.1, 0.2, 0.9, 0.3], 75).tolist()
    [True, True, False, True]
    """
    values = np.asarray(scores, np.float64)
    return np.asarray(values <= np.percentile(values, percentile)) if len(values) else np.empty(0, dtype=bool)


def _variance(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(outputs.sum(axis=2).var(axis=0))


def _entropy(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(entr(softmax(outputs, axis=2).mean(axis=0)).sum(axis=1))


def _information(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_entropy(outputs) - entr(softmax(outputs, axis=2)).sum(axis=2).mean(axis=0))


MEASURES: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = MappingProxyType(
    {"variance": _variance, "entropy": _entropy, "information": _information}
)
