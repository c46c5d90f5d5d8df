"""What comes out of a file, and why some files give nothing."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pellucid.errors import ImageError, UsageError
from pellucid.features.decode import Limits, decode

Encode = Callable[..., bytes]

LOSSLESS = [
    ("PNG", {}),
    ("BMP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", {"compression": "packbits"}),
    ("TIFF", {"big_tiff": True}),
]


def reason(data: bytes, limits: Limits | None = None, at_least: int | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, limits or Limits(), at_least=at_least)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(("format", "options"), LOSSLESS)
def test_lossless_formats_keep_every_pixel(
    photo: Image.Image, encode: Encode, format: str, options: dict[str, object]
) -> None:
    decoded = decode(encode(photo, format, **options))
    assert (decoded.media_type, decoded.width, decoded.height) == (f"image/{format.lower()}", 60, 40)
    assert np.array_equal(np.asarray(decoded.image), np.asarray(photo))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_is_what_pillow_decodes(photo: Image.Image, encode: Encode, options: dict[str, object]) -> None:
    data = encode(photo, "JPEG", comment=b"taken on Monday", icc_profile=b"x" * 300, **options)
    reference = Image.open(io.BytesIO(data)).convert("RGB")
    assert np.array_equal(np.asarray(decode(data).image), np.asarray(reference))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(photo: Image.Image, encode: Encode, format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif[0x0112] = orientation
    data = encode(photo, format, exif=exif)
    reference = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    decoded = decode(data)
    assert (decoded.width, decoded.height) == (60, 40)
    assert decoded.image.size == reference.size
    assert np.array_equal(np.asarray(decoded.image), np.asarray(reference))


def test_media_type_is_told_by_content_alone(photo: Image.Image, encode: Encode) -> None:
    assert decode(encode(photo, "PNG")).media_type == "image/png"  # the caller's name for it never comes here


def test_cmyk_becomes_rgb(encode: Encode) -> None:
    data = encode(Image.new("CMYK", (30, 20), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = np.asarray(decode(data).image)[10, 10].tolist()
    assert red > 200
    assert max(green, blue) < 50


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(encode: Encode, mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    assert decode(encode(image, "PNG")).image.getpixel((1, 1)) == (255, 255, 255)
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128)).convert(mode)
    assert decode(encode(half, "PNG")).image.getpixel((1, 1)) == pytest.approx((127, 127, 127), abs=1)


def test_transparent_palette_entry_is_white(encode: Encode) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((0, 0), 0)
    for transparency in (0, b"\x00\xff"):
        decoded = decode(encode(image, "PNG", transparency=transparency)).image
        assert decoded.getpixel((0, 0)) == (255, 255, 255)
        assert decoded.getpixel((1, 1)) == (255, 0, 0)


def test_one_bit_and_palette_and_gif(photo: Image.Image, encode: Encode) -> None:
    assert decode(encode(Image.new("1", (9, 9), 1), "PNG")).image.getpixel((4, 4)) == (255, 255, 255)
    palette = photo.convert("P", palette=Image.Palette.ADAPTIVE)
    for format in ("PNG", "GIF", "BMP"):
        assert np.array_equal(np.asarray(decode(encode(palette, format)).image), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(encode: Encode, format: str) -> None:
    levels = np.array([[0, 128, 129, 257, 32768, 65407, 65535]], dtype=np.uint16)
    decoded = decode(encode(Image.fromarray(levels), format)).image
    # round(level / 257): 128/257 is .498 and 129/257 is .502
    assert np.asarray(decoded)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bit_pixels_are_unsupported(encode: Encode, dtype: type) -> None:
    assert reason(encode(Image.fromarray(np.ones((4, 4), dtype=dtype)), "TIFF")) == "unsupported"


def test_empty_text_and_unknown_files() -> None:
    assert reason(b"") == "empty"
    assert reason(b"this is a text file named cat.jpg") == "not an image"
    assert reason(bytes(1000)) == "not an image"
    assert reason(b"\x00\x00\x00\x18ftypheic" + bytes(100)) == "unsupported"


def test_too_many_bytes_are_refused_unseen() -> None:
    assert reason(bytes(101), Limits(max_bytes=100)) == "too large"


def bomb(format: str, side: int) -> bytes:
    """A few bytes that promise side x side pixels."""
    if format == "PNG":
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        body = b"IDAT" + zlib.compress(bytes(1000))
        chunks = [header, body, b"IEND"]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
        )
    if format == "BMP":
        return b"BM" + struct.pack("<IHHIIiiHH", 1000, 0, 0, 54, 40, side, -side, 1, 24) + bytes(1000)
    if format == "TIFF":
        tags = struct.pack("<HHII", 256, 4, 1, side) + struct.pack("<HHII", 257, 4, 1, side)
        return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 2) + tags + bytes(100)
    if format == "JPEG":
        frame = struct.pack(">HHBHHB", 0xFFC0, 8, 8, side, side, 0)
        return b"\xff\xd8" + frame + b"\xff\xd9"
    if format == "WEBP":
        canvas = bytes(4) + (side - 1).to_bytes(3, "little") * 2
        return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + canvas
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + b"," + bytes(9) + b"\x02\x00;"


@pytest.mark.parametrize(
    ("format", "side"),
    [(f, 100_000) for f in ("PNG", "BMP", "TIFF", "WEBP")] + [(f, 60_000) for f in ("JPEG", "GIF")],
)
def test_bombs_are_refused_by_their_header(format: str, side: int) -> None:
    assert reason(bomb(format, side)) == "too many pixels"


def test_a_gif_frame_beyond_its_canvas_counts() -> None:
    canvas, frame = struct.pack("<HHBBB", 2, 2, 0, 0, 0), struct.pack("<HHHHB", 0, 0, 50000, 50000, 0)
    assert reason(b"GIF89a" + canvas + b"," + frame + b"\x02\x00;") == "too many pixels"


def test_pixel_limit_is_inclusive(photo: Image.Image, encode: Encode) -> None:
    data = encode(photo, "PNG")
    assert decode(data, Limits(max_pixels=2400)).width == 60
    assert reason(data, Limits(max_pixels=2399)) == "too many pixels"


@pytest.mark.parametrize("values", [{"max_bytes": 0}, {"max_pixels": 0}, {"max_pixels": 10**9}])
def test_limits_out_of_range_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Limits(**values)


def test_more_than_one_frame_is_refused(photo: Image.Image, encode: Encode) -> None:
    other = ImageOps.invert(photo)
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        assert reason(encode(photo, format, save_all=True, append_images=[other])) == "animated"


def test_a_photograph_with_a_preview_is_its_first_picture(photo: Image.Image, encode: Encode) -> None:
    data = encode(photo, "MPO", save_all=True, append_images=[photo.resize((6, 4))])
    decoded = decode(data)
    assert (decoded.media_type, decoded.image.size) == ("image/jpeg", (60, 40))
    assert np.abs(np.asarray(decoded.image).astype(int) - np.asarray(photo)).mean() < 5


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_files_are_found(photo: Image.Image, encode: Encode, format: str, share: float) -> None:
    data = encode(photo, format)
    assert reason(data[: int(len(data) * share)]) in ("truncated", "not an image")


@pytest.mark.parametrize("at_least", [None, 100])
def test_half_a_photograph_is_truncated_also_when_reduced(encode: Encode, at_least: int | None) -> None:
    rng = np.random.default_rng(0)
    data = encode(Image.fromarray(rng.integers(0, 255, (800, 800, 3), dtype=np.uint8)), "JPEG")
    assert reason(data[: len(data) // 2], at_least=at_least) == "truncated"


@pytest.mark.parametrize(
    ("at_least", "size"), [(None, (1200, 900)), (800, (1200, 900)), (224, (300, 225)), (50, (150, 113))]
)
def test_large_jpegs_are_reduced_but_not_below(
    photo: Image.Image, encode: Encode, at_least: int | None, size: tuple[int, int]
) -> None:
    data = encode(photo.resize((1200, 900)), "JPEG")
    decoded = decode(data, at_least=at_least)
    assert (decoded.width, decoded.height) == (1200, 900)
    assert decoded.image.size == size
    reference = photo.resize(size)
    assert np.abs(np.asarray(decoded.image).astype(int) - np.asarray(reference)).mean() < 4


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 2}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("at_least", [None, 100, 30])
def test_pixels_of_a_jpeg_are_those_of_pillows_plugin(
    photo: Image.Image, encode: Encode, options: dict[str, Any], mode: str, grey: bool, at_least: int | None
) -> None:
    data = encode(photo.resize((401, 299)).convert(mode), "JPEG", **options)
    with Image.open(io.BytesIO(data)) as plugin:
        plugin.draft("L" if grey else None, None if at_least is None else (at_least, at_least))
        expected = plugin.convert("L" if grey else "RGB")
    assert np.array_equal(np.asarray(decode(data, at_least=at_least, grey=grey).image), np.asarray(expected))


def test_reduction_leaves_other_formats_and_small_pictures_alone(photo: Image.Image, encode: Encode) -> None:
    for format in ("PNG", "JPEG"):
        assert decode(encode(photo, format), at_least=100).image.size == (60, 40)


def test_damaged_metadata_neither_warns_nor_matters(photo: Image.Image, encode: Encode) -> None:
    """Warnings are errors in these tests, so that none has leaked."""
    plain = encode(photo, "JPEG")
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHII", 8, 9, 0x011A, 5, 9999, 0xFFFFFF)
    for segment in (exif, b"Exif\0\0MM\0*\xff\xff\xff\xff", b"MPF\0II*\0" + bytes(20)):
        marker = b"\xff\xe2" if segment.startswith(b"MPF") else b"\xff\xe1"
        broken = plain[:2] + marker + struct.pack(">H", len(segment) + 2) + segment + plain[20:]
        assert np.array_equal(np.asarray(decode(broken).image), np.asarray(decode(plain).image))


def test_threads_do_not_disturb_each_other(photo: Image.Image, encode: Encode) -> None:
    files = [encode(photo, format) for format in ("JPEG", "PNG", "WEBP", "TIFF", "GIF")] * 8
    alone = [np.asarray(decode(data).image) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: np.asarray(decode(data).image), files))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@settings(max_examples=300)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF"]),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6),
    st.floats(0.3, 1),
)
def test_damaged_bytes_give_a_picture_or_an_image_error(
    format: str, changes: list[tuple[float, int]], share: float
) -> None:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((24, 16)).convert("RGB").save(buffer, format)
    data = bytearray(buffer.getvalue())
    for place, value in changes:
        data[int(place * len(data))] = value
    data = data[: int(share * len(data))]
    try:
        outcome = decode(bytes(data), Limits(max_pixels=100_000)).image.mode
    except ImageError as error:
        outcome = error.reason
    reasons = {"empty", "too many pixels", "not an image", "truncated", "animated", "unsupported"}
    assert outcome in reasons | {"RGB"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_grey_is_the_brightness_of_the_colours(kind: str) -> None:
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 255, (8, 6, 3), np.uint8)).resize((180, 240), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    smooth.save(buffer, kind, quality=95)
    colours = decode(buffer.getvalue()).image.convert("L")
    grey = decode(buffer.getvalue(), grey=True).image
    assert grey.mode == "L"
    assert grey.size == (180, 240)
    difference = np.abs(np.asarray(grey, np.int64) - np.asarray(colours, np.int64))
    assert difference.mean() < 1.0


def test_grey_with_transparency_lies_over_white() -> None:
    buffer = io.BytesIO()
    Image.new("L", (12, 12), 0).save(buffer, "PNG", transparency=0)
    assert decode(buffer.getvalue(), grey=True).image.getpixel((0, 0)) == 255


def test_grey_is_turned_upright_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(buffer, "JPEG", exif=exif)
    decoded = decode(buffer.getvalue(), at_least=16, grey=True)
    assert decoded.image.size == (20, 40)
    assert (decoded.width, decoded.height) == (40, 20)
