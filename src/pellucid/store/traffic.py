"""Traffic: what was answered and said in a stretch of time, read by number, so that no table is read whole.

Numbers grow with time, so a time is found among them by halving: twenty look-ups where there are a million rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from pellucid.store.schema import prediction, vote
from pellucid.types import KEEPER, Role


def number_at(connection: sa.Connection, table: sa.Table, at: datetime, *, low: int = 0) -> int:
    """The lowest number of the table's rows from that time on; one more than the highest where there is none.

    Rows that were written at the same moment may be out of order by as much as their writers took.

    Args:
        low: a number that is known not to be above it.
    """
    found = high = int(connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0) + 1
    low = min(max(low, 1), high)
    while low < high:
        middle = (low + high) // 2
        query = sa.select(table.c.id, table.c.at).where(table.c.id >= middle).order_by(table.c.id).limit(1)
        row = connection.execute(query).first()
        if row is None or row.at >= at:
            found, high = found if row is None else row.id, middle
        else:
            low = row.id + 1
    return found


def answers_at(connection: sa.Connection, name: str, ids: Sequence[int]) -> list[tuple[str, float, int]]:
    """Label, confidence and model's version of those rows that are answers of that name's models to somebody."""
    table = prediction.c
    query = sa.select(table.label, table.confidence, table.model_version, table.model_name, table.uid)
    # The rest is sorted out here: a database that is told to would rather read all rows of the name by its index.
    rows = connection.execute(query.where(table.id.in_(ids))).all()
    return [(row.label, row.confidence, row.model_version) for row in rows if row.model_name == name and row.uid]


def answer_number_at(connection: sa.Connection, at: datetime, *, low: int = 0) -> int:
    """`number_at` of the answers."""
    return number_at(connection, prediction, at, low=low)


def answers_since(connection: sa.Connection, at: datetime) -> int:
    """How many answers were given since then, by their numbers."""
    newest = int(connection.execute(sa.select(sa.func.max(prediction.c.id))).scalar() or 0)
    return max(0, newest + 1 - answer_number_at(connection, at))


def votes_since(connection: sa.Connection, dataset: str, at: datetime) -> tuple[int, int]:
    """How many votes of people were said directly since then, and by how many voters.

    What `pellucid corrupt` keeps of the labels that it breaks was said by nobody.
    """
    first = number_at(connection, vote, at)
    query = sa.select(sa.func.count(), sa.func.count(vote.c.voter.distinct()))
    said = (vote.c.ingest_id.is_(None), vote.c.role != Role.MODEL, vote.c.voter != KEEPER)
    row = connection.execute(query.where(vote.c.id >= first, vote.c.dataset == dataset, *said)).one()
    return int(row[0]), int(row[1])
