"""The door: one path in, one source out, whatever lies there."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from pellucid.errors import SourceError, UsageError
from pellucid.store.sources.archive import ARCHIVES, open_archive
from pellucid.store.sources.folder import Folder
from pellucid.store.sources.item import Source
from pellucid.store.sources.layouts import LAYOUTS, TABLES, recognise
from pellucid.store.sources.listed import read_tables
from pellucid.store.sources.names import TABLE_SUFFIXES, is_table
from pellucid.store.sources.table import read_table
from pellucid.store.sources.tree import Container, Tree

MAX_IMAGE_BYTES = 64 * 2**20
MAX_ARCHIVE_BYTES = 256 * 2**30  # unpacked


@contextmanager
def open_source(
    path: str | Path,
    *,
    layout: str = "auto",
    max_image_bytes: int = MAX_IMAGE_BYTES,
    max_archive_bytes: int = MAX_ARCHIVE_BYTES,
) -> Iterator[Source]:
    """Open a folder, a manifest or an archive of images; items are read on demand while it is open.

    Args:
        path: a folder; a CSV, TSV, JSON Lines or Parquet table; or a zip or tar file of a folder.
        layout: a name in ``LAYOUTS``, or "auto" to have it recognised.
        max_image_bytes: a larger image is refused when it is read, before it fills the memory.
        max_archive_bytes: an archive that unpacks to more is taken for a bomb.

    Raises:
        SourceError: nothing there, unreadable, empty, damaged, or of no layout or of several.
        StorageError: there is no room to unpack a compressed archive.
        UsageError: there is no such layout.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for label in ("cat", "dog"):
    ...         (Path(folder) / label).mkdir()
    ...         _ = (Path(folder) / label / "1.png").write_bytes(label.encode())
    ...     with open_source(folder) as source:
    ...         print(source.description)
    ...         print([(item.path, item.label, item.read()) for item in source.items])
    class folders, as images lie in folders at the top: 2 images in 2 classes ('cat', 'dog')
    [('cat/1.png', 'cat', b'cat'), ('dog/1.png', 'dog', b'dog')]
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise UsageError(f"no layout {layout!r}; known: auto, {', '.join(LAYOUTS)}")
    path = Path(path)
    is_folder = _is_folder(path)
    if not is_folder and is_table(path.name):
        yield _read_table(path, layout, max_image_bytes)
        return
    with nullcontext(Folder(path)) if is_folder else _archive(path, max_archive_bytes) as container:
        tree = Tree.of(container, max_image_bytes)
        if not tree.images and not tree.others:
            raise SourceError(f"{container.location!r} is empty; offer what holds images")
        source = LAYOUTS[recognise(tree) if layout == "auto" else layout].read(tree)
        through = f"; looked through the folder {tree.base!r}" if tree.base else ""
        yield replace(source, description=source.description + through)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError as error:
        wanted = "offer a folder, a table or an archive of images"
        raise SourceError(f"there is no {str(path)!r}; {wanted}") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot look at {str(path)!r}: {error}") from error


def _read_table(path: Path, layout: str, limit: int) -> Source:
    if layout != "auto" and layout not in TABLES:
        raise SourceError(f"{str(path)!r} is a table, not {layout}; leave --layout out, or offer its folder")
    try:
        table = read_table(path.name, path.read_bytes())
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror}; make it readable") from error
    tree = Tree(Folder(path.parent), limit)
    source = read_tables(tree, "manifest" if layout == "auto" else layout, {"": table})
    return replace(source, location=str(path.absolute()))


def _archive(path: Path, max_bytes: int) -> AbstractContextManager[Container]:
    try:
        archive = open_archive(path, max_bytes) if path.is_file() else None
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror}; make it readable") from error
    if archive is None:
        raise SourceError(
            f"{str(path)!r} is none of: a folder, an archive ({ARCHIVES}), a table "
            f"({', '.join(sorted(TABLE_SUFFIXES))}); offer the folder that holds the images"
        )
    return archive
