"""Chronicle: the newest rows of everything that tells what happened, each kind read from where it was left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.schema import (
    act,
    alias_history,
    firing,
    retracted_vote,
    retraction,
    verdict,
    vote,
)

_NAMED = 3  # voters that are named of a retraction


@dataclass(frozen=True, slots=True)
class Retraction:
    """Votes that were taken back together."""

    id: int
    dataset: str
    actor: str
    reason: str
    at: datetime  # UTC
    votes: int
    voters: tuple[str, ...]  # the first three by name
    more: int  # further voters


def newest_changes(connection: sa.Connection, most: int, before: int | None) -> Sequence[sa.Row[Any]]:
    """Promotions and rollbacks, newest first: at most so many, of ids below ``before``; and so do those below."""
    return _newest(connection, sa.select(alias_history), alias_history.c.id, most, before)


def newest_verdicts(connection: sa.Connection, most: int, before: int | None) -> Sequence[sa.Row[Any]]:
    """What the gate said."""
    return _newest(connection, sa.select(verdict), verdict.c.id, most, before)


def newest_firings(connection: sa.Connection, most: int, before: int | None) -> Sequence[sa.Row[Any]]:
    """Retrainings; a condition that is only watched is none."""
    query = sa.select(firing).where(firing.c.state != "armed")
    return _newest(connection, query, firing.c.id, most, before)


def newest_retractions(connection: sa.Connection, most: int, before: int | None) -> list[Retraction]:
    """Votes taken back, with whose they were."""
    rows = _newest(connection, sa.select(retraction), retraction.c.id, most, before)
    query = sa.select(retracted_vote.c.retraction_id, vote.c.voter, sa.func.count().label("votes"))
    query = query.join(vote, vote.c.id == retracted_vote.c.vote_id)
    query = query.where(retracted_vote.c.retraction_id.in_([row.id for row in rows]))
    said: dict[int, dict[str, int]] = {}
    for number, voter, votes in connection.execute(query.group_by(retracted_vote.c.retraction_id, vote.c.voter)):
        said.setdefault(number, {})[voter] = votes
    return [_retraction(row, said.get(row.id, {})) for row in rows]


def newest_acts(
    connection: sa.Connection, most: int, before: int | None, *, but: Sequence[str] = ()
) -> Sequence[sa.Row[Any]]:
    """The audit trail, without the verbs that are told otherwise."""
    return _newest(connection, sa.select(act).where(act.c.verb.not_in(but)), act.c.id, most, before)


def _newest(
    connection: sa.Connection, query: sa.Select[Any], key: sa.Column[int], most: int, before: int | None
) -> Sequence[sa.Row[Any]]:
    if before is not None:
        query = query.where(key < before)
    return connection.execute(query.order_by(key.desc()).limit(most)).all()


def _retraction(row: sa.Row[Any], said: Mapping[str, int]) -> Retraction:
    names = sorted(said)
    return Retraction(
        id=row.id,
        dataset=row.dataset,
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        votes=sum(said.values()),
        voters=tuple(names[:_NAMED]),
        more=max(0, len(names) - _NAMED),
    )
