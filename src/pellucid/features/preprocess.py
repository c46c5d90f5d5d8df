"""The one preprocessing: what a picture becomes for a network, in training and in serving alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import UsageError

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_REDUCING_GAP = 3.0  # shrink in two steps beyond three times the target; Pillow: no visible difference
_MAX_SIDE = 4096  # pixels


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Resize, scale to 0..1, subtract the mean, divide by the standard deviation, channels first.

    Raises UsageError where a field is out of its range.

    >>> Preprocess(size=(2, 3))(Image.new("RGB", (640, 480), "white")).shape
    (3, 2, 3)
    """

    size: tuple[int, int] = (224, 224)  # height, width in pixels
    resize: str = "squash"  # "squash" takes the whole picture, "crop" keeps its proportions and cuts the middle
    crop_ratio: float = 1.0  # in "crop": part of the largest possible cut that is kept, 0..1
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # red, green, blue, of ImageNet, in 0..1
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not _are_numbers(self.size, 2) or not all(side in range(1, _MAX_SIDE + 1) for side in self.size):
            raise UsageError(f"size is {self.size}; wanted height and width, each 1 to {_MAX_SIDE}")
        if self.resize not in ("squash", "crop"):
            raise UsageError(f"resize is {self.resize!r}; wanted 'squash' or 'crop'")
        if not _are_numbers((self.crop_ratio,), 1) or not 0 < self.crop_ratio <= 1:
            raise UsageError(f"crop_ratio is {self.crop_ratio}; wanted more than 0, at most 1")
        if self.resize == "squash" and self.crop_ratio != 1:
            raise UsageError("crop_ratio goes with resize 'crop'; leave it out or choose that")
        if self.interpolation not in _FILTERS:
            raise UsageError(f"interpolation is {self.interpolation!r}; wanted one of {', '.join(_FILTERS)}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if not _are_numbers(values, 3):
                raise UsageError(f"{name} is {values}; wanted three numbers: red, green, blue")
        if min(self.std) <= 0:
            raise UsageError(f"std is {self.std}; wanted numbers above 0")

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """One picture of mode RGB as (3, height, width)."""
        height, width = self.size
        resized = image.resize(
            (width, height),
            _FILTERS[self.interpolation],
            box=self._box(*image.size),
            reducing_gap=_REDUCING_GAP,
        )
        out = np.empty((3, height, width), dtype=np.float32)
        for band, letter, mean, std in zip(out, "RGB", self.mean, self.std, strict=True):
            # Pillow takes a band out in half the time that numpy needs to put channels first.
            levels = np.frombuffer(resized.tobytes("raw", letter), np.uint8).reshape(height, width)
            np.multiply(levels, np.float32(1 / (255 * std)), out=band)
            band += np.float32(-mean / std)
        return out

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of a picture that is used: left, upper, right, lower."""
        if self.resize == "squash":
            return (0, 0, width, height)
        zoom = self.crop_ratio * min(width / self.size[1], height / self.size[0])
        across, down = zoom * self.size[1], zoom * self.size[0]
        left, upper = (width - across) / 2, (height - down) / 2
        return (max(left, 0), max(upper, 0), min(left + across, width), min(upper + down, height))

    @property
    def at_least(self) -> int:
        """Pixels that a picture may be reduced to while decoding, without loss of what the network sees."""
        return math.ceil(max(self.size) / self.crop_ratio)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; `from_dict` is its inverse."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """From JSON; what is left out has its default. Raises UsageError for unknown keys and unfit values.

        >>> Preprocess.from_dict({"size": [96, 96]}) == Preprocess(size=(96, 96))
        True
        """
        known = [field.name for field in fields(cls)]
        if not set(values) <= set(known):
            raise UsageError(f"preprocessing is {values!r}; wanted an object with keys among {', '.join(known)}")
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        for name in ("size", "mean", "std"):
            if not isinstance(plain.get(name, ()), tuple):
                raise UsageError(f"{name} is {plain[name]!r}; wanted a list of numbers")
        return cls(**plain)


def _are_numbers(values: Sequence[object], count: int) -> bool:
    return len(values) == count and all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in values
    )
