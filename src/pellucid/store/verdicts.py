"""Verdicts: what the promotion gate has said of candidates. They are only ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.database import now_of
from pellucid.store.schema import verdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate said of one candidate."""

    id: int
    name: str  # of the models
    candidate: int  # version
    champion: int | None  # version that it was judged against; None where there was no champion
    passed: bool
    figures: Mapping[str, Any]  # the reports, with "summary" and "reasons"
    actor: str
    at: datetime  # UTC

    @property
    def judged(self) -> bool:
        """Whether there was a trusted image to judge on."""
        return bool(self.figures.get("judged"))

    @property
    def line(self) -> str:
        """The figures in one line, and why it was refused, where it was."""
        reasons = "; ".join(self.figures.get("reasons", ()))
        return f"{self.figures.get('summary', '')}{': ' * bool(reasons)}{reasons}"


def add_verdict(
    connection: sa.Connection,
    name: str,
    candidate: int,
    champion: int | None,
    *,
    passed: bool,
    figures: Mapping[str, Any],
    actor: str,
) -> Verdict:
    """Records a verdict."""
    values = {
        "model_name": name,
        "candidate": candidate,
        "champion": champion,
        "passed": int(passed),
        "figures": dict(figures),
        "actor": actor,
        "at": now_of(connection),
    }
    done = connection.execute(sa.insert(verdict).values(**values))
    key = done.inserted_primary_key
    row = connection.execute(sa.select(verdict).where(verdict.c.id == (key[0] if key else 0))).one()
    return _verdict(row)


def verdicts_of(connection: sa.Connection, name: str | None = None, candidate: int | None = None) -> list[Verdict]:
    """The verdicts on all candidates, on those of one name, or on one of them, oldest first."""
    query = sa.select(verdict)
    if name is not None:
        query = query.where(verdict.c.model_name == name)
    if candidate is not None:
        query = query.where(verdict.c.candidate == candidate)
    return [_verdict(row) for row in connection.execute(query.order_by(verdict.c.id))]


def newest_verdicts(connection: sa.Connection, name: str, candidates: Sequence[int]) -> dict[int, Verdict]:
    """What was said last of each of the candidates that anything was said of."""
    mine = sa.and_(verdict.c.model_name == name, verdict.c.candidate.in_(candidates))
    newest = sa.select(sa.func.max(verdict.c.id)).where(mine).group_by(verdict.c.candidate)
    rows = connection.execute(sa.select(verdict).where(verdict.c.id.in_(newest)))
    return {row.candidate: _verdict(row) for row in rows}


def _verdict(row: Any) -> Verdict:
    return Verdict(
        id=row.id,
        name=row.model_name,
        candidate=row.candidate,
        champion=row.champion,
        passed=bool(row.passed),
        figures=row.figures,
        actor=row.actor,
        at=row.at,
    )
