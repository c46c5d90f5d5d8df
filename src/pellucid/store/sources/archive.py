"""Telling an archive by its first bytes, never by its name, and opening it."""

from __future__ import annotations

import tempfile
import zlib
from bz2 import BZ2File
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from gzip import GzipFile
from io import BufferedIOBase
from lzma import LZMAError, LZMAFile
from pathlib import Path
from typing import IO

from pellucid.errors import SourceError, StorageError
from pellucid.store.sources.tars import Tar
from pellucid.store.sources.tree import Container
from pellucid.store.sources.zips import Zip

ARCHIVES = "zip, tar, tar.gz, tar.bz2, tar.xz"
CHUNK = 1 << 20  # bytes
MAX_RATIO = 200  # of unpacked to packed bytes; photographs do not shrink, a bomb of zeros does a thousandfold
FREE_BYTES = 1 << 30  # that any archive may unpack to, whatever its ratio
COMPRESSIONS: Mapping[bytes, type[GzipFile | BZ2File | LZMAFile]] = {
    b"\x1f\x8b": GzipFile,
    b"BZh": BZ2File,
    b"\xfd7zXZ\0": LZMAFile,
}


def open_archive(path: Path, max_bytes: int) -> AbstractContextManager[Container] | None:
    """Open a zip or tar file, or give None for a file that is neither.

    A compressed tar is unpacked once into a nameless temporary file, which vanishes with the process; nothing
    is ever written under a name that an archive gives.

    Args:
        path: an existing file.
        max_bytes: unpacked size over which an archive is taken for a bomb, as it is over ``MAX_RATIO``.

    Raises:
        SourceError: damaged, truncated, encrypted or too large.
        StorageError: the disk for temporary files is full.
    """
    with path.open("rb") as file:
        head = file.read(512)
    max_bytes = min(max_bytes, max(FREE_BYTES, MAX_RATIO * path.stat().st_size))
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return closing(Zip(path, max_bytes))
    for magic, unpacker in COMPRESSIONS.items():
        if head.startswith(magic):
            return closing(_tar(_spool(path, unpacker, max_bytes), path))
    if head[257:262] == b"ustar" or path.suffix.lower() == ".tar":  # before 1988 there was no mark
        return closing(_tar(path.open("rb"), path))
    return None


def _tar(file: IO[bytes], path: Path) -> Tar:
    with ExitStack() as on_error:
        on_error.enter_context(file)
        tar = Tar(file, path)
        on_error.pop_all()
    return tar


def _spool(path: Path, unpacker: type[GzipFile | BZ2File | LZMAFile], max_bytes: int) -> IO[bytes]:
    """Unpack a compressed file into a temporary one."""
    try:
        with ExitStack() as on_error, unpacker(path) as packed:
            spool = on_error.enter_context(tempfile.TemporaryFile())
            while chunk := _next_chunk(packed, path):
                if spool.tell() + len(chunk) > max_bytes:
                    raise SourceError(
                        f"{str(path)!r} unpacks to more than {max_bytes:,} bytes; if it is no bomb, "
                        "unpack it and offer the folder"
                    )
                spool.write(chunk)
            spool.seek(0)
            on_error.pop_all()
    except OSError as error:
        raise StorageError(
            f"cannot unpack {str(path)!r} into {tempfile.gettempdir()!r}: {error.strerror}; free that disk, "
            "or set TMPDIR to another"
        ) from error
    return spool


def _next_chunk(packed: BufferedIOBase, path: Path) -> bytes:
    try:
        return packed.read(CHUNK)
    except (OSError, EOFError, zlib.error, LZMAError) as error:
        raise SourceError(f"{str(path)!r} is damaged or truncated ({error}); fetch or pack it again") from error
