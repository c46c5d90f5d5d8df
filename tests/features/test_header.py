"""Headers as they are written by hand, against Pillow's own reading, and without their metadata."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from pellucid.errors import ImageError
from pellucid.features.header import read_header

Encode = Callable[..., bytes]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (301, 17)])
def test_size_and_format_are_those_that_pillow_reads(encode: Encode, format: str, size: tuple[int, int]) -> None:
    data = encode(Image.new("RGB", size, "teal"), format)
    header = read_header(data)
    with Image.open(io.BytesIO(data)) as reference:
        assert (header.format, header.width, header.height) == (reference.format, *reference.size)
    assert (header.frames, header.orientation) == (1, 1)


def test_lossless_webp_keeps_its_size_elsewhere(encode: Encode) -> None:
    header = read_header(encode(Image.new("RGB", (301, 17)), "WEBP", lossless=True))
    assert (header.width, header.height) == (301, 17)


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_in_both_byte_orders(encode: Encode, order: str) -> None:
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 1)
    exif = b"Exif\0\0" + tiff + struct.pack(order + "HHIHHI", 0x0112, 3, 1, 6, 0, 0)
    plain = encode(Image.new("RGB", (8, 8)), "JPEG")
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    assert read_header(data).orientation == 6


def test_metadata_is_left_out_and_pixels_are_not(encode: Encode) -> None:
    image, secret = Image.new("RGB", (8, 8), "teal"), b"where I live"
    exif = Image.Exif()
    exif[0x010F] = secret.decode()
    for format in ("JPEG", "PNG"):
        data = encode(image, format, exif=exif, icc_profile=secret)
        assert secret in data or format == "PNG"  # PNG compresses the profile
        assert secret not in read_header(data).content
        assert read_header(data).content == read_header(encode(image, format)).content


def test_tiff_directory_is_written_anew_with_pixel_tags_only(encode: Encode) -> None:
    data = encode(Image.new("RGB", (8, 8), "teal"), "TIFF", software="somebody's", description="x" * 99)
    with Image.open(io.BytesIO(read_header(data).content)) as image:
        assert isinstance(image, TiffImageFile)
        assert 305 not in image.tag_v2
        assert image.convert("RGB").getpixel((3, 3)) == (0, 128, 128)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xd8\xff", "truncated"),
        (b"\xff\xd8\xff\xe0\x00\x04\x00\x00\x00", "not an image"),
        (b"\xff\xd8\xff\xda" + bytes(20), "not an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(4), "truncated"),
        (b"GIF89a", "truncated"),
        (b"GIF89a" + bytes(7) + b";", "truncated"),
        (b"GIF89a" + bytes(7) + b"?", "not an image"),
        (b"RIFF\x00\x00\x00\x00WAVE", "not an image"),
        (b"RIFF\xff\x00\x00\x00WEBPVP8 ", "truncated"),
        (b"RIFF\x04\x00\x00\x00WEBPNONE", "not an image"),
        (b"BM", "truncated"),
        (b"II*\0" + struct.pack("<I", 9999), "truncated"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, "truncated"),
        (b"II*\0" + struct.pack("<IHI", 8, 0, 0), "not an image"),
        (b"II*\0" + struct.pack("<IHHHIII", 8, 1, 256, 4, 2, 8, 0), "not an image"),
        (b"II*\0" + struct.pack("<IHHHIII", 8, 1, 273, 4, 2**30, 8, 0), "truncated"),
        (b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(10), "truncated"),
    ],
)
def test_broken_headers(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_header(data)
    assert caught.value.reason == reason


def test_a_jpeg_with_two_frames_is_refused(encode: Encode) -> None:
    """Which of the two a decoder would believe must not matter: memory is taken by what the header says."""
    data = encode(Image.new("RGB", (16, 8)), "JPEG")
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4])]
    assert read_header(data).components == 3
    with pytest.raises(ImageError, match="two frames"):
        read_header(data[:at] + frame + data[at:])


def test_a_file_of_very_many_pieces_is_refused_before_they_are_held(encode: Encode) -> None:
    jpeg = encode(Image.new("RGB", (8, 8)), "JPEG")
    png = encode(Image.new("RGB", (8, 8)), "PNG")
    empty = struct.pack(">I4sI", 0, b"tEXt", 0)
    for data in (
        jpeg[:2] + b"\xff\xe0\0\2" * 200_000 + jpeg[2:],
        png[:33] + empty * 200_000 + png[33:],
    ):
        with pytest.raises(ImageError, match="more than 100000 pieces"):
            read_header(data)
