"""A tar file, plain or compressed, as a container of images: indexed once, then read by offset."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pellucid.errors import ImageError, SourceError
from pellucid.store.sources.members import Members
from pellucid.store.sources.tree import Listing

BLOCK = 512  # bytes; two blocks of zeros end an archive
MAX_HEADER_BYTES = 1 << 20  # of one header with all its long names


class Tar:
    """The members of one tar file, which is handed over open and uncompressed and is closed with this.

    Every member is one ``pread`` at a known offset, so that threads do not wait for each other.

    Raises:
        SourceError: damaged or truncated.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.location = str(path.absolute())
        self._file = file
        self._members = Members[tuple[int, int]](self.location)  # offset and size in bytes
        try:
            for info in _headers(file):
                self._add(info)
        except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
            raise SourceError(
                f"{self.location!r} is a damaged or truncated tar file ({error}); fetch or pack it again"
            ) from error

    def _add(self, info: tarfile.TarInfo) -> None:
        if info.isdir():
            self._members.add_folder(info.name)
        elif info.issym() or info.islnk():
            self._members.refuse(info.name, "symbolic link" if info.issym() else "hard link")
        elif info.isfile() and not info.issparse():
            self._members.add(info.name, (info.offset_data, info.size))
        else:
            self._members.refuse(info.name, "sparse file" if info.isfile() else "device")

    def close(self) -> None:
        """Close the file; reading is over."""
        self._file.close()

    def listing(self) -> Listing:
        """List the members."""
        return self._members.listing()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str, limit: int) -> bytes:
        """Read one member; see :meth:`~pellucid.store.sources.tree.Container.read`."""
        offset, size = self._members.where(name)
        if size > limit:
            raise ImageError("too large", f"{name!r} has {size:,} bytes, at most {limit:,} are read")
        try:
            data = os.pread(self._file.fileno(), size, offset)
        except OSError as error:
            raise ImageError("unreadable", f"{name!r} in {self.location!r}: {error.strerror}") from error
        if len(data) != size:
            raise ImageError("unreadable", f"{name!r} ends early: {len(data):,} of {size:,} bytes")
        return data


class _HeaderFile(io.BufferedReader):
    """Gives tarfile headers only: a header that claims to be large must not fill the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def _headers(file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """Walk over the headers up to the mark of the end.

    TarFile itself would keep them all, and would take a damaged header for the end.
    """
    descriptor = file.fileno()
    size = os.fstat(descriptor).st_size
    offset = 0
    with (
        _HeaderFile(io.FileIO(descriptor, closefd=False)) as headers,
        tarfile.open(fileobj=headers, mode="r:", errors="surrogateescape") as tar,
    ):
        while os.pread(descriptor, BLOCK, offset) != bytes(BLOCK):
            headers.seek(offset)
            info = tarfile.TarInfo.fromtarfile(tar)
            if not offset < tar.offset < size:
                raise tarfile.ReadError(f"it has {size:,} bytes and goes on at {tar.offset:,}")
            offset = tar.offset
            yield info
