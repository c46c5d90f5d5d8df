"""The contract of the blobs: the same on a folder and on a real S3 server."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pellucid.errors import IntegrityError, NotFoundError, StorageError
from pellucid.store.blobs import Blobs, digest_of, read_url
from pellucid.store.manifests import read_manifest, write_manifest
from pellucid.types import Row, Split, Status


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "a store")
    return f"{request.getfixturevalue('s3')}/a/prefix"


@pytest.fixture
def blobs(url: str) -> Blobs:
    return Blobs.open(url)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a file and a folder in it."""
    folder = tmp_path / "source"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "model.json").write_bytes(b"{}")
    (folder / "deep" / "er" / "weights.bin").write_bytes(b"\0" * 1000)
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def tamper(blobs: Blobs, path: str, data: bytes) -> None:
    if "://" in blobs._url(path):
        blobs._fs.pipe_file(path, data)
    else:
        Path(path).write_bytes(data)


@pytest.mark.parametrize("data", [b"", b"pixels", bytes(range(256)) * 4096])
def test_what_is_put_is_got_under_its_digest(blobs: Blobs, url: str, data: bytes) -> None:
    name = blobs.put("images", data)
    assert name == hashlib.sha256(data).hexdigest() == blobs.put("images", data, name=name)
    assert blobs.get("images", name) == data
    assert blobs.has("images", name)
    assert not blobs.has("weights", name)
    assert Blobs.open(url).get("images", name) == data
    assert read_url(blobs.url_of("images", name)) == data


def test_the_place_of_a_blob_is_one_that_others_can_read(blobs: Blobs, url: str) -> None:
    name = blobs.put("images", b"x", suffix=".png")
    assert blobs.url_of("images", name, suffix=".png") == f"{url}/images/{name[:2]}/{name[2:]}.png"
    assert blobs.get("images", name, suffix=".png") == b"x"


def test_what_is_missing_is_not_found(blobs: Blobs, tmp_path: Path) -> None:
    for act in (
        lambda: blobs.get("images", "a" * 64),
        lambda: blobs.local_copy("images", "a" * 64, tmp_path / "cache"),
        lambda: blobs.fetch_folder("models", "a" * 64, tmp_path / "cache"),
        lambda: read_manifest(blobs, "a" * 64),
        lambda: read_url(blobs.url_of("images", "a" * 64)),
    ):
        with pytest.raises(NotFoundError, match="does not exist"):
            act()


def test_an_edited_blob_is_found_out(blobs: Blobs) -> None:
    name = blobs.put("images", b"pixels")
    tamper(blobs, blobs.path_of("images", name), b"pixelz")
    with pytest.raises(IntegrityError, match=f"wanted is {name[:12]}.*restore it"):
        blobs.get("images", name)


def test_a_blob_that_was_cut_short_is_mended_by_putting_it_again(blobs: Blobs) -> None:
    name = blobs.put("images", b"pixels")
    tamper(blobs, blobs.path_of("images", name), b"pix")
    blobs.put("images", b"pixels")
    assert blobs.get("images", name) == b"pixels"


def test_many_may_put_the_same_at_once(blobs: Blobs) -> None:
    data = bytes(100_000)
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: blobs.put("images", data), range(16)))
    assert names == {digest_of(data)}
    assert blobs.get("images", digest_of(data)) == data


def test_a_local_copy_is_checked_and_mended(blobs: Blobs, tmp_path: Path) -> None:
    name = blobs.put("weights", b"w" * 100)
    copy = blobs.local_copy("weights", name, tmp_path / "cache")
    assert copy.read_bytes() == b"w" * 100
    if (tmp_path / "cache").exists():  # a folder's own file is given as it is
        copy.write_bytes(b"x" * 100)
        assert blobs.local_copy("weights", name, tmp_path / "cache").read_bytes() == b"w" * 100


def test_folders_go_and_come_back_whole(blobs: Blobs, url: str, source: Path, tmp_path: Path) -> None:
    place = blobs.put_folder("models", "m" * 64, source)
    assert place == blobs.put_folder("models", "m" * 64, source) == f"{url}/models/{'m' * 64}"
    fetched = blobs.fetch_folder("models", "m" * 64, tmp_path / "cache")
    assert content_of(fetched) == content_of(source)
    if (tmp_path / "cache").exists():  # a download that was cut short is completed
        (fetched / "deep" / "er" / "weights.bin").write_bytes(b"\0")
        (fetched / "model.json").unlink()
        assert content_of(blobs.fetch_folder("models", "m" * 64, tmp_path / "cache")) == content_of(source)


def test_what_another_process_stores_is_seen(blobs: Blobs, url: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        blobs.fetch_folder("models", "m" * 64, tmp_path / "cache")
    other = Blobs.open(url)
    other.put_folder("models", "m" * 64, source)
    name = other.put("images", b"x")
    assert blobs.has("images", name)
    assert content_of(blobs.fetch_folder("models", "m" * 64, tmp_path / "cache")) == content_of(source)


def test_manifests_go_and_come_back(blobs: Blobs) -> None:
    rows = tuple(
        Row(f"{index:064x}", label, 1000 - index, Split.TEST, Status.CONFLICT, "why\nnot", f"{index % 2:064x}")
        for index, label in enumerate([None, "", "cat", "кот 🐈", "a\nb\t\"'"])
    )
    name = write_manifest(blobs, list(reversed(rows)))
    assert read_manifest(blobs, name) == rows
    assert write_manifest(blobs, rows) == name


def test_a_bucket_that_does_not_exist_is_said(s3: str) -> None:
    with pytest.raises(StorageError, match=r"could not be stored.*check that the place exists"):
        Blobs.open(f"{s3}-nowhere/x").put("images", b"x")
    with pytest.raises(NotFoundError):
        Blobs.open(f"{s3}-nowhere/x").get("images", "a" * 64)


def test_a_server_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ENDPOINT_URL": "http://127.0.0.1:1",
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "hunter2",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    blobs = Blobs.open("s3://unreachable/x")
    for act in (lambda: blobs.put("images", b"x"), lambda: blobs.get("images", "a" * 64)):
        with pytest.raises(StorageError, match="could not be stored or read") as caught:
            act()
        assert "hunter2" not in str(caught.value)


def test_a_key_that_climbs_out_of_its_folder_is_refused(s3: str, tmp_path: Path) -> None:
    blobs = Blobs.open(f"{s3}/x")
    blobs._fs.pipe_file(f"{s3}/x/models/m/../../evil", b"x")
    with pytest.raises((IntegrityError, NotFoundError)):
        blobs.fetch_folder("models", "m", tmp_path / "cache")
    assert list(tmp_path.rglob("evil")) == []
