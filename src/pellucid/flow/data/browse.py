"""Browse: the rows of a dataset version by what they are, window by window, and how many there are of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.flow.data.shelf import NONE, SPLITS, STATUSES, Files, Mask, Shelf, Table
from pellucid.flow.workspace import Workspace
from pellucid.types import TRUST_SCALE, Row, Split, Status

MOST = 500  # rows in a window
_META = "meta."  # what a metadata key's word in an address begins with


class Order(StrEnum):
    """How rows follow each other."""

    MIXED = "mixed"  # by the images' digests: a sample of all
    CLASS = "class"
    DOUBTFUL = "doubtful"  # least trust first


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are wanted: those that fit everything that is named; of several values of one kind any will do."""

    labels: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ()
    statuses: tuple[Status, ...] = ()
    trust: tuple[int, int] = (0, TRUST_SCALE)  # thousandths, both ends included
    findings: tuple[str, ...] = ()  # kinds, "near_duplicate"
    metadata: tuple[tuple[str, str], ...] = ()  # keys and values, as text
    text: str = ""  # in a file's path, whatever its letters' case, or what a sample's id begins with
    order: Order = Order.MIXED

    @classmethod
    def of(cls, words: Sequence[tuple[str, str]]) -> Self:
        """By the words of an address, as ``words`` gives them; those it does not know are let be.

        >>> Filter.of([("label", "cat"), ("least", "0.5"), ("meta.site", "A")]).words
        [('label', 'cat'), ('least', '0.5'), ('meta.site', 'A')]

        Raises:
            UsageError: a value is none of those that there are.
        """
        many: dict[str, list[str]] = {}
        for name, value in words:
            many.setdefault(name, []).append(value)
        one = {name: values[-1] for name, values in many.items()}
        return cls(
            labels=tuple(many.get("label", ())),
            splits=tuple(_member(Split, value) for value in many.get("split", ())),
            statuses=tuple(_member(Status, value) for value in many.get("status", ())),
            trust=(_share(one.get("least", "0")), _share(one.get("most", "1"))),
            findings=tuple(many.get("finding", ())),
            metadata=tuple((name[len(_META) :], value) for name, value in words if name.startswith(_META)),
            text=one.get("text", "").strip(),
            order=_member(Order, one.get("order", Order.MIXED)),
        )

    @property
    def words(self) -> list[tuple[str, str]]:
        """As an address says it; what is as it is by default is left out."""
        least, most = self.trust
        return [
            *(("label", value) for value in self.labels),
            *(("split", str(value)) for value in self.splits),
            *(("status", str(value)) for value in self.statuses),
            *([("least", f"{least / TRUST_SCALE:g}")] if least > 0 else []),
            *([("most", f"{most / TRUST_SCALE:g}")] if most < TRUST_SCALE else []),
            *(("finding", value) for value in self.findings),
            *((f"{_META}{key}", value) for key, value in self.metadata),
            *([("text", self.text)] if self.text else []),
            *([("order", str(self.order))] if self.order is not Order.MIXED else []),
        ]


@dataclass(frozen=True, slots=True)
class Item:
    """A row, and the file that people know it by."""

    row: Row
    path: str  # of the file that held it first; empty where none is known


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of a version's rows that a filter fits."""

    version: str  # "trash@3"
    total: int  # rows of the version
    count: int  # of them, those that fit
    offset: int  # of the first item among those
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Facets:
    """How many rows there are of each kind. Those of one kind do not mind what the filter says of that very kind, so
    that one sees what another choice would give."""

    count: int  # rows that fit the whole filter
    labels: Mapping[str, int]
    splits: Mapping[str, int]
    statuses: Mapping[str, int]
    findings: Mapping[str, int]
    metadata: Mapping[str, Mapping[str, int]]  # key -> value -> rows


