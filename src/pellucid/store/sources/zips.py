"""A zip file as a container of images, read in place."""

from __future__ import annotations

import stat
import threading
import zipfile
import zlib
from pathlib import Path

from pellucid.errors import ImageError, SourceError
from pellucid.store.sources.members import Members
from pellucid.store.sources.tree import Listing

ENCRYPTED = 0x1  # bits of a member's flags, APPNOTE.TXT 4.4.4
UTF8_NAME = 0x800
MADE_BY_DOS = 0  # APPNOTE.TXT 4.4.2
KINDS = {stat.S_IFLNK: "symbolic link", stat.S_IFDIR: "folder"}


class Zip:
    """The members of one zip file. Threads take turns: unpacking costs little beside decoding.

    Raises:
        SourceError: damaged, truncated, encrypted, or unpacking to more than ``max_bytes``.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.location = str(path.absolute())
        self._lock = threading.Lock()
        self._members = Members[zipfile.ZipInfo](self.location)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise SourceError(
                f"{self.location!r} is a damaged or truncated zip file ({error}); fetch or pack it again"
            ) from error
        try:
            self._index(max_bytes)
        except SourceError:
            self.close()
            raise

    def _index(self, max_bytes: int) -> None:
        size = 0
        for info in self._zip.infolist():
            name, kind = _name(info), stat.S_IFMT(info.external_attr >> 16)
            if name.endswith("/"):
                self._members.add_folder(name)
            elif kind not in (0, stat.S_IFREG):
                self._members.refuse(name, KINDS.get(kind, "device"))
            elif info.flag_bits & ENCRYPTED:
                raise SourceError(f"{self.location!r} is encrypted; unpack it with its password and offer the folder")
            else:
                self._members.add(name, info)
                size += info.file_size  # a lie does not help: zipfile never gives more than it declares
        if size > max_bytes:
            raise SourceError(
                f"{self.location!r} unpacks to {size:,} bytes, more than {max_bytes:,}; if it is no bomb, "
                "unpack it and offer the folder"
            )

    def close(self) -> None:
        """Close the file; reading is over."""
        self._zip.close()

    def listing(self) -> Listing:
        """List the members."""
        return self._members.listing()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str, limit: int) -> bytes:
        """Read one member; see :meth:`~pellucid.store.sources.tree.Container.read`."""
        info = self._members.where(name)
        if info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):  # others unpack without a bound
            raise ImageError("unreadable", f"{name!r} is packed by method {info.compress_type}; pack it by deflate")
        try:
            with self._lock, self._zip.open(info) as file:
                data = file.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise ImageError("unreadable", f"{name!r} is damaged in {self.location!r}: {error}") from error
        if len(data) > limit:
            raise ImageError("too large", f"{name!r} unpacks to over {limit:,} bytes, more are not read")
        return data


def _name(info: zipfile.ZipInfo) -> str:
    """Name a member as its maker did: many write UTF-8 and do not say so, some a backslash for a slash."""
    name = info.filename
    if not info.flag_bits & UTF8_NAME:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/") if info.create_system == MADE_BY_DOS else name
