"""Tables of images: CSV, JSON Lines and Parquet brought to one form, a record a row."""

from __future__ import annotations

import codecs
import csv
import io
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.errors import SourceError
from pellucid.store.sources.names import some

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = ",;\t"
BATCH = 8192  # rows of a Parquet file held as Python values at once
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Record = tuple[int, Mapping[str, object]]  # line or row, counted from 1, and its values by column


@dataclass(frozen=True, slots=True)
class Table:
    """A table with named columns; its records can be walked over once."""

    name: str  # as a person would name the file
    columns: Sequence[str]
    records: Iterator[Record]
    unit: str  # what a record's number counts: "line" or "row"
    warnings: tuple[str, ...] = ()


def read_table(name: str, data: bytes) -> Table:
    r"""Read a table by the suffix of its name.

    A CSV file may be delimited by commas, semicolons or tabs and be encoded as UTF-8, as UTF-16 with a byte
    order mark or, with a warning, as Windows-1252. It has no types, so its values stay text: one patient's
    "12" must not become a number because another's "A3" came in a later file.

    Raises:
        SourceError: a broken line (it is named), an undecodable file, columns without or with one name.

    >>> table = read_table("a.csv", b"\xef\xbb\xbffile;label\r\n1.jpg;cat\r\n")
    >>> table.columns, list(table.records)
    (['file', 'label'], [(2, {'file': '1.jpg', 'label': 'cat'})])
    """
    suffix = posixpath.splitext(name)[1].lower()
    if suffix == ".parquet":
        table = _parquet(name, data)
    elif suffix in (".jsonl", ".ndjson"):
        table = _json_lines(name, data)
    else:
        table = _csv(name, data)
    twice = {column for column in table.columns if table.columns.count(column) > 1}
    if twice:
        raise SourceError(f"{name!r} has several columns named {some(sorted(twice))}; rename all but one")
    return table


def _csv(name: str, data: bytes) -> Table:
    encoding, warnings = _encoding(name, data)
    text = io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline="")
    try:
        header = text.readline()
        text.seek(0)
        delimiter = max(DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        columns = [column.strip() or f"column {i}" for i, column in enumerate(next(reader, []), 1)]
    except csv.Error as error:
        raise SourceError(f"the header of {name!r} is no CSV: {error}; mend or export it again") from error
    return Table(name, columns, _csv_records(name, columns, reader), "line", warnings)


def _csv_records(name: str, columns: Sequence[str], reader: Reader) -> Iterator[Record]:
    line = 1
    try:
        for cells in reader:
            line = reader.line_num
            if not cells:
                continue
            if len(cells) != len(columns):
                raise SourceError(
                    f"line {line} of {name!r} has {len(cells)} fields, its header {len(columns)}; quote "
                    "fields that hold the delimiter"
                )
            yield line, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise SourceError(f"{name!r} is no CSV after line {line}: {error}; mend or export it again") from error


def _encoding(name: str, data: bytes) -> tuple[str, tuple[str, ...]]:
    """Find out how a text file is encoded; a guess comes with a warning."""
    encodings = ["utf-16"] if data.startswith(UTF16_MARKS) else ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        if _decodes(data, encoding):
            guess = f"{name!r} is not UTF-8 and was read as Windows-1252; save it as UTF-8 if names look wrong"
            return encoding, (guess,) if encoding == "cp1252" else ()
    raise SourceError(f"{name!r} is not text in UTF-8, UTF-16 or Windows-1252; save it as UTF-8")


def _decodes(data: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(data), 1 << 20):  # in pieces, as the text can be several times the bytes
            decoder.decode(data[start : start + (1 << 20)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _json_lines(name: str, data: bytes) -> Table:
    records: list[tuple[int, dict[str, object]]] = []
    columns: dict[str, None] = {}  # an ordered set
    for number, line in enumerate(io.BytesIO(data.removeprefix(codecs.BOM_UTF8)), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            raise SourceError(f"line {number} of {name!r} is no JSON: {error}; want one object a line") from error
        if not isinstance(values, dict):
            raise SourceError(f"line {number} of {name!r} is a JSON {type(values).__name__}; want one object a line")
        records.append((number, values))
        columns.update(dict.fromkeys(values))
    return Table(name, list(columns), iter(records), "line")


def _parquet(name: str, data: bytes) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def records() -> Iterator[Record]:
        number = 0
        try:
            for batch in file.iter_batches(batch_size=BATCH, use_threads=False):  # why: see manifests._table
                for values in batch.to_pylist():
                    number += 1
                    yield number, values
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{name!r} is damaged after row {number}: {error}; fetch or write it again") from error

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{name!r} is no readable Parquet file: {error}; fetch or write it again") from error
    return Table(name, list(file.schema_arrow.names), records(), "row")
