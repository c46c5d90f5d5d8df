"""What an archive's index holds: safe names, and a count of all that was refused."""

from __future__ import annotations

from typing import Generic, TypeVar

from pellucid.errors import ImageError, SourceError
from pellucid.store.sources.names import MAX_FILES, is_clutter, some, within
from pellucid.store.sources.tree import Listing

Where = TypeVar("Where")


class Members(Generic[Where]):
    """Members of an archive by their safe names; of two with one name the last counts, as in unpacking.

    >>> members = Members[int]("/data/a.zip")
    >>> for offset, name in enumerate(["cat/1.jpg", "../x.jpg", "./cat/1.jpg", "cat/.DS_Store"]):
    ...     members.add(name, offset)
    >>> members.where("cat/1.jpg")
    2
    >>> members.listing().warnings
    ("1 member refused: unsafe path: '../x.jpg'", "1 member replaced by a later namesake: 'cat/1.jpg'")
    """

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._members: dict[str, Where] = {}
        self._folders: set[str] = set()
        self._odd: dict[str, list[str]] = {}

    def add(self, name: str, where: Where) -> None:
        """Take a file in, unless its name is clutter or unsafe.

        Raises:
            SourceError: there are more than ``MAX_FILES`` members.
        """
        safe = self._safe(name)
        if safe is None:
            return
        if safe in self._members:
            self._note("replaced by a later namesake", safe)
        self._members[safe] = where
        self._enter(safe.rpartition("/")[0])
        if len(self._members) > MAX_FILES:
            raise SourceError(f"{self._archive!r} holds over {MAX_FILES:,} files; ingest it in parts")

    def add_folder(self, name: str) -> None:
        """Take a folder in: one without a file in it is a class without an image."""
        safe = self._safe(name)
        if safe is not None:
            self._enter(safe)

    def refuse(self, name: str, kind: str) -> None:
        """Count a member that is neither a plain file nor a folder, "symbolic link"; it is never followed."""
        if self._safe(name) is not None:
            self._note(f"refused: {kind}", name)

    def where(self, name: str) -> Where:
        """Tell where a member's bytes lie, or raise ImageError("missing")."""
        try:
            return self._members[name]
        except KeyError:
            raise ImageError("missing", f"there is no {name!r} in {self._archive!r}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def listing(self) -> Listing:
        """List the members that were taken in, with a warning for each kind that was not."""
        warnings = (
            f"{len(names):,} member{'s' * (len(names) > 1)} {kind}: {some(names)}" for kind, names in self._odd.items()
        )
        return Listing(files=sorted(self._members), folders=sorted(self._folders), warnings=tuple(warnings))

    def _safe(self, name: str) -> str | None:
        safe = within(name)
        if safe is None:
            self._note("refused: unsafe path", name)
        elif any(map(is_clutter, safe.split("/"))):
            return None  # "." too, the root itself
        return safe

    def _enter(self, folder: str) -> None:
        while folder and folder not in self._folders:
            self._folders.add(folder)
            folder = folder.rpartition("/")[0]

    def _note(self, kind: str, name: str) -> None:
        self._odd.setdefault(kind, []).append(name)
