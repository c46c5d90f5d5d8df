"""What reading a source yields: items, and the source as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pellucid.errors import ImageError
from pellucid.types import Split

Scalar = str | int | float | bool


class Origin(Protocol):
    """Where an item's bytes come from. Reading is safe from several threads at once."""

    def read(self, member: str) -> bytes:
        """Give the member's bytes, or raise :class:`~pellucid.errors.ImageError`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The origin of an item that must not or cannot be read; reading raises its reason.

    >>> Refused("unsafe path", "'../x.jpg' leads outside the folder").read("../x.jpg")
    Traceback (most recent call last):
    pellucid.errors.ImageError: unsafe path: '../x.jpg' leads outside the folder
    """

    reason: str
    detail: str

    def read(self, member: str) -> bytes:
        """Raise the reason."""
        raise ImageError(self.reason, self.detail)


@dataclass(frozen=True, slots=True)
class Item:
    """One image as a source names it, with what the source says about it; two voters are two items.

    The bytes are read on demand only, and only while the source is open.
    """

    path: str  # relative, POSIX, always encodable as UTF-8: as a person would name it
    label: str | None  # None: unlabelled
    split: Split | None  # as given; None: to be assigned
    annotator: str | None  # who said the label, where the source says so
    metadata: Mapping[str, Scalar]  # the manifest's further columns; absent where empty
    origin: Origin = field(repr=False, compare=False)
    member: str = field(repr=False)  # the origin's own name of it, which may hold undecodable bytes

    def read(self) -> bytes:
        """Read the image's bytes; safe from several threads at once.

        Raises:
            ImageError: with the reason ``missing``, ``unreadable``, ``too large``, ``unsafe path`` or
                ``ambiguous path``; its detail names the item.
        """
        return self.origin.read(self.member)


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was recognised: its items in the order of their paths, and what is odd about it."""

    layout: str  # a name in LAYOUTS
    description: str  # one line: what was recognised, and by what
    items: Sequence[Item] = field(repr=False)
    warnings: tuple[str, ...]  # one line each
    location: str  # absolute path of what was offered
