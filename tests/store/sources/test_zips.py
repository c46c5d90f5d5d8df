"""Zip files, honest and not."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import ImageError, SourceError
from pellucid.store.sources import open_source

Files = Mapping[str, bytes | str]


def link(name: str, kind: int = stat.S_IFLNK) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3  # Unix
    info.external_attr = (kind | 0o777) << 16
    return info


def test_members_that_are_never_followed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("cat/1.jpg", "one")
        packed.writestr("../up.jpg", "x")
        packed.writestr("cat/../../up.jpg", "x")
        packed.writestr("/etc/abs.jpg", "x")
        packed.writestr(link("cat/link.jpg"), "/etc/passwd")
        packed.writestr(link("cat/null.jpg", stat.S_IFCHR), "")
        packed.writestr("cow/", "")
        packed.writestr("__MACOSX/cat/._1.jpg", "x")
    with open_source(tmp_path / "a.zip") as source:
        assert [(item.path, item.read()) for item in source.items] == [("cat/1.jpg", b"one")]
        assert source.warnings == (
            "3 members refused: unsafe path: '../up.jpg', 'cat/../../up.jpg', '/etc/abs.jpg'",
            "1 member refused: symbolic link: 'cat/link.jpg'",
            "1 member refused: device: 'cat/null.jpg'",
            "1 class folder without an image: 'cow'",
        )


def test_of_namesakes_the_last_counts(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("cat/1.jpg", "first")
        packed.writestr("cat//1.jpg", "last")
    with open_source(tmp_path / "a.zip") as source:
        assert [(item.path, item.read()) for item in source.items] == [("cat/1.jpg", b"last")]
        assert source.warnings == ("1 member replaced by a later namesake: 'cat/1.jpg'",)


def test_names_as_their_makers_meant_them(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.writestr("cat/xx.jpg", "utf-8 without its flag")
        packed.writestr("dog/a\nb c.jpg", "blank")
        dos = zipfile.ZipInfo("cow/dos.jpg")
        dos.create_system = 0
        packed.writestr(dos, "backslash")
    raw = data.getvalue().replace(b"cat/xx.jpg", "cat/ü.jpg".encode()).replace(b"cow/dos", b"cow\\dos")
    (tmp_path / "a.zip").write_bytes(raw)
    with open_source(tmp_path / "a.zip") as source:
        assert [item.path for item in source.items] == ["cat/ü.jpg", "cow/dos.jpg", "dog/a\nb c.jpg"]
        assert all(item.read() for item in source.items)


def test_a_member_is_never_unpacked_beyond_the_cap(make_archive: Callable[[str, Files], Path]) -> None:
    path = make_archive("a.zip", {"cat/10.jpg": "x" * 10, "cat/11.jpg": "x" * 11, "cat/bomb.jpg": bytes(10_000_000)})
    with open_source(path, max_image_bytes=10) as source:
        assert source.items[0].read() == b"x" * 10
        for item in source.items[1:]:
            with pytest.raises(ImageError, match="too large"):
                item.read()


def test_a_member_that_lies_about_its_size_is_no_way_round_the_cap(
    make_archive: Callable[[str, Files], Path],
) -> None:
    path = make_archive("a.zip", {"cat/1.jpg": bytes(10_000_000)})
    raw = path.read_bytes()
    assert raw.count(struct.pack("<I", 10_000_000)) == 2
    path.write_bytes(raw.replace(struct.pack("<I", 10_000_000), struct.pack("<I", 5)))
    with open_source(path, max_image_bytes=10) as source, pytest.raises(ImageError, match="unreadable"):
        source.items[0].read()


def test_a_bomb(make_archive: Callable[[str, Files], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_archive("a.zip", {f"cat/{i}.jpg": bytes(1_000_000) for i in range(5)})
    with pytest.raises(SourceError, match=r"unpacks to 5,000,000 bytes, more than 4,000,000; if it is no bomb"):
        open_source(path, max_archive_bytes=4_000_000).__enter__()
    with open_source(path) as source:  # small enough to be harmless, whatever its ratio
        assert len(source.items) == 5
    monkeypatch.setattr("pellucid.store.sources.archive.FREE_BYTES", 1000)
    with pytest.raises(SourceError, match="if it is no bomb"):
        open_source(path).__enter__()


def test_a_cap_on_members(make_archive: Callable[[str, Files], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.store.sources.members.MAX_FILES", 2)
    with pytest.raises(SourceError, match="holds over 2 files"):
        open_source(make_archive("a.zip", {f"cat/{i}.jpg": "x" for i in range(3)})).__enter__()


def test_encrypted(make_archive: Callable[[str, Files], Path]) -> None:
    path = make_archive("a.zip", {"cat/1.jpg": "one"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(SourceError, match="is encrypted; unpack it with its password"), open_source(path):
        pass


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound_are_refused(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as packed:
        packed.writestr("cat/1.jpg", "one")
    with open_source(tmp_path / "a.zip") as source, pytest.raises(ImageError, match="pack it by deflate"):
        source.items[0].read()


def test_archives_inside_are_left_alone(make_archive: Callable[[str, Files], Path]) -> None:
    inner = make_archive("inner.zip", {"cat/2.jpg": "x"}).read_bytes()
    with open_source(make_archive("a.zip", {"cat/1.jpg": "x", "cat/inner.zip": inner})) as source:
        assert [item.path for item in source.items] == ["cat/1.jpg"]
        assert source.warnings == ("1 file left out for a suffix that is no image's: 'cat/inner.zip'",)


@given(cut=st.integers(4, 400))
def test_truncated(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for i in range(5):
            packed.writestr(f"cat/{i}.jpg", b"x" * 50)
    path.write_bytes(path.read_bytes()[:-1][:cut])
    with pytest.raises(SourceError, match="damaged or truncated"), open_source(path):
        pass


@given(place=st.integers(4, 1000), noise=st.binary(min_size=1, max_size=8))
def test_damage_is_a_clear_error_or_one_images(
    place: int, noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for i in range(5):
            packed.writestr(f"cat/{i}.jpg", bytes(range(i, 50)))
    raw = bytearray(path.read_bytes())
    place %= len(raw) - len(noise) - 4
    raw[place + 4 : place + 4 + len(noise)] = noise
    path.write_bytes(raw)
    with suppress(SourceError), open_source(path) as source:  # nothing else may come out
        for item in source.items:
            with suppress(ImageError):
                item.read()


def test_a_member_without_a_name(make_archive: Callable[[str, Files], Path]) -> None:
    path = make_archive("a.zip", {"cat/1.jpg": "one", "nameless": "x"})
    path.write_bytes(path.read_bytes().replace(b"nameless", b"\0ameless"))
    with open_source(path) as source:
        assert [item.path for item in source.items] == ["cat/1.jpg"]
