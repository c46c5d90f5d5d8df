"""What an image file says about itself, read before a decoder touches it.

A few dozen bytes tell format, size, orientation and the number of frames. Reading them here bounds the work
before any memory is taken, and takes the metadata away: comments, colour profiles, EXIF and embedded previews
never reach Pillow, whose parsers of them are where its warnings come from (and `warnings.catch_warnings` is
not thread-safe).

Formats: JPEG (ITU T.81), PNG (W3C, third edition), GIF (89a), WebP (RFC 9649), BMP, TIFF 6.0 and BigTIFF.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pellucid.errors import ImageError

_MOST_PIECES = 100_000  # segments of a JPEG, chunks of a PNG: encoders write hundreds, a file made to do harm millions


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of one image file."""

    format: str  # Pillow's name of the format, "JPEG"
    width: int  # pixels, as stored
    height: int  # pixels
    frames: int  # 1, or 2 where there is more than one
    orientation: int  # EXIF, 1..8; 1 is upright
    content: bytes  # the file without its metadata, where that could be left out
    components: int = 0  # colours of a JPEG's pixels, 1, 3 or 4; 0 for other formats

    @property
    def media_type(self) -> str:
        """By content, never by file name: ``image/jpeg``."""
        return f"image/{self.format.lower()}"


def read_header(data: bytes) -> Header:
    """Recognise the format by its first bytes and read its header; no pixel is decoded.

    Raises ImageError: "not an image", "unsupported" or "truncated".

    >>> read_header(b"GIF89a" + bytes([3, 0, 2, 0, 0, 0, 0, 0x2C, *bytes(9), 2, 0, 0x3B])).width
    3
    """
    for magic, read in _READERS:
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, IndexError, OverflowError) as error:
                raise ImageError("truncated", "the file ends within its header") from error
    if data[4:8] == b"ftyp":
        raise ImageError("unsupported", "a HEIC, AVIF or video file; convert it to JPEG or PNG")
    raise ImageError("not an image", "it has another content than a JPEG, PNG, WebP, BMP, GIF or TIFF picture")


