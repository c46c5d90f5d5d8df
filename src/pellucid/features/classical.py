"""Hand-made features: no weights, no download, the default where no network is at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.features.weightless import Weightless

_SHAPE_SIDE = 64  # pixels, for gradients
_TEXTURE_SIDE = 128  # pixels, for patterns and colours
_ORIENTATIONS = 9
_HUES, _SATURATIONS, _VALUES = 12, 4, 4
_RADII = (1, 2, 3)  # pixels around a pixel
_GRID = 2  # patterns and colours are counted in 2 x 2 quarters


class Classical(Weightless):
    """Shape (HOG [1]_), texture (local binary patterns [2]_) and colour (HSV histograms) side by side.

    Each of the three has unit length. Histograms enter by their square roots, which makes the dot product of
    two pictures the Bhattacharyya coefficient of their histograms.

    .. [1] N. Dalal, B. Triggs (2005). Histograms of oriented gradients for human detection. CVPR.
    .. [2] T. Ojala, M. Pietikainen, T. Maenpaa (2002). Multiresolution gray-scale and rotation invariant
       texture classification with local binary patterns. PAMI 24.

    >>> Classical().embed([Image.new("RGB", (300, 200), "red")]).shape == (1, Classical.dim)
    True
    """

    kind = "classical"
    version = 1
    dim = 1764 + _GRID**2 * (10 * len(_RADII) + _HUES * _SATURATIONS * _VALUES)
    input_size = _TEXTURE_SIDE
    description = (
        "hand-made features (HOG, local binary patterns, colour histograms): no weights needed, "
        "but on photographs some 10 to 15 points less accurate than a pretrained network (onnx:PATH)"
    )

    def describe(self, image: Image.Image) -> NDArray[Any]:
        """The vector (dim,) of one picture."""
        small = image.resize((_SHAPE_SIDE, _SHAPE_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
        middle = image.resize((_TEXTURE_SIDE, _TEXTURE_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
        return np.concatenate([_unit(_gradients(small)), _unit(_patterns(middle)), _unit(_colours(middle))])


def _unit(vector: NDArray[Any]) -> NDArray[Any]:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector


def _gradients(image: Image.Image) -> NDArray[Any]:
    from skimage.feature import hog

    vector: NDArray[Any] = hog(
        np.asarray(image.convert("L")) / 255.0,
        orientations=_ORIENTATIONS,
        pixels_per_cell=(8, 8),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
        transform_sqrt=True,
    )
    return vector


def _patterns(image: Image.Image) -> NDArray[Any]:
    """For each radius and quarter the shares of the 10 uniform patterns of 8 neighbours, as square roots."""
    from skimage.feature import local_binary_pattern

    grey = np.asarray(image.convert("L"))
    codes = [local_binary_pattern(grey, 8, radius, "uniform").astype(np.intp) for radius in _RADII]
    shares: NDArray[Any] = np.sqrt(np.concatenate([_quarters(code, 10) for code in codes]))
    return shares


def _colours(image: Image.Image) -> NDArray[Any]:
    """For each quarter the shares of hue, saturation and value jointly, as square roots."""
    hue, saturation, value = np.asarray(image.convert("HSV")).astype(np.intp).transpose(2, 0, 1)
    bins = (hue * _HUES // 256 * _SATURATIONS + saturation * _SATURATIONS // 256) * _VALUES + value * _VALUES // 256
    shares: NDArray[Any] = np.sqrt(_quarters(bins, _HUES * _SATURATIONS * _VALUES))
    return shares


def _quarters(codes: NDArray[np.intp], number: int) -> NDArray[Any]:
    half = len(codes) // _GRID
    parts = codes.reshape(_GRID, half, _GRID, half).swapaxes(1, 2).reshape(_GRID**2, -1)
    return np.concatenate([np.bincount(part, minlength=number) / part.size for part in parts])
