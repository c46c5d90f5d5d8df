"""The vectors of images that came one by one: a label that comes later then needs no second look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.store.database import Database
from pellucid.store.samples import chunked
from pellucid.store.schema import live_vector as table


def keep_vectors(
    database: Database, connection: sa.Connection, fingerprint: str, vectors: Mapping[str, NDArray[np.float32]]
) -> None:
    """Keeps the vector of each sample, as the extractor of that fingerprint has it."""
    now = datetime.now(UTC)
    rows = [
        {"fingerprint": fingerprint, "sample_id": name, "vector": vectors[name].astype("<f4").tobytes(), "at": now}
        for name in sorted(vectors)
    ]
    database.insert_new(connection, table, rows)


def vectors_of(connection: sa.Connection, fingerprint: str, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Those of the samples' vectors that are kept."""
    found: dict[str, NDArray[np.float32]] = {}
    for chunk in chunked(ids):
        query = sa.select(table.c.sample_id, table.c.vector)
        query = query.where(table.c.fingerprint == fingerprint, table.c.sample_id.in_(chunk))
        for name, vector in connection.execute(query).all():
            found[name] = np.frombuffer(vector, "<f4")
    return found
