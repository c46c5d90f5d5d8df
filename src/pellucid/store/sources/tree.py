"""One view of folders and archives alike: relative names, sorted, and the bytes behind each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from pellucid.store.sources.names import TABLE_STEMS, is_image, is_table, within
from pellucid.store.sources.splits import is_split_word


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything in a container but hidden files and clutter, by POSIX names relative to it."""

    files: Sequence[str]  # sorted
    folders: Sequence[str]  # sorted, at every depth
    warnings: tuple[str, ...]


class Container(Protocol):
    """Holds files by relative POSIX names: a folder or an archive. Reading is safe from several threads."""

    location: str  # absolute path

    def listing(self) -> Listing:
        """List it all, once."""

    def __contains__(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def read(self, name: str, limit: int) -> bytes:
        """Read at most ``limit`` bytes or raise ImageError: missing, unreadable, too large, unsafe path."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What a layout is recognised and read from; the origin of its items."""

    container: Container = field(repr=False)
    limit: int  # bytes in one image
    base: str = ""  # the wrapping folder that was looked through, with its slash
    images: Sequence[str] = ()  # by their suffix; sorted, relative to the base like all the names here
    others: Sequence[str] = ()  # files that are no images by their suffix
    folders: Sequence[str] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, container: Container, limit: int) -> Self:
        """List a container, and look through a single folder that only wraps what is meant."""
        listing = container.listing()
        base = _wrapper(listing)
        skip = len(base)
        files = [name[skip:] for name in listing.files]
        return cls(
            container=container,
            limit=limit,
            base=base,
            images=[name for name in files if is_image(name)],
            others=[name for name in files if not is_image(name)],
            folders=[name[skip:] for name in listing.folders if len(name) > skip],
            warnings=listing.warnings,
        )

    @property
    def location(self) -> str:
        """Absolute path of the folder, or of the archive and the folder in it, without a slash at its end."""
        return f"{self.container.location}/{self.base}".rstrip("/")

    def __contains__(self, name: str) -> bool:
        return self.base + name in self.container

    def read(self, member: str) -> bytes:
        """Read one image; see :meth:`Container.read`."""
        return self.container.read(self.base + member, self.limit)

    def resolve(self, name: str) -> str | None:
        """Make a name that a manifest gives relative to the tree; None if it leads out of it."""
        return within(name.removeprefix(f"{self.location}/"))


def top(name: str) -> str:
    """Name the folder at the top that a file lies in; empty for a file that lies in none.

    >>> top("cat/old/1.jpg"), top("1.jpg")
    ('cat', '')
    """
    folder, slash, _ = name.partition("/")
    return folder if slash else ""


def _wrapper(listing: Listing) -> str:
    """Find the folder, "trashnet/", that holds everything and is neither a class nor a split; or ""."""
    base = ""
    while True:
        skip = len(base)
        tops = {top(name[skip:]) for name in listing.files}
        tops.update(name[skip:] for name in listing.folders if len(name) > skip and "/" not in name[skip:])
        folder = tops.pop() if len(tops) == 1 else ""
        inner = [name[skip + len(folder) + 1 :] for name in listing.files]
        direct = [name for name in inner if "/" not in name]
        # images directly inside make it a class, unless a table beside them says what they are
        is_class = any(map(is_image, direct)) and not any(
            is_table(name, stem) for name in direct for stem in TABLE_STEMS
        )
        if not folder or not inner or is_split_word(folder) or is_class:
            return base
        base = f"{base}{folder}/"
