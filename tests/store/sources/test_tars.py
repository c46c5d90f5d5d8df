"""Tar files, honest and not."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import ImageError, SourceError, StorageError
from pellucid.store.sources import open_source

Files = Mapping[str, bytes | str]


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_members_that_are_never_followed(tmp_path: Path) -> None:
    path = pack(
        tmp_path / "a.tar",
        (member("cat/1.jpg"), b"one"),
        (member("../up.jpg"), b"x"),
        (member("/etc/abs.jpg"), b"x"),
        (member("cat/link.jpg", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (member("cat/hard.jpg", tarfile.LNKTYPE, "cat/1.jpg"), b""),
        (member("cat/null.jpg", tarfile.CHRTYPE), b""),
        (member("cat/pipe.jpg", tarfile.FIFOTYPE), b""),
        (member("cow", tarfile.DIRTYPE), b""),
        (member("./cat/1.jpg"), b"last"),
    )
    with open_source(path) as source:
        assert [(item.path, item.read()) for item in source.items] == [("cat/1.jpg", b"last")]
        assert source.warnings == (
            "2 members refused: unsafe path: '../up.jpg', '/etc/abs.jpg'",
            "1 member refused: symbolic link: 'cat/link.jpg'",
            "1 member refused: hard link: 'cat/hard.jpg'",
            "2 members refused: device: 'cat/null.jpg', 'cat/pipe.jpg'",
            "1 member replaced by a later namesake: 'cat/1.jpg'",
            "1 class folder without an image: 'cow'",
        )


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_in_every_format(form: int, tmp_path: Path) -> None:
    long = f"cat/{'long ' * 18}.jpg"
    names = [long, "cat/line\nbreak.jpg", "dog/日本.jpg"]
    path = pack(tmp_path / "a.tar", *((member(name), name.encode()) for name in names), form=form)
    with open_source(path) as source:
        assert {item.path: item.read().decode() for item in source.items} == {name: name for name in names}


def test_an_undecodable_name(tmp_path: Path) -> None:
    with open_source(pack(tmp_path / "a.tar", (member("cat/\udce9.jpg"), b"x"), form=tarfile.GNU_FORMAT)) as source:
        assert [(item.path, item.read()) for item in source.items] == [("cat/\\udce9.jpg", b"x")]


def test_the_format_before_1988_goes_by_its_suffix(tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "a.tar", (member("cat/1.jpg"), b"one"), form=tarfile.USTAR_FORMAT).read_bytes())
    header = data[:512]
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[:512] = header
    (tmp_path / "a.tar").write_bytes(data)
    with open_source(tmp_path / "a.tar") as source:
        assert [item.read() for item in source.items] == [b"one"]


def test_a_size_cap(make_archive: Callable[[str, Files], Path]) -> None:
    path = make_archive("a.tar.gz", {"cat/10.jpg": "x" * 10, "cat/11.jpg": "x" * 11})
    with open_source(path, max_image_bytes=10) as source:
        assert source.items[0].read() == b"x" * 10
        with pytest.raises(ImageError, match=r"too large: 'cat/11\.jpg' has 11 bytes, at most 10 are read"):
            source.items[1].read()


def test_a_bomb(make_archive: Callable[[str, Files], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_archive("a.tar.xz", {"cat/1.jpg": bytes(5_000_000)})
    with pytest.raises(SourceError, match="unpacks to more than 4,000,000 bytes; if it is no bomb"):
        open_source(path, max_archive_bytes=4_000_000).__enter__()
    monkeypatch.setattr("pellucid.store.sources.archive.FREE_BYTES", 1000)
    with pytest.raises(SourceError, match="if it is no bomb"):
        open_source(path).__enter__()


def test_a_full_disk(make_archive: Callable[[str, Files], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    with pytest.raises(StorageError, match="No space left on device; free that disk, or set TMPDIR"):
        open_source(make_archive("a.tar.gz", {"cat/1.jpg": "x"})).__enter__()


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_truncated_anywhere(name: str, make_archive: Callable[[str, Files], Path]) -> None:
    path = make_archive(name, {f"cat/{i}.jpg": bytes(range(256)) * 4 for i in range(5)})
    raw = path.read_bytes()
    size = 5 * (512 + 1024) if name == "a.tar" else len(raw) - 1  # behind that a tar holds zeros only
    for cut in sorted({*range(270, size, max(size // 40, 1)), *range(512, size, 512), size}):
        path.write_bytes(raw[:cut])
        with pytest.raises(SourceError, match="damaged or truncated"), open_source(path):
            pass


def test_compressed_but_no_tar(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv.gz").write_bytes(gzip.compress(b"file,label\n"))
    with (
        pytest.raises(SourceError, match="damaged or truncated tar"),
        open_source(tmp_path / "manifest.csv.gz"),
    ):
        pass


def test_reading_after_closing_is_an_error_and_no_other_files_bytes(
    make_archive: Callable[[str, Files], Path],
) -> None:
    with open_source(make_archive("a.tar", {"cat/1.jpg": "x"})) as source:
        pass
    with pytest.raises(ValueError, match="closed file"):
        source.items[0].read()


@given(place=st.integers(0, 4000), noise=st.binary(min_size=1, max_size=12))
def test_damage_is_a_clear_error_or_one_images(
    place: int, noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    pack(path, *((member(f"cat/{'é' * 60 * (i % 2)}{i}.jpg"), bytes(range(200))) for i in range(3)))
    raw = bytearray(path.read_bytes())
    raw[place : place + len(noise)] = noise
    path.write_bytes(raw)
    with suppress(SourceError), open_source(path) as source:  # nothing else may come out
        for item in source.items:
            with suppress(ImageError):
                item.read()


def test_a_header_that_claims_to_be_large_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", (member("cat/1.jpg"), b"one"), (member(f"cat/{'é' * 200}.jpg"), b"two"))
    raw = bytearray(path.read_bytes())
    header = raw[1024:1536]
    assert header[156:157] == tarfile.XHDTYPE
    header[124:136] = b"77777777777\0"  # 8 GiB
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    raw[1024:1536] = header
    path.write_bytes(raw)
    with pytest.raises(SourceError, match="a header of 8589934592 bytes"), open_source(path):
        pass


def test_headers_upon_headers(tmp_path: Path) -> None:
    raw = pack(tmp_path / "a.tar", (member("é.jpg"), b"")).read_bytes()
    (tmp_path / "a.tar").write_bytes(raw[:1024] * 5000 + raw)
    with pytest.raises(SourceError, match="damaged or truncated tar"), open_source(tmp_path / "a.tar"):
        pass


def test_a_header_that_points_backwards(tmp_path: Path) -> None:
    raw = bytearray(pack(tmp_path / "a.tar", (member("cat/1.jpg"), b"one")).read_bytes())
    raw[124:136] = b"\xff" * 10 + b"\xf0\x00"  # -4,096 in base 256
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(SourceError, match="goes on at -"), open_source(tmp_path / "a.tar"):
        pass
