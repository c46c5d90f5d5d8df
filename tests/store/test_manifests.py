"""Manifests: a content id that depends on nothing but the content, and files that cannot be edited unnoticed."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import IntegrityError
from pellucid.store.blobs import Blobs
from pellucid.store.manifests import content_id, read_manifest, read_row, write_manifest
from pellucid.types import Row, Split, Status

DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(
    st.builds(
        Row,
        sample=DIGESTS,
        label=st.none() | TEXTS,
        trust=st.integers(0, 1000),
        split=st.sampled_from(Split),
        status=st.sampled_from(Status),
        reason=TEXTS,
        group=DIGESTS,
    ),
    max_size=8,
    unique_by=lambda row: row.sample,
)
ROW = Row("ab" * 32, "cat", 1000, Split.TRAIN, Status.OK, "", "ab" * 32)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(str(tmp_path))


def test_the_content_id_is_the_digest_of_lines_that_anybody_can_write() -> None:
    line = f'["{"ab" * 32}","cät\\n",1000,"train","ok","","{"ab" * 32}"]\n'
    by_hand = hashlib.sha256(b"pellucid manifest 1\n" + line.encode()).hexdigest()
    assert content_id([replace(ROW, label="cät\n")]) == by_hand


@given(ROWS, st.randoms(use_true_random=False))
def test_the_content_id_does_not_depend_on_the_order_of_rows(rows: list[Row], chance: random.Random) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert content_id(shuffled) == content_id(rows)


@pytest.mark.parametrize(
    "change",
    [
        {"sample": "cd" * 32},
        {"label": None},
        {"label": ""},
        {"trust": 999},
        {"split": Split.TEST},
        {"status": Status.CONFLICT},
        {"reason": "x"},
        {"group": "cd" * 32},
    ],
)
def test_the_content_id_depends_on_every_column(change: dict[str, Any]) -> None:
    assert content_id([replace(ROW, **change)]) != content_id([ROW])


@settings(max_examples=50)
@given(rows=ROWS)
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    blobs = Blobs.open(str(tmp_path_factory.getbasetemp() / "manifests"))
    name = write_manifest(blobs, rows)
    assert name == content_id(rows)
    assert read_manifest(blobs, name) == tuple(sorted(rows, key=lambda row: row.sample))


def test_reading_leaves_no_thread_that_could_abort_the_process_at_its_end(
    blobs: Blobs, tmp_path: Path, child_environ: dict[str, str]
) -> None:
    """In a process of its own, because pyarrow keeps the threads that anything else in this one started."""
    name = write_manifest(blobs, [ROW])
    script = """
import os, sys
import pyarrow.compute, pyarrow.parquet
from pellucid.store.blobs import Blobs
from pellucid.store.manifests import read_manifest, read_row
from pellucid.store.sources.table import read_table
blobs, name = Blobs.open(sys.argv[1]), sys.argv[2]
before = set(os.listdir("/proc/self/task"))
row, = read_manifest(blobs, name)
assert read_row(blobs, name, row.sample) == row
data = blobs.read(blobs.path_of("manifests", name, ".parquet"))
assert len(list(read_table("a.parquet", data).records)) == 1
print(len(set(os.listdir("/proc/self/task")) - before))
"""
    words = [sys.executable, "-c", script, str(tmp_path), name]
    ended = subprocess.run(words, env=child_environ, capture_output=True, text=True, check=True)
    assert ended.stdout == "0\n"


@pytest.mark.parametrize(
    "options", [{"compression": "none"}, {"compression": "gzip", "version": "1.0"}, {"row_group_size": 1}]
)
def test_the_way_a_file_is_written_does_not_matter(blobs: Blobs, options: dict[str, Any]) -> None:
    rows = [ROW, replace(ROW, sample="cd" * 32, label=None)]
    name = write_manifest(blobs, rows)
    rewrite(blobs, name, lambda table: table, **options)
    assert list(read_manifest(blobs, name)) == rows


def rewrite(blobs: Blobs, name: str, edit: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    path = Path(blobs.path_of("manifests", name, ".parquet"))
    buffer = io.BytesIO()
    pq.write_table(edit(pq.read_table(path)), buffer, **options)
    path.write_bytes(buffer.getvalue())


def relabelled(table: pa.Table) -> pa.Table:
    return table.set_column(1, "label", pa.array(["dog"] * len(table)))


EDITS: list[Callable[[pa.Table], pa.Table]] = [
    relabelled,
    lambda table: table.slice(1),
    lambda table: table.drop_columns(["trust"]),
    lambda table: table.set_column(3, "split", pa.array(["nowhere"] * len(table))),
    lambda table: table.set_column(0, "sample", pa.array([None] * len(table), pa.binary(32))),
]


@pytest.mark.parametrize("edit", EDITS)
def test_a_manifest_that_was_edited_is_found_out(blobs: Blobs, edit: Callable[[pa.Table], pa.Table]) -> None:
    name = write_manifest(blobs, [ROW, replace(ROW, sample="cd" * 32)])
    rewrite(blobs, name, edit)
    with pytest.raises(IntegrityError, match=f"the manifest {name[:12]}.*damaged or edited by hand; restore it"):
        read_manifest(blobs, name)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet" * 100])
def test_a_manifest_that_was_damaged_is_found_out(blobs: Blobs, data: bytes) -> None:
    name = write_manifest(blobs, [ROW])
    Path(blobs.path_of("manifests", name, ".parquet")).write_bytes(data)
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_manifest(blobs, name)


@given(ROWS)
def test_one_row_alone_is_that_of_all_rows(rows: list[Row]) -> None:
    blobs = Blobs.open(tempfile.mkdtemp())
    name = write_manifest(blobs, rows)
    for row in rows:
        assert read_row(blobs, name, row.sample) == row
    assert read_row(blobs, name, "00" * 31 + "17") in {None, *rows}


def test_one_row_of_a_file_that_is_no_manifest(blobs: Blobs) -> None:
    blobs.put("manifests", b"nothing", name="ab" * 32, suffix=".parquet")
    with pytest.raises(IntegrityError, match="damaged"):
        read_row(blobs, "ab" * 32, ROW.sample)