def _jpeg(data: bytes) -> Header:
    kept, at, frame, orientation, pieces = [data[:2]], 2, None, 1, 0
    while True:
        if data[at] != 0xFF:
            raise ImageError("not an image", f"a JPEG without a marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these have no content
            at += 2
            continue
        if marker in (0xD9, 0xDA):
            break
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if frame is not None:
                raise ImageError("not an image", "a JPEG with two frames, which contradict each other")
            frame = struct.unpack_from(">HHB", data, at + 5)
        if marker == 0xE1 and data.startswith(b"Exif\0\0", at + 4):
            orientation = _orientation(data[at + 10 : end])
        if not 0xE1 <= marker <= 0xED and marker not in (0xEF, 0xFE):  # APP0 and APP14 tell the colour space
            kept.append(data[at:end])
        pieces = _one_more(pieces)
        at = end
    if frame is None:
        raise ImageError("not an image", "a JPEG without a frame")
    height, width, components = frame
    return Header("JPEG", width, height, 1, orientation, b"".join([*kept, data[at:]]), components)


def _png(data: bytes) -> Header:
    kept, at, frames, orientation, pieces = [data[:8]], 8, 1, 1, 0
    width, height = struct.unpack_from(">II", data, 16)
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ImageError("truncated", f"the file ends within its {kind.decode('latin-1')} chunk")
        if kind == b"acTL" and struct.unpack_from(">I", data, at + 8)[0] > 1:
            frames = 2
        elif kind == b"eXIf":
            orientation = _orientation(data[at + 8 : end - 4])
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(data[at:end])
        pieces = _one_more(pieces)
        at = end
    return Header("PNG", width, height, frames, orientation, b"".join(kept))


def _one_more(pieces: int) -> int:
    if pieces >= _MOST_PIECES:
        raise ImageError("not an image", f"its header has more than {_MOST_PIECES} pieces; save it again")
    return pieces + 1


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, frames = 13 + _palette_size(flags), 0
    while frames < 2 and at < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
            width, height = max(width, left + wide), max(height, top + high)
            frames += 1
            at += 11 + _palette_size(flags)
        elif data[at] == 0x21:
            at += 2
        else:
            raise ImageError("not an image", f"a GIF with an unknown block at byte {at}")
        while data[at]:  # sub-blocks, each led by its length
            at += 1 + data[at]
        at += 1
    if not frames:
        raise ImageError("truncated", "a GIF without a picture")
    return Header("GIF", width, height, frames, 1, data)


def _palette_size(flags: int) -> int:
    return 3 * 2 ** (1 + (flags & 7)) if flags & 0x80 else 0


def _webp(data: bytes) -> Header:
    if data[8:12] != b"WEBP":
        raise ImageError("not an image", "a RIFF file that is not WebP")
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise ImageError("truncated", "the file is shorter than it says")
    kind, frames, orientation = data[12:16], 1, 1
    if kind == b"VP8X":
        flags = data[20]
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        frames = 2 if flags & 0x02 else 1
        orientation = _orientation(_riff_chunk(data, b"EXIF")) if flags & 0x08 else 1
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ImageError("not an image", "a WebP whose first chunk is of an unknown kind")
    return Header("WEBP", width, height, frames, orientation, data)


def _riff_chunk(data: bytes, wanted: bytes) -> bytes:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == wanted:
            return data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        at += 8 + length + length % 2
    return b""


def _bmp(data: bytes) -> Header:
    core = struct.unpack_from("<I", data, 14)[0] == 12
    width, height = struct.unpack_from("<HH" if core else "<ii", data, 18)
    return Header("BMP", abs(width), abs(height), 1, 1, data)


_TYPE_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_SINGLE_TAGS = frozenset({256, 257, 259, 262, 266, 274, 277, 278, 284, 292, 293, 317, 322, 323})
_TABLE_TAGS = frozenset({258, 273, 279, 320, 324, 325, 332, 338, 339, 347, 529, 530, 532})
_ORIENTATION_TAG = 274


@dataclass(frozen=True, slots=True)
class _Directory:
    """The well-formed entries of a TIFF directory whose tags describe pixels."""

    order: str  # of bytes, for struct
    big: bool
    entries: dict[int, bytes]  # tag -> the entry as stored
    values: dict[int, int]  # single-valued tags
    following: int  # offset of the next directory, 0 at the end


def _directory(data: bytes) -> _Directory:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    at = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    count = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
    at += 8 if big else 2
    inline, step = (8, 20) if big else (4, 12)
    if count * step > len(data):
        raise ImageError("truncated", f"a TIFF directory of {count} entries in {len(data)} bytes")
    entries, values, total = {}, {}, 0
    for start in range(at, at + count * step, step):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, start)
        if tag in entries or tag not in _SINGLE_TAGS | _TABLE_TAGS or kind not in _TYPE_SIZES:
            continue
        size = number * _TYPE_SIZES[kind]
        if size > inline:
            offset = struct.unpack_from(order + ("Q" if big else "I"), data, start + step - inline)[0]
            total += size
            if offset + size > len(data) or total > len(data):
                raise ImageError("truncated", f"the file ends before the content of TIFF tag {tag}")
        if tag in _SINGLE_TAGS:
            if number != 1 or kind not in (1, 3, 4):
                raise ImageError("not an image", f"TIFF tag {tag} has {number} values of type {kind}, not one number")
            values[tag] = struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], data, start + step - inline)[0]
        entries[tag] = data[start : start + step]
    following = struct.unpack_from(order + ("Q" if big else "I"), data, at + count * step)[0]
    return _Directory(order, big, entries, values, following)


def _tiff(data: bytes) -> Header:
    """The directory is written anew behind the pixels, with nothing in it but what describes pixels."""
    found = _directory(data)
    values = found.values
    if 256 not in values or 257 not in values:
        raise ImageError("not an image", "a TIFF without a width or a height")
    entries = [entry for tag, entry in sorted(found.entries.items()) if tag != _ORIENTATION_TAG]
    start = len(data) + len(data) % 2
    offset, number = ("Q", "Q") if found.big else ("I", "H")
    head = data[: 8 if found.big else 4] + struct.pack(found.order + offset, start)
    count = struct.pack(found.order + number, len(entries))
    content = b"".join(
        [head, data[len(head) :], bytes(len(data) % 2), count, *entries, struct.pack(found.order + offset, 0)]
    )
    frames = 2 if found.following else 1
    return Header("TIFF", values[256], values[257], frames, _upright(values), content)


def _upright(values: dict[int, int]) -> int:
    orientation = values.get(_ORIENTATION_TAG, 1)
    return orientation if 1 <= orientation <= 8 else 1


def _orientation(exif: bytes) -> int:
    """From an EXIF block, which is a small TIFF; a damaged one turns nothing."""
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        return _upright(_directory(exif).values)
    except (struct.error, OverflowError, ImageError):
        return 1


_READERS: tuple[tuple[bytes, Callable[[bytes], Header]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
)
