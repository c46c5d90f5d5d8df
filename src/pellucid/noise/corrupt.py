"""Bad images on purpose: what a dirty lens, a broken sensor or a careless pipeline does to a picture."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pellucid.errors import DataError, UsageError
from pellucid.noise.inputs import check_seed

MIN_SIDE = 8  # px; below it a tenth of a side is less than a pixel

_CELLS = 10  # a mosaic's cells along each of its sides
_JPEG_SIDE = 65_500  # px
_MIXED = ("boxes", "mosaic", "line")

Box = tuple[int, int, int, int]  # left, top, right, bottom, px; right and bottom are the first ones outside
Line = tuple[float, float, float, float, float]  # x and y of one end, x and y of the other, thickness, px


@dataclass(frozen=True, slots=True, eq=False)
class Corruption:
    """A corrupted picture, and what was done to it."""

    image: Image.Image  # RGB, of the size that came in
    kind: str  # what was really applied: never "mixed"
    mask: NDArray[np.bool_] = field(repr=False)  # (height, width) True where pixels were drawn over
    boxes: tuple[Box, ...] = ()  # of "boxes" and "mosaic", in the order they were drawn
    lines: tuple[Line, ...] = ()  # of "line"
    strength: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))  # of the other kinds


def corrupt_image(image: Image.Image, kind: str, seed: int) -> Corruption:
    """Corrupt an RGB picture of at least 8 x 8 pixels; the same picture, kind and seed give the same pixels.

    - ``boxes``: 10 to 20 white boxes, each 1/10 to 1/5 of the picture's width wide and of its height high;
    - ``mosaic``: 20 to 30 such boxes, each averaged into 10 x 10 cells, or into cells of 2 pixels where the
      box is smaller than 20;
    - ``line``: one black straight line from edge to opposite edge, 1/10 to 1/5 of the diagonal thick;
    - ``mixed``: one of these three, drawn evenly;
    - ``blur``: a Gaussian of standard deviation 1/50 to 1/20 of the shorter side (``radius``, px);
    - ``exposure``: 1.5 to 3 stops too dark or too bright, evenly (``stops``: light doubles with each, and
      what is too bright is lost);
    - ``jpeg``: saved at quality 3 to 12 (``quality``, 1..100);
    - ``noise``: Gaussian noise on each value, standard deviation 20 to 60 of 255 (``sigma``).

    Boxes and mosaics lie wholly within the picture and may overlap. ``mask`` of the last four is all True.
    For a whole data set, give every picture a seed of its own.

    Raises:
        UsageError: an unknown kind or a bad seed.
        DataError: a picture that is not RGB, or is too small.

    >>> corruption = corrupt_image(Image.new("RGB", (100, 50), "navy"), "boxes", seed=0)
    >>> corruption.kind, corruption.image.size, 10 <= len(corruption.boxes) <= 20
    ('boxes', (100, 50), True)
    """
    rng = np.random.default_rng(check_seed(seed))
    if kind != "mixed" and kind not in CORRUPTIONS:
        raise UsageError(f"there is no corruption {kind!r}; the kinds are {', '.join(CORRUPTIONS)}, mixed")
    if not isinstance(image, Image.Image):
        raise DataError(f"the picture is a {type(image).__name__}; wanted is Pillow's, as Image.fromarray(array) gives")
    if image.mode != "RGB":
        raise DataError(f"the picture's mode is {image.mode}; wanted is RGB, as image.convert('RGB') gives")
    if min(image.size) < MIN_SIDE:
        width, height = image.size
        raise DataError(f"the picture has {width} x {height} pixels; wanted are at least {MIN_SIDE} x {MIN_SIDE}")
    if kind == "mixed":
        kind = _MIXED[rng.integers(len(_MIXED))]
    return CORRUPTIONS[kind](image, rng)


def _boxes(image: Image.Image, rng: np.random.Generator) -> Corruption:
    pixels = np.array(image)
    boxes = _draw_boxes(image, rng, 10, 20)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = 255
    return Corruption(Image.fromarray(pixels), "boxes", _covered(image, boxes), boxes)


def _mosaic(image: Image.Image, rng: np.random.Generator) -> Corruption:
    result = image.copy()
    boxes = _draw_boxes(image, rng, 20, 30)
    for box in boxes:
        piece = result.crop(box)
        cells = [min(_CELLS, max(1, side // 2)) for side in piece.size]
        small = piece.resize((cells[0], cells[1]), Image.Resampling.BOX)
        result.paste(small.resize(piece.size, Image.Resampling.NEAREST), box)
    return Corruption(result, "mosaic", _covered(image, boxes), boxes)


def _line(image: Image.Image, rng: np.random.Generator) -> Corruption:
    width, height = image.size
    thickness = float(np.hypot(width, height) * rng.uniform(1 / 10, 1 / 5))
    start, end = rng.uniform(0, 1, 2)
    if rng.random() < 0.5:
        ends = (0.0, start * height, float(width), end * height)
    else:
        ends = (start * width, 0.0, end * width, float(height))
    across = np.array([ends[1] - ends[3], ends[2] - ends[0]])
    across /= np.hypot(*across)
    # a pixel is on the line where its centre lies within half the thickness of the line's axis
    x, y = np.arange(width) + 0.5 - ends[0], np.arange(height) + 0.5 - ends[1]
    mask = np.abs(across[0] * x[None, :] + across[1] * y[:, None]) <= thickness / 2
    pixels = np.array(image)
    pixels[mask] = 0
    return Corruption(Image.fromarray(pixels), "line", mask, lines=((*ends, thickness),))


def _blur(image: Image.Image, rng: np.random.Generator) -> Corruption:
    radius = float(min(image.size) * rng.uniform(1 / 50, 1 / 20))
    return _everywhere(image.filter(ImageFilter.GaussianBlur(radius)), "blur", radius=radius)


def _exposure(image: Image.Image, rng: np.random.Generator) -> Corruption:
    stops = float(rng.choice([-1, 1]) * rng.uniform(1.5, 3))
    light = (np.array(image) / 255.0) ** 2.2 * 2**stops
    pixels = np.rint(255 * np.minimum(light, 1) ** (1 / 2.2)).astype(np.uint8)
    return _everywhere(Image.fromarray(pixels), "exposure", stops=stops)


def _jpeg(image: Image.Image, rng: np.random.Generator) -> Corruption:
    if max(image.size) > _JPEG_SIDE:
        raise DataError(
            f"the picture has {image.width} x {image.height} pixels; JPEG holds {_JPEG_SIDE} a side at most"
        )
    quality = int(rng.integers(3, 13))
    saved = io.BytesIO()
    image.save(saved, "JPEG", quality=quality)
    with Image.open(saved) as read:
        return _everywhere(read.convert("RGB"), "jpeg", quality=quality)


def _noise(image: Image.Image, rng: np.random.Generator) -> Corruption:
    sigma = float(rng.uniform(20, 60))
    values = np.array(image) + rng.normal(0, sigma, (image.height, image.width, 3))
    return _everywhere(Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)), "noise", sigma=sigma)


# Every kind but "mixed", which draws among the first three.
CORRUPTIONS: Mapping[str, Callable[[Image.Image, np.random.Generator], Corruption]] = MappingProxyType(
    {
        "boxes": _boxes,
        "mosaic": _mosaic,
        "line": _line,
        "blur": _blur,
        "exposure": _exposure,
        "jpeg": _jpeg,
        "noise": _noise,
    }
)


def _draw_boxes(image: Image.Image, rng: np.random.Generator, fewest: int, most: int) -> tuple[Box, ...]:
    """Boxes of 1/10 to 1/5 of each side, rounded to pixels but at least 1, anywhere within the picture."""
    boxes = []
    for _ in range(rng.integers(fewest, most + 1)):
        across = [max(1, round(side * rng.uniform(1 / 10, 1 / 5))) for side in image.size]
        left, top = (int(rng.integers(side - length + 1)) for side, length in zip(image.size, across, strict=True))
        boxes.append((left, top, left + across[0], top + across[1]))
    return tuple(boxes)


def _covered(image: Image.Image, boxes: tuple[Box, ...]) -> NDArray[np.bool_]:
    mask = np.zeros((image.height, image.width), dtype=bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def _everywhere(image: Image.Image, kind: str, **strength: float) -> Corruption:
    mask = np.ones((image.height, image.width), dtype=bool)
    return Corruption(image, kind, mask, strength=MappingProxyType(strength))
