"""Content-addressed files on any fsspec file system: a name is the sha256 of the content, so nothing ever changes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pellucid.config import hide_secrets
from pellucid.errors import ConfigError, IntegrityError, MissingExtraError, NotFoundError, PellucidError, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def digest_of(data: bytes) -> str:
    """The sha256 of the bytes in hexadecimal.

    >>> digest_of(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


class Blobs:
    """A store of immutable files under one root, a folder or a bucket's prefix.

    A file appears under its name only when it is whole, so a killed writer leaves nothing that could be mistaken for
    content; a reader checks the digest, so damage is found where it is met.

    >>> import tempfile
    >>> blobs = Blobs.open(tempfile.mkdtemp())
    >>> name = blobs.put("images", b"pixels")
    >>> blobs.get("images", name)
    b'pixels'

    Args:
        fs: an fsspec file system; None for local folders, which need none.
        root: a folder, or the prefix within ``fs``.
    """

    def __init__(self, fs: Any, root: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")
        self._folders: set[str] = set()

    @classmethod
    def open(cls, url: str) -> Blobs:
        """The store at a local folder or an fsspec URL such as ``s3://bucket/prefix``.

        Raises:
            ConfigError: the URL's protocol is unknown, or it holds a password.
            MissingExtraError: its driver is not installed.
        """
        if "://" not in url:
            return cls(None, os.path.abspath(url))  # noqa: PTH100 - Path would swallow the "::" and "~" in a name
        import fsspec

        shown = hide_secrets(url)
        # Places are kept with every model and shown to everybody, so that no secret may be part of them.
        if re.match(r"[^/]*://[^/]*:[^/]*@", url) or shown != url:
            raise ConfigError(
                f"{shown} holds a password; give it where the driver looks for it, such as AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, and name the place without it: s3://bucket/prefix"
            )
        try:
            # Others write to the same place, and the environment says how to reach it: neither what was listed nor
            # what was connected to a moment ago need be so now.
            fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            raise MissingExtraError(f"{url} needs another package: {error}; pip install 'pellucid[s3]'") from None
        except ValueError as error:
            raise ConfigError(f"{url} is no place to store files in: {error}; wanted is a folder or s3://...") from None
        protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
        return cls(None if "file" in protocols else fs, root)

    def put(self, kind: str, data: bytes, *, name: str | None = None, suffix: str = "") -> str:
        """Stores the bytes and returns their name; storing the same bytes again changes nothing.

        What is there already but has another length, torn by a power cut or cut short by hand, is replaced.

        Args:
            kind: what they are, a top folder such as ``images``.
            name: their sha256 where the caller knows it already.
            suffix: ending of the file, so that people can open it.

        Raises:
            StorageError: the place does not take them.
        """
        name = name or digest_of(data)
        self._put(self.path_of(kind, name, suffix), data)
        return name

    def get(self, kind: str, name: str, *, suffix: str = "") -> bytes:
        """The bytes stored under the name.

        Raises:
            NotFoundError: there are none.
            IntegrityError: they are not what was stored.
            StorageError: they cannot be had.
        """
        path = self.path_of(kind, name, suffix)
        data = self.read(path)
        if (found := digest_of(data)) != name:
            raise IntegrityError(
                f"{path} has the digest {found[:12]}..., wanted is {name[:12]}...: it was damaged or edited; restore "
                "it from a backup, or remove it and run what made it again: ingest for an image, train for weights"
            )
        return data

    def has(self, kind: str, name: str, *, suffix: str = "") -> bool:
        """Whether something is stored under the name."""
        path = self.path_of(kind, name, suffix)
        with _translated(path):
            return os.path.exists(path) if self._fs is None else bool(self._fs.exists(path))  # noqa: PTH110 - as in _put

    def local_copy(self, kind: str, name: str, folder: Path, *, suffix: str = "") -> Path:
        """A file with the content in ``folder``, or the stored file itself where the store is local."""
        path = self.path_of(kind, name, suffix)
        if self._fs is None:
            if not Path(path).exists():
                raise _missing(path)
            return Path(path)
        target = folder / f"{name}{suffix}"
        with _translated(str(target)):
            if not target.is_file() or digest_of(target.read_bytes()) != name:
                folder.mkdir(parents=True, exist_ok=True)
                write_whole(target, self.get(kind, name, suffix=suffix))
        return target

    def read(self, path: str, *, start: int = 0, size: int | None = None) -> bytes:
        """The bytes at a full path of this store, or ``size`` of them from ``start`` on.

        Raises:
            NotFoundError: there is no such file.
            StorageError: it cannot be had.
        """
        with _translated(path, reading=True):
            if size == 0:
                return b""
            if self._fs is not None:
                end = None if size is None else start + size
                return bytes(self._fs.cat_file(path, start=start or None, end=end))
            with Path(path).open("rb", buffering=0) as file:
                file.seek(start)
                return file.read(-1 if size is None else size)

    def sizes(self, kind: str, *, suffix: str = "") -> dict[str, int]:
        """The names of everything of that kind and file ending, with their sizes in bytes.

        Raises:
            StorageError: the place cannot be listed.
        """
        root = f"{self._root}/{kind}"
        with _translated(root):
            if self._fs is None:
                files = Path(root).glob(f"??/*{suffix}")
                found = {f"{path.parent.name}{path.name}": path.stat().st_size for path in files}
            else:
                details = self._fs.find(root, detail=True)
                found = {"".join(str(path).split("/")[-2:]): int(item["size"]) for path, item in details.items()}
        return {name.removesuffix(suffix): size for name, size in found.items() if name.endswith(suffix)}

    def put_folder(self, kind: str, name: str, source: Path) -> str:
        """Copies a folder's files to ``kind/name`` and returns that place; a second time changes nothing.

        Raises:
            StorageError: the place does not take them.
        """
        root = f"{self._root}/{kind}/{name}"
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            self._put(f"{root}/{file.relative_to(source).as_posix()}", file.read_bytes())
        return self._url(root)

    def fetch_folder(self, kind: str, name: str, folder: Path) -> Path:
        """A local folder with the files of ``kind/name``: the stored one itself where the store is local.

        Raises:
            NotFoundError: there is no such folder.
            StorageError: it cannot be had.
        """
        root = f"{self._root}/{kind}/{name}"
        if self._fs is None:
            if not Path(root).is_dir():
                raise _missing(root)
            return Path(root)
        target = folder / name
        with _translated(root, reading=True):
            found = self._fs.find(root, detail=True)
            for path, facts in found.items():
                file = target / str(path)[len(root) + 1 :]
                if ".." in file.parts:
                    raise IntegrityError(f"{path} would be written outside {target}; remove it from the bucket")
                if not file.is_file() or file.stat().st_size != facts["size"]:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(file, self._fs.cat_file(path))
        if not found:
            raise _missing(root)
        return target

    def remove(self, kind: str, name: str, *, suffix: str = "") -> None:
        """Removes the content, where it is there.

        Raises:
            StorageError: the place does not let it go.
        """
        path = self.path_of(kind, name, suffix)
        with _translated(path), contextlib.suppress(FileNotFoundError):
            if self._fs is None:
                Path(path).unlink()
            else:
                self._fs.rm_file(path)

    def path_of(self, kind: str, name: str, suffix: str = "") -> str:
        """Where something of this kind and name is stored."""
        return f"{self._root}/{kind}/{name[:2]}/{name[2:]}{suffix}"

    def url_of(self, kind: str, name: str, *, suffix: str = "") -> str:
        """Where something is stored, for others: a full path, or a URL."""
        return self._url(self.path_of(kind, name, suffix))

    def _url(self, path: str) -> str:
        return path if self._fs is None else str(self._fs.unstrip_protocol(path))

    def _put(self, path: str, data: bytes) -> None:
        with _translated(path):
            if self._fs is not None:
                with contextlib.suppress(FileNotFoundError):
                    if self._fs.info(path)["size"] == len(data):
                        return
                self._fs.pipe_file(path, data)  # object stores show an object only once it is whole
                return
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_size == len(data):  # noqa: PTH116 - an object less for each of 100,000 images
                    return
            folder = path.rpartition("/")[0]
            if folder not in self._folders:
                Path(folder).mkdir(parents=True, exist_ok=True)
                self._folders.add(folder)
            try:
                write_whole(Path(path), data)
            except FileNotFoundError:  # somebody removed the folder since
                Path(folder).mkdir(parents=True, exist_ok=True)
                write_whole(Path(path), data)


def read_url(url: str) -> bytes:
    """The bytes at an fsspec URL, as ``Blobs.url_of`` gives it.

    Raises:
        NotFoundError, StorageError: they are not there, or cannot be had.
    """
    place, _, name = url.rpartition("/")
    blobs = Blobs.open(place)
    return blobs.read(f"{blobs._root}/{name}")


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that is either whole or not there, whatever happens in between.

    Raises:
        OSError: the disk does not take it; the half-written file is removed.
    """
    draft = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}.draft")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a power cut may leave the name with nothing behind it
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _missing(path: str) -> NotFoundError:
    return NotFoundError(f"{path} does not exist; it was removed from the store by hand")


@contextlib.contextmanager
def _translated(path: str, *, reading: bool = False) -> Iterator[None]:
    try:
        yield
    except PellucidError:
        raise
    except Exception as error:  # the driver of each protocol has exceptions of its own
        if reading and isinstance(error, FileNotFoundError):
            raise _missing(path) from None
        cause = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "") or type(error).__name__
        if isinstance(error, OSError) and error.errno in _FULL:
            cure = "free some space and run the same command again; nothing was lost"
        else:
            cure = "check that the place exists, is reachable and may be written to"
        raise StorageError(f"{path} could not be stored or read: {hide_secrets(cause)}; {cure}") from error