def browse(
    shelf: Shelf, workspace: Workspace, ref: str, wanted: Filter, *, offset: int = 0, limit: int | None = MOST
) -> Slice:
    """The rows of the version that the filter fits, from ``offset`` on, at most ``limit``; all of them where None.

    Raises:
        UsageError: offset or limit is out of range.
        NotFoundError: there is no such version.
    """
    if offset < 0 or (limit is not None and not 1 <= limit <= MOST):
        raise UsageError(f"offset {offset} and limit {limit} were offered; wanted are 0 or more, and 1 to {MOST}")
    table = shelf.table(workspace, ref)
    files = shelf.files(workspace, table)
    fits = _all(table, _masks(table, files, wanted).values())
    places = _ordered(table, np.flatnonzero(fits), wanted.order)
    window = places[offset : None if limit is None else offset + limit].tolist()
    items = tuple(Item(table.rows[at], files.paths[at]) for at in window)
    return Slice(table.version.ref, len(table.rows), len(places), offset, items)


def facets(shelf: Shelf, workspace: Workspace, ref: str, wanted: Filter) -> Facets:
    """How many rows of the version there are of each kind, as far as the filter fits them.

    Raises:
        NotFoundError: there is no such version.
    """
    table = shelf.table(workspace, ref)
    files = shelf.files(workspace, table)
    masks = _masks(table, files, wanted)

    def without(name: str) -> Mask:
        return _all(table, (mask for key, mask in masks.items() if key != name))

    return Facets(
        count=int(_all(table, masks.values()).sum()),
        labels=_counts(table.classes, table.labels[without("label")]),
        splits=_counts(SPLITS, table.splits[without("split")]),
        statuses=_counts(STATUSES, table.statuses[without("status")]),
        findings={kind: int((mask & without("finding")).sum()) for kind, mask in table.kinds.items()},
        metadata={key: _counts(values, codes[without(_META + key)]) for key, (values, codes) in files.metadata.items()},
    )


def _masks(table: Table, files: Files, wanted: Filter) -> dict[str, Mask]:
    """Which rows fit each thing that the filter asks for; metadata by ``meta.KEY``."""
    found: dict[str, Mask] = {}
    if wanted.labels:
        found["label"] = np.isin(table.labels, [table.classes.index(it) for it in wanted.labels if it in table.classes])
    if wanted.splits:
        found["split"] = np.isin(table.splits, [SPLITS.index(it) for it in wanted.splits])
    if wanted.statuses:
        found["status"] = np.isin(table.statuses, [STATUSES.index(it) for it in wanted.statuses])
    least, most = wanted.trust
    if (least, most) != (0, TRUST_SCALE):
        found["trust"] = (table.trust >= least) & (table.trust <= most)
    nowhere = np.zeros(len(table.rows), np.bool_)
    if wanted.findings:
        found["finding"] = reduce(np.logical_or, (table.kinds.get(kind, nowhere) for kind in wanted.findings))
    for key, value in wanted.metadata:
        values, codes = files.metadata.get(key, ((), np.empty(0)))
        mask = codes == values.index(value) if value in values else nowhere
        found[_META + key] = found.get(_META + key, nowhere) | mask
    if wanted.text:
        word = wanted.text.lower()
        pairs = zip(table.rows, files.texts, strict=True)
        found["text"] = np.array([word in text or row.sample.startswith(word) for row, text in pairs], np.bool_)
    return found


def _ordered(table: Table, chosen: NDArray[np.intp], order: Order) -> NDArray[np.intp]:
    """The places of rows, in that order; equals by id."""
    if order is Order.CLASS:
        return chosen[np.argsort(table.labels[chosen], kind="stable")]
    return chosen[np.argsort(table.trust[chosen], kind="stable")] if order is Order.DOUBTFUL else chosen


def _all(table: Table, masks: Iterable[Mask]) -> Mask:
    return reduce(np.logical_and, masks, np.ones(len(table.rows), np.bool_))


def _counts(names: Sequence[str], codes: NDArray[np.integer[Any]]) -> dict[str, int]:
    found = np.bincount(codes[codes != NONE], minlength=len(names)).tolist()
    return {str(name): count for name, count in zip(names, found, strict=True)}


def _member(kind: Any, value: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise UsageError(f"{value[:40]!r} was offered; wanted is one of {', '.join(kind)}") from None


def _share(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise UsageError(f"a trust of {text[:40]!r} was offered; wanted is a number from 0 to 1")
    return round(value * TRUST_SCALE)
