"""What a job's worker said of it, line by line; kept with the job and only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from pellucid.store.schema import job_line


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was said."""

    at: datetime  # UTC, by the clock of the worker's machine
    text: str


def add_lines(connection: sa.Connection, job_id: int, lines: Sequence[Line]) -> None:
    """Keeps the lines, in their order."""
    rows = [{"job_id": job_id, "at": line.at, "text": line.text} for line in lines]
    if rows:
        # Without the order said, a database may number the rows of one statement as it likes.
        inserted = sa.insert(job_line).returning(job_line.c.id, sort_by_parameter_order=True)
        connection.execute(inserted, rows).all()


def lines_of(connection: sa.Connection, job_id: int, *, limit: int = 500) -> list[Line]:
    """The job's last lines, oldest first."""
    query = sa.select(job_line.c.at, job_line.c.text).where(job_line.c.job_id == job_id)
    rows = connection.execute(query.order_by(job_line.c.id.desc()).limit(limit)).all()
    return [Line(row.at, row.text) for row in reversed(rows)]
