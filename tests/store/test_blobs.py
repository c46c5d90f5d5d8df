"""What only a store in a local folder, or no store at all, can do; the rest is the contract's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from fsspec.registry import _registry

from pellucid.errors import ConfigError, MissingExtraError, NotFoundError, StorageError
from pellucid.store.blobs import Blobs, digest_of, write_whole

NoSpace = Callable[[int], AbstractContextManager[None]]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, no_space: NoSpace) -> None:
    blobs = Blobs.open(str(tmp_path))
    kept = blobs.put("images", b"kept")
    with no_space(1000), pytest.raises(StorageError, match="free some space and run the same command again"):
        blobs.put("images", bytes(5000))
    assert files_below(tmp_path) == [Path(blobs.path_of("images", kept))]
    assert blobs.get("images", blobs.put("images", bytes(5000))) == bytes(5000)


def test_a_writer_that_is_stopped_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "x", b"data")
    assert files_below(tmp_path) == []


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    for data in (b"long" * 100, b"short"):
        write_whole(tmp_path / ("é" * 100), data)
    assert [path.read_bytes() for path in files_below(tmp_path)] == [b"short"]


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    blobs = Blobs.open(str(tmp_path))
    name = blobs.put("images", b"x")
    path = Path(blobs.path_of("images", name))
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(NotFoundError):
        blobs.get("images", name)
    blobs.put("images", b"x")
    assert blobs.get("images", name) == b"x"


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(b"")
    with pytest.raises(StorageError, match="check that the place exists"):
        Blobs.open(str(tmp_path)).put("images", b"x")


@pytest.mark.parametrize("name", ["a b", "a::b", "~", "a%20b#c?d", "кот"])
def test_a_folder_of_any_name_will_do(tmp_path: Path, name: str) -> None:
    blobs = Blobs.open(str(tmp_path / name))
    digest = blobs.put("images", b"x")
    assert blobs.get("images", digest) == b"x"
    assert (tmp_path / name / "images" / digest[:2] / digest[2:]).read_bytes() == b"x"


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    digest = Blobs.open(f"file://{tmp_path}").put("images", b"x")
    assert Blobs.open(str(tmp_path)).get("images", digest) == b"x"


def test_the_stored_file_itself_serves_as_local_copy(tmp_path: Path) -> None:
    blobs = Blobs.open(str(tmp_path / "store"))
    digest = blobs.put("weights", b"x")
    assert blobs.local_copy("weights", digest, tmp_path / "cache") == Path(blobs.url_of("weights", digest))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "url", ["s3://ann:hunter2@bucket/x", "ftp://ann:hunter2@host/x", "s3://bucket/x?secret=hunter2"]
)
def test_a_place_holds_no_password(url: str) -> None:
    with pytest.raises(ConfigError, match="holds a password; give it where the driver looks for it") as caught:
        Blobs.open(url)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ConfigError, match="nowhere://x is no place to store files in"):
        Blobs.open("nowhere://x")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)  # fsspec remembers what it has imported
    with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[s3\]'"):
        Blobs.open("s3://bucket/x")


def test_a_digest_is_the_sha256() -> None:
    assert digest_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
