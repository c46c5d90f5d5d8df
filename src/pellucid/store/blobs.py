"""Content-addressed files on any fsspec file system: a name is the sha256 of the content, so nothing ever changes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pellucid.errors import ConfigError, IntegrityError, MissingExtraError, NotFoundError, StorageError


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
    """

    def __init__(self, fs: Any, root: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")
        self._local = "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)
        self._folders: set[str] = set()

    @classmethod
    def open(cls, url: str) -> Blobs:
        """The store at a local folder or an fsspec URL such as ``s3://bucket/prefix``.

        Raises:
            ConfigError: the URL's protocol is unknown.
            MissingExtraError: its driver is not installed.
        """
        import fsspec

        try:
            fs, root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise MissingExtraError(f"{url} needs another package: {error}; pip install 'pellucid[s3]'") from None
        except ValueError as error:
            raise ConfigError(f"{url} is no place to store files in: {error}; wanted is a folder or s3://...") from None
        return cls(fs, root)

    def put(self, kind: str, data: bytes, *, name: str | None = None, suffix: str = "") -> str:
        """Stores the bytes and returns their name; storing the same bytes again changes nothing.

        Args:
            kind: what they are, a top folder such as ``images``.
            name: their sha256 where the caller knows it already.
            suffix: ending of the file, so that people can open it.
        """
        name = name or digest_of(data)
        path = self.path_of(kind, name, suffix)
        with _translated(path):
            if self._local:
                self._put_local(path, data)
            elif not self._fs.exists(path):
                self._fs.pipe_file(path, data)  # object stores show an object only once it is whole
        return name

    def get(self, kind: str, name: str, *, suffix: str = "") -> bytes:
        """The bytes stored under the name.

        Raises:
            NotFoundError: there are none.
            IntegrityError: they are not what was stored.
        """
        path = self.path_of(kind, name, suffix)
        data = self.read(path)
        if digest_of(data) != name:
            raise IntegrityError(
                f"{path} has the digest {digest_of(data)[:12]}..., wanted is {name[:12]}...: it was damaged or edited; "
                "restore it from a backup, or ingest the same images again"
            )
        return data

    def has(self, kind: str, name: str, *, suffix: str = "") -> bool:
        """Whether something is stored under the name."""
        path = self.path_of(kind, name, suffix)
        return Path(path).exists() if self._local else bool(self._fs.exists(path))

    def local_copy(self, kind: str, name: str, folder: Path, *, suffix: str = "") -> Path:
        """A file with the content in ``folder``, or the stored file itself where the store is local."""
        path = self.path_of(kind, name, suffix)
        if self._local:
            if not Path(path).exists():
                raise NotFoundError(f"{path} does not exist; it was removed from the store by hand")
            return Path(path)
        target = folder / f"{name}{suffix}"
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(target, self.get(kind, name, suffix=suffix))
        return target

    def read(self, path: str) -> bytes:
        """The bytes at a full path of this store."""
        try:
            with _translated(path):
                return Path(path).read_bytes() if self._local else bytes(self._fs.cat_file(path))
        except FileNotFoundError:
            raise NotFoundError(f"{path} does not exist; it was removed from the store by hand") from None

    def put_folder(self, kind: str, name: str, source: Path) -> str:
        """Copies a folder's files to ``kind/name`` and returns that place; a second time changes nothing."""
        root = f"{self._root}/{kind}/{name}"
        with _translated(root):
            for file in sorted(path for path in source.rglob("*") if path.is_file()):
                target = f"{root}/{file.relative_to(source).as_posix()}"
                if self._local:
                    self._put_local(target, file.read_bytes())
                else:
                    self._fs.pipe_file(target, file.read_bytes())
        return root if self._local else str(self._fs.unstrip_protocol(root))

    def fetch_folder(self, kind: str, name: str, folder: Path) -> Path:
        """A local folder with the files of ``kind/name``: the stored one itself where the store is local."""
        root = f"{self._root}/{kind}/{name}"
        if self._local:
            if not Path(root).is_dir():
                raise NotFoundError(f"{root} does not exist; it was removed from the store by hand")
            return Path(root)
        target = folder / name
        with _translated(root):
            for path in self._fs.find(root):
                file = target / str(path)[len(self._fs._strip_protocol(root)) + 1 :]
                if not file.exists():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(file, self._fs.cat_file(path))
        if not target.is_dir():
            raise NotFoundError(f"{root} does not exist; it was removed from the store by hand")
        return target

    def path_of(self, kind: str, name: str, suffix: str = "") -> str:
        """Where something of this kind and name is stored."""
        return f"{self._root}/{kind}/{name[:2]}/{name[2:]}{suffix}"

    def url_of(self, kind: str, name: str, *, suffix: str = "") -> str:
        """Where something is stored, for others: a full path, or a URL."""
        path = self.path_of(kind, name, suffix)
        return path if self._local else str(self._fs.unstrip_protocol(path))

    def _put_local(self, path: str, data: bytes) -> None:
        if os.path.exists(path):  # noqa: PTH110 - one system call instead of an object for each of 100,000 images
            return
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
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
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.draft")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            cure = "free some space and run the same command again; nothing was lost"
        else:
            cure = "check that the place exists, is reachable and may be written to"
        raise StorageError(f"{path} could not be stored or read: {error.strerror or error}; {cure}") from error
