"""Finding the image that a table's row means."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from pellucid.store.sources.item import Origin, Refused
from pellucid.store.sources.tree import Tree


@dataclass(frozen=True, slots=True)
class Found:
    """The name of an image and where its bytes come from, or a refusal."""

    name: str
    origin: Origin
    exists: bool = False


class Lookup:
    """Finds images of one tree by the names that tables give them.

    A name is tried as a path from the table's folder, from the split's folder and from the top; a bare name
    that is at none of them may also be that of the only such image below.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._images = frozenset(tree.images)
        self._by_base: dict[str, list[str]] = {}  # filled when first needed

    def find(self, name: str, folder: str, word: str | None) -> Found:
        """Find an image, or say why it cannot be read.

        Args:
            name: as the table gives it: a path, relative or absolute, with slashes or backslashes.
            folder: that holds the table; empty for the top.
            word: the row's split word.
        """
        fallback = self.nowhere(name)
        for spelling in dict.fromkeys((name, name.strip(), name.strip().replace("\\", "/"))):
            starts = dict.fromkeys((folder, word or "", ""))
            paths = [self._tree.resolve(posixpath.join(start, spelling)) for start in starts]
            inside = [path for path in paths if path is not None]
            for path in inside:
                if path in self._images or path in self._tree:
                    return Found(path, self._tree, exists=True)
            if not inside:
                where = f"{name!r} leads out of {self._tree.location!r}; give paths relative to it"
                return Found(name, Refused("unsafe path", where))
            fallback = Found(inside[0], self._tree)  # reading it says that it is missing
        namesakes = self._namesakes(name.strip(), folder or word or "")
        if len(namesakes) > 1:
            where = f"{name!r} could be any of {len(namesakes):,} images, {namesakes[0]!r} for one; give its path"
            return Found(name, Refused("ambiguous path", where))
        if namesakes:
            return Found(namesakes[0], self._tree, exists=True)
        return fallback

    def nowhere(self, row: str) -> Found:
        """Stand for a row that names no file."""
        return Found(row, Refused("missing", f"{row} names no file"))

    def unlisted(self, names: Iterable[str]) -> list[str]:
        """List the tree's images that are not among the names."""
        return sorted(self._images.difference(names))

    def _namesakes(self, name: str, folder: str) -> list[str]:
        if not self._by_base:
            for image in self._tree.images:
                self._by_base.setdefault(posixpath.basename(image), []).append(image)
        start = f"{folder}/" if folder else ""
        return [image for image in self._by_base.get(name, []) if image.startswith(start)]
