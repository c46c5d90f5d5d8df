"""The immutable content of a dataset version: sorted rows, a content id, and Parquet files that carry them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pellucid.errors import IntegrityError
from pellucid.store.blobs import Blobs
from pellucid.types import Row, Split, Status

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1  # to change the columns: raise it, write the new ones, and keep reading every older number below

_COLUMNS = ("sample", "label", "trust", "split", "status", "reason", "group")


def content_id(rows: Iterable[Row]) -> str:
    """The sha256 of the canonical rows: one JSON line each, sorted by sample, trust in thousandths.

    It depends on nothing but the content: neither on the Parquet version nor on the order in which rows came.

    >>> row = Row("ab" * 32, "cat", 1000, Split.TRAIN, Status.OK, "", "ab" * 32)
    >>> content_id([row])[:12]
    '4633d84fcca1'
    """
    digest = hashlib.sha256(b"pellucid manifest 1\n")
    for row in sorted(rows, key=lambda row: row.sample):
        line = [row.sample, row.label, row.trust, str(row.split), str(row.status), row.reason, row.group]
        digest.update(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        digest.update(b"\n")
    return digest.hexdigest()


def write_manifest(blobs: Blobs, rows: Sequence[Row], name: str | None = None) -> str:
    """Stores the rows and returns their content id: ``name``, where the caller has computed it already."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = sorted(rows, key=lambda row: row.sample)
    name = name or content_id(rows)
    columns = {
        "sample": pa.array([bytes.fromhex(row.sample) for row in rows], pa.binary(32)),
        "label": pa.array([row.label for row in rows], pa.dictionary(pa.int32(), pa.string())),
        "trust": pa.array([row.trust for row in rows], pa.int16()),
        "split": pa.array([str(row.split) for row in rows], pa.dictionary(pa.int32(), pa.string())),
        "status": pa.array([str(row.status) for row in rows], pa.dictionary(pa.int32(), pa.string())),
        "reason": pa.array([row.reason for row in rows], pa.string()),
        "group": pa.array([row.group for row in rows], pa.string()),
    }
    table = pa.table(columns).replace_schema_metadata({"pellucid": json.dumps({"format": FORMAT, "content_id": name})})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    # Named by its content id, not by its bytes: the same content has one name whatever wrote the file.
    blobs.put("manifests", buffer.getvalue(), name=name, suffix=".parquet")
    return name


def read_manifest(blobs: Blobs, name: str) -> tuple[Row, ...]:
    """The rows stored under the content id, sorted by sample.

    Raises:
        NotFoundError: there is no such manifest.
        IntegrityError: the file is damaged, or its rows are not those that the name stands for.
    """
    import pyarrow as pa

    data = blobs.read(blobs.path_of("manifests", name, ".parquet"))
    try:
        table = _table(data, _COLUMNS)
        columns = [table.column(column).to_pylist() for column in _COLUMNS]
        rows = tuple(
            Row(sample.hex(), label, trust, Split(split), Status(status), reason, group)
            for sample, label, trust, split, status, reason, group in zip(*columns, strict=True)
        )
    except (pa.ArrowException, OSError, KeyError, ValueError, AttributeError) as error:
        raise _damaged(name, f"cannot be read ({str(error).splitlines()[0]})") from None
    if (found := content_id(rows)) != name:
        raise _damaged(name, f"holds rows with the content id {found[:12]}...")
    return rows


def read_row(blobs: Blobs, name: str, sample: str) -> Row | None:
    """The row of one sample in the manifest of that content id; None where it has none.

    Several times faster than all rows, because only that one is made; the content id is therefore not checked.

    Raises:
        NotFoundError: there is no such manifest.
        IntegrityError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    data = blobs.read(blobs.path_of("manifests", name, ".parquet"))
    try:
        wanted = pa.scalar(bytes.fromhex(sample), pa.binary(32))
        at = pc.index(_table(data, ("sample",)).column(0), wanted).as_py()
        if at < 0:
            return None
        found = _table(data, _COLUMNS).slice(at, 1).to_pylist()[0]
        split, status = Split(found["split"]), Status(found["status"])
        return Row(sample, found["label"], found["trust"], split, status, found["reason"], found["group"])
    except (pa.ArrowException, OSError, KeyError, ValueError, AttributeError) as error:
        raise _damaged(name, f"cannot be read ({str(error).splitlines()[0]})") from None


def _table(data: bytes, columns: Sequence[str]) -> pa.Table:
    """Columns of a Parquet file, read without pyarrow's threads.

    Such a thread lets go of ``data`` after the read has returned. Where Python has begun to end by then, its wish for
    the GIL ends the thread inside a C++ destructor, which aborts the process (apache/arrow issue 34314).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))  # read_table imports pandas by way of pyarrow.dataset
    return file.read(columns=list(columns), use_threads=False)


def _damaged(name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"the manifest {name[:12]}... {what}: it was damaged or edited by hand; restore it from a backup, "
        "or go back to an earlier version of the dataset"
    )
