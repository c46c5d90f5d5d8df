"""Retractions: votes that are taken back. They stay in the record, and count no longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.store.firings import lock_dataset
from pellucid.store.samples import chunked
from pellucid.store.schema import retracted_vote, retraction


@dataclass(frozen=True, slots=True)
class Retraction:
    """That votes were taken back."""

    actor: str
    reason: str
    at: datetime


def retract(connection: sa.Connection, dataset: str, votes: Sequence[int], *, actor: str, reason: str) -> int:
    """Takes votes back, by their numbers, and returns the number of the retraction.

    Of one dataset one at a time does so: numbers become visible in their order.

    Raises:
        ConcurrencyError: somebody else has taken one of them back meanwhile.
    """
    lock_dataset(connection, dataset)
    values = {"dataset": dataset, "actor": actor, "reason": reason, "at": datetime.now(UTC)}
    key = connection.execute(sa.insert(retraction).values(**values)).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has a key
    try:
        if votes:
            rows = [{"vote_id": item, "retraction_id": key[0]} for item in sorted(votes)]
            connection.execute(sa.insert(retracted_vote), rows)
    except sa.exc.IntegrityError as error:
        raise ConcurrencyError("some of these votes were taken back meanwhile; look again and retry") from error
    return int(key[0])


def newest_retraction(connection: sa.Connection, dataset: str) -> int:
    """The highest number of the dataset's retractions, 0 where there is none; no lower one will appear any more."""
    query = sa.select(sa.func.max(retraction.c.id)).where(retraction.c.dataset == dataset)
    return int(connection.execute(query).scalar() or 0)


def retractions_of(connection: sa.Connection, votes: Sequence[int]) -> dict[int, Retraction]:
    """Who took back which of the votes, by their numbers; those that stand are not in it."""
    columns = (retracted_vote.c.vote_id, retraction.c.actor, retraction.c.reason, retraction.c.at)
    query = sa.select(*columns).join(retraction, retraction.c.id == retracted_vote.c.retraction_id)
    return {
        row.vote_id: Retraction(row.actor, row.reason, row.at)
        for chunk in chunked(votes)
        for row in connection.execute(query.where(retracted_vote.c.vote_id.in_(chunk))).all()
    }
