"""Which column of a table says what, by the names that people use, and how values become text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from pellucid.errors import SourceError
from pellucid.store.sources.item import Scalar
from pellucid.store.sources.names import printable

FILE = ("file", "file_name", "filename", "path", "image", "image_path")
LABEL = ("label", "class", "category", "target")
SPLIT = ("split", "set", "subset")
ANNOTATOR = ("annotator", "voter", "worker", "labeler", "labeller")


@dataclass(frozen=True, slots=True)
class Columns:
    """The role of every column, by its own spelling."""

    file: str
    label: str
    split: str | None
    annotator: str | None
    metadata: Mapping[str, str]  # all the others, with the name to keep each under


def recognise_columns(table: str, names: Sequence[str]) -> Columns:
    """Give every column its role; case, outer blanks, and blank, dash or underscore do not matter.

    Of several columns that could have a role the one whose name comes first in this module's list has it.

    Args:
        table: how the table is named in errors.
        names: of its columns.

    Raises:
        SourceError: no column names the file, or none the label.

    >>> recognise_columns("a.csv", ["File Name", "class", "site"])
    Columns(file='File Name', label='class', split=None, annotator=None, metadata={'site': 'site'})
    """
    by_name = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}

    def find(accepted: Sequence[str]) -> str | None:
        return next((by_name[name] for name in accepted if name in by_name), None)

    file, label, split, annotator = map(find, (FILE, LABEL, SPLIT, ANNOTATOR))
    if file is None or label is None:
        lacks, accepted = ("file", FILE) if file is None else ("label", LABEL)
        raise SourceError(
            f"{table!r} has no {lacks} column; seen: {', '.join(map(repr, names)) or 'none'}; accepted: "
            f"{', '.join(accepted)}; rename one, or choose another --layout if it is no list of images"
        )
    metadata = {name: printable(name) for name in names if name not in (file, label, split, annotator)}
    return Columns(file, label, split, annotator, metadata)


def as_text(value: object) -> str | None:
    """Write a value as text, the same from every file format; None where it says nothing.

    Whole numbers lose their ".0", which they often have only because another row is empty.

    >>> [as_text(value) for value in (1, 1.0, 0.5, True, " cat ", "", None, float("nan"), "NaN")]
    ['1', '1', '0.5', 'True', 'cat', None, None, None, None]
    """
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = printable(str(value)).strip()
    return None if text.lower() in ("", "nan") else text


def as_metadata(record: Mapping[str, object], names: Mapping[str, str], pool: dict[str, str]) -> dict[str, Scalar]:
    """Keep what the named columns say; empty values are left out, nested ones become JSON.

    Args:
        record: values by column.
        names: columns to keep, with the names to keep them under.
        pool: text met before, so that what 100,000 rows repeat is held once; grows.

    >>> record = {"site": "A", "age": 7, "note": "", "box": [1, 2]}
    >>> as_metadata(record, {name: name for name in record}, {})
    {'site': 'A', 'age': 7, 'box': '[1, 2]'}
    """
    kept: dict[str, Scalar] = {}
    for name, key in names.items():
        value = _scalar(record.get(name))
        if value is not None:
            kept[key] = pool.setdefault(value, value) if isinstance(value, str) else value
    return kept


def _scalar(value: object) -> Scalar | None:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, list | dict):
        return printable(json.dumps(value, ensure_ascii=False, default=str))
    return as_text(value)
