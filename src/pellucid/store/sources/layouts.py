"""The layouts that are known, in one visible table, and how one is told from another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pellucid.errors import SourceError
from pellucid.store.sources.classes import claims_folders, claims_splits, read_folders, read_splits
from pellucid.store.sources.item import Source
from pellucid.store.sources.listed import claims_listed, read_listed
from pellucid.store.sources.names import counted, some
from pellucid.store.sources.tree import Tree, top


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which people lay out labelled images."""

    shape: str  # what a person has to lay out, in one line
    claims: Callable[[Tree], bool]  # whether a tree looks like it
    read: Callable[[Tree], Source]


def _listed(name: str, shape: str) -> Layout:
    return Layout(shape, lambda tree: claims_listed(tree, name), lambda tree: read_listed(tree, name))


TABLES: Mapping[str, Layout] = {
    "manifest": _listed("manifest", "manifest.csv|jsonl|parquet with the columns file and label"),
    "metadata": _listed("metadata", "metadata.csv|jsonl|parquet, at the top or in each split's folder"),
    "groundtruth": _listed("groundtruth", "groundtruth.csv, at the top or in each of train/ and test/"),
}
FOLDERS: Mapping[str, Layout] = {
    "splits": Layout("train|test/class/file", claims_splits, read_splits),
    "folders": Layout("class/file", claims_folders, read_folders),
}
LAYOUTS: Mapping[str, Layout] = {**TABLES, **FOLDERS}


def recognise(tree: Tree) -> str:
    """Tell which layout a tree has. A table says more than folders do, so tables are asked first.

    Returns:
        A name in ``LAYOUTS``.

    Raises:
        SourceError: none or several of the layouts fit.
    """
    for layouts in (TABLES, FOLDERS):
        names = [name for name, layout in layouts.items() if layout.claims(tree)]
        if len(names) == 1:
            return names[0]
        if names:
            raise SourceError(
                f"{tree.location!r} could have any of the layouts {', '.join(names)} ({_seen(tree)}); "
                f"choose one by --layout, or offer a table itself"
            )
    known = "; ".join(f"{name}: {layout.shape}" for name, layout in LAYOUTS.items())
    raise SourceError(
        f"{tree.location!r} has no known layout ({_seen(tree)}); known: {known}; lay it out as one of these, "
        "choose one by --layout, or offer a table of any name itself"
    )


def _seen(tree: Tree) -> str:
    loose = sum(not top(name) for name in tree.images)
    folders = [name for name in tree.folders if "/" not in name]
    files = [name for name in tree.others if not top(name)]
    seen = [f"{counted(len(tree.images), 'image')}, {loose:,} of them in no folder"]
    seen += [f"folders {some(folders, 6)}"] if folders else ["no folders"]
    seen += [f"other files {some(files)}"] if files else []
    return "seen: " + "; ".join(seen)
