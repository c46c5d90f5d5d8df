"""Image bytes to RGB pixels: bounded before anything is decoded, and one clear reason where that fails.

Thread-safe: Pillow's module globals and Python's warning filters are neither read nor changed. Pillow
releases the interpreter lock while it decodes, so decoding overlaps with models. (Of damaged TIFFs libtiff
itself may print a line on stderr, from C; nothing here can hear or hush it.)
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pellucid.errors import ImageError, UsageError
from pellucid.features.header import Header, read_header

_PILLOW_WARNS_ABOVE = 89_478_485  # pixels; Pillow's own limit, which warns instead of raising

_BAND = 64  # rows of a 16-bit picture that are scaled at a time
_JPEG_SCALES = (8, 4, 2)  # 1 by each: the sizes, beside its own, at which a JPEG is decoded without a detour

_TURNS = {  # EXIF orientation -> how to set it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow's plugins were seen to raise on damaged files, beside OSError.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    AttributeError,
    RuntimeError,
    OverflowError,
    ZeroDivisionError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused before it is decoded.

    >>> Limits(max_pixels=1_000_000).max_bytes
    67108864
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 64_000_000  # width x height; a 4-byte copy of it is 256 MB

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise UsageError(f"max_bytes is {self.max_bytes}; wanted at least 1")
        if not 1 <= self.max_pixels <= _PILLOW_WARNS_ABOVE:
            raise UsageError(f"max_pixels is {self.max_pixels}; wanted 1 to {_PILLOW_WARNS_ABOVE}")


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Decoded:
    """One usable image."""

    media_type: str  # by content: "image/jpeg"
    width: int  # pixels, as stored, before any EXIF rotation and any reduction
    height: int  # pixels
    image: Image.Image  # mode "RGB", or "L" where grey was asked for; upright


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS, *, at_least: int | None = None, grey: bool = False) -> Decoded:
    """Decode JPEG, PNG, WebP, BMP, GIF or TIFF bytes to upright RGB, whatever the file is called.

    Transparency is laid over white; 16-bit greys are scaled to 0..255, not clipped; colour profiles are
    ignored. A photograph with an embedded preview (MPO) is its first picture.

    Parameters
    ----------
    data : the whole file.
    limits : bounds that hold before anything is decoded.
    at_least : lets a large JPEG be decoded at 1/2, 1/4 or 1/8 of its size, both sides still at least this
        many pixels. Several times faster for photographs; damage is found all the same.
    grey : gives 8-bit grey levels instead of RGB; of a JPEG the colours are then not even computed.

    Raises ImageError with the reason "empty", "too large" (bytes), "too many pixels", "not an image",
    "truncated" (cut short or damaged within), "animated" (more than one frame: a label cannot say which one
    it means) or
    "unsupported".

    >>> buffer = io.BytesIO()
    >>> Image.new("1", (40, 30), 1).save(buffer, "PNG")
    >>> decoded = decode(buffer.getvalue())
    >>> decoded.media_type, decoded.width, decoded.image.getpixel((0, 0))
    ('image/png', 40, (255, 255, 255))
    """
    header = check_header(data, limits)
    image = _load(header, at_least, grey=grey)
    if not (grey and image.mode == "L" and "transparency" not in image.info):
        image = _rgb(image, header)
    if grey and image.mode != "L":
        image = image.convert("L")
    image = _upright(image, header.orientation)
    return Decoded(header.media_type, header.width, header.height, image)


def check_header(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Header:
    """The facts of an image that ``decode`` would begin with; no pixel is decoded, so that a bomb does no harm.

    Raises ImageError as ``decode`` does, but for damage that shows in the pixels only.

    >>> check_header(b"GIF89a" + bytes([3, 0, 2, 0, 0, 0, 0, 0x2C, *bytes(9), 2, 0, 0x3B]), Limits(max_pixels=5))
    Traceback (most recent call last):
        ...
    pellucid.errors.ImageError: too many pixels: 3 x 2; at most 5 are decoded
    """
    if not data:
        raise ImageError("empty", "the file has no bytes")
    if len(data) > limits.max_bytes:
        raise ImageError("too large", f"{len(data)} bytes; at most {limits.max_bytes} are read")
    header = read_header(data)
    if header.width < 1 or header.height < 1:
        raise ImageError("not an image", f"its header says {header.width} x {header.height} pixels")
    if header.width * header.height > limits.max_pixels:
        raise ImageError(
            "too many pixels", f"{header.width} x {header.height}; at most {limits.max_pixels} are decoded"
        )
    if header.frames > 1:
        raise ImageError("animated", "more than one frame; save the one that the label means")
    return header


def _load(header: Header, at_least: int | None, *, grey: bool) -> Image.Image:
    """The pixels in the file's own mode, or of a JPEG the brightness alone."""
    if header.format == "JPEG" and header.components in (1, 3):
        return _load_jpeg(header, at_least, "L" if grey or header.components == 1 else "RGB")
    try:
        image = Image.open(io.BytesIO(header.content), formats=[header.format])
    except _DAMAGED as error:
        reason = "unsupported" if "nsupported" in str(error) else "not an image"
        raise ImageError(reason, f"a {header.format} that cannot be opened: {_line(error)}") from error
    if image.size != (header.width, header.height):
        raise ImageError("not an image", f"a {header.format} whose headers contradict each other about its size")
    try:
        image.load()
    except _DAMAGED as error:
        raise ImageError("truncated", f"a {header.format} cut short or damaged: {_line(error)}") from error
    return image


def _load_jpeg(header: Header, at_least: int | None, mode: str) -> Image.Image:
    """A grey or coloured JPEG by Pillow's decoder alone: what its plugin would do first, the header has done already.

    The plugin's own reading of the markers takes half as long again as decoding a small photograph, and holds the
    interpreter lock.
    """
    fits = 1 if at_least is None else min(header.width, header.height) // at_least
    scale = next((scale for scale in _JPEG_SCALES if scale <= fits), 1)
    size = -(-header.width // scale), -(-header.height // scale)
    try:
        return Image.frombytes(mode, size, header.content, "jpeg", mode, "", scale, 0)
    except _DAMAGED as error:
        raise ImageError("truncated", f"a JPEG cut short or damaged: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _rgb(image: Image.Image, header: Header) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (image.mode == "I" and header.format == "PNG"):
        levels = np.asarray(image)
        scaled = np.empty(levels.shape, np.uint8)
        for top in range(0, len(levels), _BAND):  # a few rows at a time: the whole would be held eightfold
            scaled[top : top + _BAND] = (levels[top : top + _BAND].astype(np.int64) + 128) // 257
        return Image.fromarray(scaled).convert("RGB")
    if image.mode in ("I", "F"):
        raise ImageError("unsupported", f"{header.format} pixels of 32 bits; save it with 8 or 16 bits a channel")
    try:
        if image.has_transparency_data:
            ground = Image.new("RGBA", image.size, "white")
            ground.alpha_composite(image.convert("RGBA"))
            image = ground
        return image.convert("RGB")
    except _DAMAGED as error:  # no conversion from its colour space, or a palette that is not there
        raise ImageError("unsupported", f"{header.format} of mode {image.mode}: {_line(error)}") from error


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
