"""A folder as a container of images: listed fast, read safely, never left through a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pellucid.errors import ImageError, SourceError
from pellucid.store.sources.names import MAX_FILES, is_clutter, some
from pellucid.store.sources.tree import Listing

Kind = Literal["file", "folder", "link", "outside", "special", "unread"]
ODD: dict[Kind, str] = {
    "unread": "cannot be read and are passed over",
    "outside": "are links to folders outside, above or behind another link, and are not entered",
    "special": "are neither files nor folders and are passed over",
}


class Folder:
    """The files below one folder.

    Links are followed where they stay inside the folder. A linked image that leads outside is listed and
    refused when it is read, so that it is set aside with its reason; a linked folder that leads outside is
    not entered, and so is none behind another link, which ends every cycle.
    """

    def __init__(self, path: Path) -> None:
        self.location = str(path.absolute())
        self._root = str(path.resolve())
        self._checked: dict[str, bool] = {}  # whether a file's folder, as it is spelt, lies inside the root

    def listing(self) -> Listing:
        """List every file and folder.

        Raises:
            SourceError: the folder cannot be listed, or holds more than ``MAX_FILES`` files.
        """
        found: dict[Kind, list[str]] = {kind: [] for kind in ("file", "folder", "link", *ODD)}
        pending = [("", False)]  # with whether a link led there
        while pending:
            folder, is_linked = pending.pop()
            for kind, name in self._scan(folder, is_linked=is_linked):
                found[kind].append(name)
                if kind in ("folder", "link"):
                    pending.append((name, is_linked or kind == "link"))
            if len(found["file"]) > MAX_FILES:
                raise SourceError(f"{self.location!r} holds over {MAX_FILES:,} files; ingest it in parts")
        if "" in found["unread"]:
            raise SourceError(f"cannot list the folder {self.location!r}; make it readable for this user")
        return Listing(
            files=sorted(found["file"]),
            folders=sorted(found["folder"] + found["link"]),
            warnings=tuple(
                f"{len(found[kind]):,} of the entries {why}: {some(sorted(found[kind]))}"
                for kind, why in ODD.items()
                if found[kind]
            ),
        )

    def _scan(self, folder: str, *, is_linked: bool) -> Iterator[tuple[Kind, str]]:
        """Name what lies directly in a folder and say what it is."""
        before = f"{folder}/" if folder else ""
        try:
            with os.scandir(f"{self._root}/{folder}") as entries:
                for entry in entries:
                    if not is_clutter(entry.name):
                        yield self._kind(entry, is_linked=is_linked), before + entry.name
        except OSError:
            yield "unread", folder

    def _kind(self, entry: os.DirEntry[str], *, is_linked: bool) -> Kind:
        if not entry.is_symlink():
            if entry.is_dir():
                return "folder"
            return "file" if entry.is_file() else "special"
        target = Path(entry.path)
        try:
            if not target.is_dir():
                return "file"  # wherever it leads, reading it says
            target, parent = target.resolve(), target.parent.resolve()
        except (OSError, RuntimeError):  # a link to itself
            return "file"
        is_above = parent == target or target in parent.parents
        return "outside" if is_linked or is_above or not self._is_inside(target) else "link"

    def _is_inside(self, path: Path) -> bool:
        return path.is_relative_to(self._root)

    def __contains__(self, name: str) -> bool:
        try:
            os.lstat(f"{self._root}/{name}")
        except (OSError, ValueError):
            return False
        return True

    def read(self, name: str, limit: int) -> bytes:
        """Read one file; see :meth:`~pellucid.store.sources.tree.Container.read`."""
        try:
            with os.fdopen(self._open(name), "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise ImageError("unreadable", f"{name!r} is not a plain file")
                if status.st_size > limit:
                    raise ImageError("too large", f"{name!r} has {status.st_size:,} bytes, at most {limit:,} are read")
                return file.readall()
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: no file's name
            raise ImageError("missing", f"there is no file {name!r} in {self.location!r}") from error
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
            raise ImageError("unreadable", f"{name!r}: {error}") from error

    def _open(self, name: str) -> int:
        """Open a file and give its descriptor, once it is sure to lie inside the root."""
        path = f"{self._root}/{name}"
        folder = path.rpartition("/")[0]
        if folder not in self._checked:  # once for each folder: resolving costs more than reading
            self._checked[folder] = self._is_inside(Path(folder).resolve())
        if not self._checked[folder]:
            raise ImageError("unsafe path", f"{name!r} leads outside {self.location!r} through a link")
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not block
        try:
            return os.open(path, flags | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        real = Path(path).resolve()
        if not self._is_inside(real):
            raise ImageError("unsafe path", f"{name!r} is a link that leads outside {self.location!r}")
        return os.open(real, flags)
