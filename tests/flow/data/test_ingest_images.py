"""Images that cannot be used are set aside with their reason; odd ones that can be used are."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid import Project
from pellucid.errors import SourceError


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises that many pixels, and next to nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture
def broken(picture: Callable[..., bytes]) -> dict[str, tuple[bytes, str]]:
    """Files that cannot be used, and the reason each is set aside for."""
    frames = [noise(seed=1), noise(seed=2)]
    return {
        "truncated.jpg": (encoded(noise(), "JPEG")[:-200], "truncated"),
        "empty.png": (b"", "empty"),
        "text.jpg": (b"this is no picture\n" * 10, "not an image"),
        "bomb.png": (png_of(100_000, 100_000), "too many pixels"),
        "animated.gif": (encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "animated"),
        "pages.tif": (encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]), "animated"),
        "huge.png": (picture("cat", 0, size=300), "too large"),
    }


def test_each_is_set_aside_counted_and_listed(
    make_project: Callable[..., Project],
    class_folders: Callable[..., Path],
    broken: dict[str, tuple[bytes, str]],
    tmp_path: Path,
) -> None:
    project = make_project(max_image_bytes=50_000)
    source = class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})
    for name, (data, _) in broken.items():
        (source / "cat" / name).write_bytes(data)
    report = project.ingest(source, "pets")
    assert report.version.counts["images"] == 6
    assert report.files == 6 + len(broken)
    reasons = [reason for _, reason in broken.values()]
    assert dict(report.rejected) == {reason: reasons.count(reason) for reason in reasons}
    listed = {item.path: item.reason for item in project.inspect("pets").rejected}
    assert listed == {f"cat/{name}": reason for name, (_, reason) in broken.items()}


def test_they_are_listed_once_and_from_the_version_on_that_met_them(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})
    project.ingest(source, "pets")
    (source / "cat" / "bad.png").write_bytes(b"")
    class_folders(source, {"cat": 1}, start=9)
    project.ingest(source, "pets")
    project.ingest(source, "pets")
    class_folders(source, {"dog": 1}, start=9)
    project.ingest(source, "pets")
    assert [len(project.inspect(f"pets@{number}").rejected) for number in (1, 2, 3)] == [0, 1, 1]


def test_a_broken_file_that_comes_alone_is_listed_too(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})
    project.ingest(source, "pets")
    (source / "cat" / "bad.png").write_bytes(b"")
    report = project.ingest(source, "pets")
    assert (report.created, dict(report.rejected)) == (False, {"empty": 1})
    assert [item.path for item in project.inspect("pets").rejected] == ["cat/bad.png"]


def test_a_row_without_its_file_is_set_aside(
    project: Project, manifest: Callable[..., Path], picture: Callable[..., bytes]
) -> None:
    rows = [{"file_name": name, "label": "cat", "annotator": who} for name in ("0.png", "gone.png") for who in "ab"]
    report = project.ingest(manifest({"0.png": picture("cat", 0)}, rows), "pets")
    assert dict(report.rejected) == {"missing": 1}
    assert report.version.counts["images"] == 1
    assert "gone.png" in project.inspect("pets").rejected[0].path


def test_nothing_usable_is_an_error_and_changes_nothing(
    project: Project,
    class_folders: Callable[..., Path],
    broken: dict[str, tuple[bytes, str]],
    tmp_path: Path,
) -> None:
    project.ingest(class_folders(tmp_path / "good", {"cat": 2, "dog": 2}), "pets")
    for name in ("empty.png", "text.jpg"):
        (tmp_path / "bad" / "cat").mkdir(parents=True, exist_ok=True)
        (tmp_path / "bad" / "cat" / name).write_bytes(broken[name][0])
    for dataset in ("pets", "new"):
        with pytest.raises(SourceError, match=r"no image that can be used \(1 empty, 1 not an image\)"):
            project.ingest(tmp_path / "bad", dataset)
    assert [version.ref for version in project.datasets()] == ["pets@1"]
    assert not project.inspect("pets").rejected


def test_odd_images_that_can_be_used(project: Project, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (24, 32), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "cmyk.jpg": encoded(noise("CMYK", 1), "JPEG"),
        "sixteen.png": encoded(Image.fromarray(levels), "PNG"),
        "palette.png": encoded(noise("P", 2), "PNG", transparency=0),
        "rotated.jpg": encoded(noise("RGB", 3), "JPEG", exif=exif),
        "a png.jpg": encoded(noise("RGB", 4), "PNG"),
        "grey.bmp": encoded(noise("L", 5), "BMP"),
        "one.gif": encoded(noise("RGB", 6), "GIF"),
        "photo.webp": encoded(noise("RGB", 7), "WEBP"),
        "scan.tiff": encoded(noise("RGB", 8), "TIFF"),
        "Zoë's – 猫\n1.png": encoded(noise("RGB", 9), "PNG"),
    }
    for name, data in files.items():
        (tmp_path / "pets" / "odd ünïcode").mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / "odd ünïcode" / name).write_bytes(data)
    report = project.ingest(tmp_path / "pets", "pets")
    assert (report.version.counts["images"], dict(report.rejected)) == (len(files), {})
    assert report.version.classes == ("odd ünïcode",)
    assert project.embed("pets") == len(files)
