"""Layouts in which folders tell the class: ``class/file`` and ``split/class/file``."""

from __future__ import annotations

from pellucid.errors import SourceError
from pellucid.store.sources.item import Item, Source
from pellucid.store.sources.names import counted, is_table, printable, some
from pellucid.store.sources.splits import SPLIT_WORDS, count_as, is_split_word
from pellucid.store.sources.tree import Tree, top
from pellucid.types import Split


def claims_folders(tree: Tree) -> bool:
    """Whether there are class folders at the top, not just one with the images of a table beside it."""
    tops = {top(name) for name in tree.images} - {""}
    is_described = len(tops) == 1 and any(is_table(name) and not top(name) for name in tree.others)
    return not is_described and any(not is_split_word(folder) for folder in tops)


def read_folders(tree: Tree) -> Source:
    """Read ``class/**/file``: the folder at the top is the class, as in torchvision's ImageFolder.

    Images outside any folder are unlabelled.
    """
    items = [_item(tree, name, label=top(name) or None, split=None) for name in tree.images]
    _require_classes(tree, items, "class/file")
    empty = {name for name in tree.folders if "/" not in name} - {top(name) for name in tree.images}
    return Source(
        layout="folders",
        description=f"class folders, as images lie in folders at the top: {_summary(items)}",
        items=items,
        warnings=(*tree.warnings, *_warnings(tree, items, empty)),
        location=tree.container.location,
    )


def claims_splits(tree: Tree) -> bool:
    """Whether there is a folder at the top that is named like a split and has class folders inside."""
    return any(is_split_word(top(name)) and name.count("/") > 1 for name in tree.images)


def read_splits(tree: Tree) -> Source:
    """Read ``split/class/**/file``. Images directly in a split's folder are unlabelled.

    Raises:
        SourceError: a folder at the top is not named like a split, or there is no class folder.
    """
    words = {top(name) for name in tree.images} - {""}
    unknown = sorted(word for word in words if not is_split_word(word))
    if unknown:
        raise SourceError(
            f"unknown split folder {some(unknown)} in {tree.location!r}; accepted: {', '.join(SPLIT_WORDS)}; "
            "rename it, or take it for a class by --layout folders"
        )
    splits, decisions = count_as(words)
    items = []
    for name in tree.images:
        word, _, inner = name.partition("/")
        items.append(_item(tree, name, label=top(inner) or None, split=splits.get(word) if inner else None))
    _require_classes(tree, items, "split/class/file")
    full = {name.rpartition("/")[0] for name in tree.images}
    parents = {"/".join(name.split("/")[:2]) for name in full}
    empty = {name for name in tree.folders if name.count("/") == 1 and is_split_word(top(name))} - parents
    return Source(
        layout="splits",
        description=f"class folders within split folders {some(sorted(words))}: {_summary(items)}",
        items=items,
        warnings=(*tree.warnings, *decisions, *_warnings(tree, items, empty)),
        location=tree.container.location,
    )


def _item(tree: Tree, name: str, *, label: str | None, split: Split | None) -> Item:
    return Item(
        path=printable(name),
        label=None if label is None else printable(label),
        split=split,
        annotator=None,
        metadata={},
        origin=tree,
        member=name,
    )


def _require_classes(tree: Tree, items: list[Item], shape: str) -> None:
    if all(item.label is None for item in items):
        raise SourceError(
            f"{tree.location!r} holds {counted(len(items), 'image')} but none in a class folder; lay "
            f"them out as {shape}, or list them in a manifest.csv with the columns file and label"
        )


def _summary(items: list[Item]) -> str:
    labels = sorted({item.label for item in items if item.label is not None})
    return f"{counted(len(items), 'image')} in {counted(len(labels), 'class', 'classes')} ({some(labels, 6)})"


def _warnings(tree: Tree, items: list[Item], empty: set[str]) -> list[str]:
    strays = [item.path for item in items if item.label is None]
    return [
        f"{counted(len(names), noun, plural)} {what}: {some(sorted(names))}"
        for names, noun, plural, what in (
            (strays, "image", "", "in no class folder, taken as unlabelled"),
            (empty, "class folder", "", "without an image"),
            (tree.others, "file", "", "left out for a suffix that is no image's"),
        )
        if names
    ]
