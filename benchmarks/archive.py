"""A project that has served for long: so many predictions and votes in its database, written by SQL in one go."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from pellucid.project import Project
from pellucid.store.receipts import claim, settle
from pellucid.store.retractions import newest_retraction
from pellucid.store.votes import newest_vote

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
_SAMPLES = (
    _NUMBERS + 'INSERT INTO sample (id, media_type, width, height, size, pack, "offset", sketch) '
    "SELECT lower(hex(randomblob(32))), 'image/jpeg', 224, 168, 8000, lower(hex(randomblob(32))), 0, zeroblob(1024) "
    "FROM n"
)
_PREDICTIONS = (
    _NUMBERS + "INSERT INTO prediction (at, model_name, model_version, sample_id, path, label, confidence, "
    "probabilities, uid, actor, details) SELECT '2026-01-01 00:00:00.000000', :name, 1, lower(hex(randomblob(32))), "
    "'', 'glass', 0.9, '{\"glass\": 0.9, \"paper\": 0.1}', lower(hex(randomblob(16))), 'camera', "
    "'{\"ledger\": 0}' FROM n"
)
# Half of the votes are those of one voter, who is asked for a record of the newest.
_VOTES = (
    "INSERT INTO vote (dataset, sample_id, label, role, voter, at, support) SELECT :name, id, 'glass', 'user', "
    "CASE WHEN rowid % 2 THEN 'camera' ELSE 'voter ' || (rowid % 500) END, '2026-01-01 00:00:00.000000', 0.7 "
    "FROM sample ORDER BY rowid DESC LIMIT :count"
)


def fill(folder: Path, name: str, predictions: int, votes: int) -> None:
    """Adds so many of both to an SQLite project, the votes on samples of their own.

    The votes count as carried over to the first model, which could not: there are no images behind them.
    """
    with Project(folder) as project, project.workspace.database.write() as connection:
        connection.execute(sa.text(_SAMPLES), {"count": votes})
        connection.execute(sa.text(_VOTES), {"name": name, "count": votes})
        connection.execute(sa.text(_PREDICTIONS), {"name": name, "count": predictions})
        upto = {"vote": newest_vote(connection, name), "retraction": newest_retraction(connection, name)}
        if claim(connection, "carry", f"{name}@1", upto) is not None:
            settle(connection, "carry", f"{name}@1", upto)
