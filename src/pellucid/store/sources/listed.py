"""Layouts in which a table tells the class: ``manifest``, ``metadata`` and ``groundtruth``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pellucid.errors import ImageError, SourceError
from pellucid.store.sources.columns import Columns, as_metadata, as_text, recognise_columns
from pellucid.store.sources.item import Item, Scalar, Source
from pellucid.store.sources.lookup import Found, Lookup
from pellucid.store.sources.names import counted, is_table, printable, some
from pellucid.store.sources.splits import SPLIT_WORDS, count_as, is_split_word
from pellucid.store.sources.table import Record, Table, read_table
from pellucid.store.sources.tree import Tree, top

MAX_TABLE_BYTES = 4 * 2**30  # a table is read whole


@dataclass(frozen=True, slots=True)
class Row:
    """One row, before it is known what all the source's split words count as."""

    found: Found
    label: str | None
    word: str | None  # the split's, as it is spelt
    annotator: str | None
    metadata: Mapping[str, Scalar]


def claims_listed(tree: Tree, stem: str) -> bool:
    """Whether there is a table of that name at the top or in a split's folder."""
    return bool(_tables(tree, stem))


def read_listed(tree: Tree, stem: str) -> Source:
    """Read the table or tables of that name; where there is none, the only table at the top.

    Raises:
        SourceError: no such table or several in one place, or as :func:`read_tables` does.
    """
    names = _tables(tree, stem) or [name for name in tree.others if is_table(name) and not top(name)]
    folders = [top(name) for name in names]
    if not names:
        raise SourceError(f"{tree.location!r} holds no {stem}.csv, .jsonl or .parquet; add one, or offer it itself")
    if len(set(folders)) < len(names) or ("" in folders and len(names) > 1):
        raise SourceError(f"{tree.location!r} holds several tables: {some(names)}; offer the right one itself")
    tables = {}
    for name, folder in zip(names, folders, strict=True):
        try:
            data = tree.container.read(tree.base + name, MAX_TABLE_BYTES)
        except ImageError as error:
            raise SourceError(f"cannot read the table {name!r} of {tree.location!r}: {error}") from error
        tables[folder] = read_table(name, data)
    return read_tables(tree, stem, tables)


def read_tables(tree: Tree, layout: str, tables: Mapping[str, Table]) -> Source:
    """Read the images that tables list, one item a row: two annotators of one image are two items.

    A row whose image is missing or lies outside is an item that cannot be read. The split is the row's, else
    that of the folder which holds the table, else, if every image lies in one, that of the image's folder.

    Args:
        tree: where the images are.
        layout: the name to report.
        tables: by the folder that holds each; empty for the top.

    Raises:
        SourceError: a table without a row, a file or a label column, or with an unknown split word.
    """
    lookup, pool, rows, notes = Lookup(tree), dict[str, str](), list[Row](), list[str]()
    for folder, table in tables.items():
        columns = recognise_columns(table.name, table.columns)
        before = len(rows)
        rows.extend(_rows(table, columns, folder, lookup, pool))
        if len(rows) == before:
            raise SourceError(f"{table.name!r} lists no image; add a row for each, or offer the folders")
        notes.append(f"{table.name!r} ({_roles(columns)})")
    words = {row.word for row in rows if row.word is not None}
    folders = {top(row.found.name) for row in rows if row.found.exists}
    from_folder = not words and all(map(is_split_word, folders))
    splits, decisions = count_as(folders if from_folder else words)
    items = [
        Item(
            path=printable(row.found.name),
            label=row.label,
            split=splits.get(top(row.found.name) if from_folder else row.word or ""),
            annotator=row.annotator,
            metadata=row.metadata,
            origin=row.found.origin,
            member=row.found.name,
        )
        for row in rows
    ]
    items.sort(key=lambda item: item.path)
    labels = {item.label for item in items if item.label is not None}
    images = counted(len({item.path for item in items}), "image")
    classes = f"{counted(len(labels), 'class', 'classes')} ({some(sorted(labels), 6)})"
    warnings = [*tree.warnings, *decisions]
    warnings.extend(warning for table in tables.values() for warning in table.warnings)
    unlisted = lookup.unlisted(item.member for item in items)
    if unlisted:
        warnings.append(f"{counted(len(unlisted), 'image')} left out as no table lists them: {some(unlisted)}")
    return Source(
        layout=layout,
        description=f"{layout} in {', '.join(notes)}: {counted(len(items), 'row')} for {images} in {classes}",
        items=items,
        warnings=tuple(warnings),
        location=tree.container.location,
    )


def _tables(tree: Tree, stem: str) -> list[str]:
    return [
        name
        for name in tree.others
        if is_table(name, stem) and (not top(name) or (is_split_word(top(name)) and name.count("/") == 1))
    ]


def _rows(table: Table, columns: Columns, folder: str, lookup: Lookup, pool: dict[str, str]) -> Iterator[Row]:
    for record in table.records:
        number, values = record
        label = _text(table, record, columns.label)
        word = _text(table, record, columns.split) or folder or None
        if word is not None and not is_split_word(word):
            raise SourceError(
                f"{table.unit} {number} of {table.name!r} has the unknown split {word!r}; accepted: "
                f"{', '.join(SPLIT_WORDS)}; mend it, or rename the column to keep it as metadata"
            )
        file = values.get(columns.file)
        text = _text(table, record, columns.file)
        if text is None:
            found = lookup.nowhere(f"{table.unit} {number} of {table.name!r}")
        else:
            found = lookup.find(file if isinstance(file, str) else text, folder, word)
        yield Row(
            found=found,
            label=None if label is None else pool.setdefault(label, label),
            word=word if word is None else pool.setdefault(word, word),
            annotator=_text(table, record, columns.annotator),
            metadata=as_metadata(values, columns.metadata, pool),
        )


def _text(table: Table, record: Record, column: str | None) -> str | None:
    if column is None:
        return None
    number, values = record
    value = values.get(column)
    if isinstance(value, list | dict):
        raise SourceError(
            f"{table.unit} {number} of {table.name!r} holds a {type(value).__name__} in {column!r}; want one "
            "text or number"
        )
    return as_text(value)


def _roles(columns: Columns) -> str:
    roles: Sequence[tuple[str, str | None]] = (
        ("file", columns.file),
        ("label", columns.label),
        ("split", columns.split),
        ("annotator", columns.annotator),
    )
    told = [f"{role} from {name!r}" for role, name in roles if name is not None]
    return ", ".join([*told, f"{counted(len(columns.metadata), 'column')} of metadata"])
