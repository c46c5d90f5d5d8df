"""CSV, JSON Lines and Parquet, well and badly written."""

from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import SourceError
from pellucid.store.sources.table import read_table

ROWS = [{"file": "1.jpg", "label": "Käse, roh"}, {"file": "2;\n3.jpg", "label": 'a "b"'}]
CELLS = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=8)


def to_csv(rows: list[dict[str, str]], *, delimiter: str = ",", end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_csv_as_programs_write_it(delimiter: str, end: str, encoding: str) -> None:
    table = read_table("a.csv", to_csv(ROWS, delimiter=delimiter, end=end).encode(encoding))
    assert table.columns == ["file", "label"]
    assert [values for _, values in table.records] == ROWS
    assert table.warnings == (
        ("'a.csv' is not UTF-8 and was read as Windows-1252; save it as UTF-8 if names look wrong",)
        if encoding == "latin-1"
        else ()
    )


@given(st.lists(st.fixed_dictionaries({"file": CELLS, "label": CELLS}), min_size=1))
def test_every_format_says_the_same(rows: list[dict[str, str]]) -> None:
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    written = {
        "a.csv": to_csv(rows).encode(),
        "a.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "a.parquet": parquet.getvalue(),
    }
    for name, data in written.items():
        assert [values for _, values in read_table(name, data).records] == rows


def test_numbers_of_lines_count_what_an_editor_shows() -> None:
    table = read_table("a.csv", b'file,label\n\n"1\n2.jpg",cat\n3.jpg,dog\n')
    assert [number for number, _ in table.records] == [4, 5]
    table = read_table("a.jsonl", b'\n{"file": "1.jpg"}\n\n{"label": 1}\n')
    assert (table.columns, list(table.records)) == (
        ["file", "label"],
        [(2, {"file": "1.jpg"}), (4, {"label": 1})],
    )


def test_a_column_without_a_name_gets_one() -> None:
    assert read_table("a.csv", b",file,label\n0,1.jpg,cat\n").columns == ["column 1", "file", "label"]


def test_types_are_kept_where_there_are_any() -> None:
    row = {"file": "1.jpg", "label": 1, "age": 0.5, "sick": True}
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row]), data)
    assert [*read_table("a.PARQUET", data.getvalue()).records] == [(1, row)]
    assert [*read_table("a.ndjson", b"\xef\xbb\xbf" + json.dumps(row).encode()).records] == [(1, row)]
    assert [*read_table("a.csv", b"file,label,age\n1.jpg,1,0.5\n").records] == [
        (2, {"file": "1.jpg", "label": "1", "age": "0.5"})
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"file,label\n1.jpg\n", "line 2 of 'a.csv' has 1 fields, its header 2"),
        ("a.csv", b"file,label\n1.jpg,cat,x\n", "line 2 of 'a.csv' has 3 fields, its header 2"),
        ("a.csv", b'file,label\n1.jpg,"cat\n', "'a.csv' is no CSV after line 1: unexpected end of data"),
        ("a.csv", b'"file,label\n', "the header of 'a.csv' is no CSV"),
        ("a.csv", b"file,label\n\x81\n", "'a.csv' is not text in UTF-8, UTF-16 or Windows-1252"),
        ("a.csv", b"\xff\xfef", "'a.csv' is not text in"),
        ("a.csv", b"file,label,file\n", "'a.csv' has several columns named 'file'"),
        ("a.jsonl", b'{"file": "1.jpg"}\n{"file": \n', "line 2 of 'a.jsonl' is no JSON: Expecting value"),
        ("a.jsonl", b"[1]\n", "line 1 of 'a.jsonl' is a JSON list; want one object a line"),
        ("a.jsonl", b'{"label": "\xe4"}', "line 1 of 'a.jsonl' is no JSON: 'utf-8' codec"),
        ("a.jsonl", b"[" * 100_000, "line 1 of 'a.jsonl' is no JSON: maximum recursion"),
        ("a.parquet", b"PAR1 not really PAR1", "'a.parquet' is no readable Parquet file"),
        ("a.parquet", b"", "'a.parquet' is no readable Parquet file"),
    ],
)
def test_bad_input(name: str, data: bytes, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        list(read_table(name, data).records)
    assert message in str(caught.value)


def test_parquet_with_a_damaged_page() -> None:
    data = io.BytesIO()
    pq.write_table(
        pa.table({"file": [f"{i}.jpg" for i in range(1000)]}), data, compression="zstd", use_dictionary=False
    )
    damaged = bytearray(data.getvalue())
    damaged[200:400] = bytes(200)
    with pytest.raises(SourceError, match=r"'a\.parquet' is damaged after row 0"):
        list(read_table("a.parquet", bytes(damaged)).records)
