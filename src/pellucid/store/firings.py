"""Firings: conditions for retraining that have come true, each claimed once under a lease."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.store.database import Database, now_of
from pellucid.store.schema import dataset as dataset_table
from pellucid.store.schema import firing

HAND = "hand"  # the trigger of a retraining that a person has asked for
MAX_ATTEMPTS = 3  # a retraining that has cost so many workers their lives is the cause, not the victim


class FiringState(StrEnum):
    """The life of a firing."""

    ARMED = "armed"  # the condition was seen for the first time; nothing is to be done
    ASKED = "asked"  # a person has asked for it; whoever watches next takes it
    CLAIMED = "claimed"  # a worker retrains, under a lease
    DONE = "done"  # there is a candidate
    NOTHING = "nothing"  # there was nothing new to learn
    FAILED = "failed"


_OPEN = (FiringState.ASKED, FiringState.CLAIMED)


@dataclass(frozen=True, slots=True)
class Firing:
    """One occasion to retrain; there is one row of it, whoever saw it first."""

    id: int
    dataset: str  # name
    trigger: str  # "votes", "schedule", "accuracy_fall", "drift" or "hand"
    key: str  # what makes this occasion different from the trigger's others
    state: FiringState
    detail: Mapping[str, Any] = field(hash=False)  # worker, attempt, lease_until, upto; then what came of it
    at: datetime  # UTC, when it was claimed first

    @property
    def message(self) -> str:
        """What came of it, or why, in words."""
        return str(self.detail.get("message", ""))


def lock_dataset(connection: sa.Connection, name: str) -> bool:
    """Lets one transaction at a time look at the dataset's conditions; False where there is no such dataset.

    Votes and versions are not kept waiting. On SQLite the write transaction is the lock.
    """
    query = sa.select(dataset_table.c.name).where(dataset_table.c.name == name)
    return connection.execute(query.with_for_update(key_share=True)).scalar() is not None


def fire(
    database: Database,
    connection: sa.Connection,
    dataset: str,
    trigger: str,
    key: str,
    *,
    worker: str,
    lease: float,
    detail: Mapping[str, Any],
) -> Firing | None:
    """Claims the occasion for the worker; None where it has fired before, for whomever.

    Args:
        worker: a name that nobody else has.
        lease: seconds until others may take over, unless ``renew`` is called before.
        detail: what is known of the occasion; ``upto`` is the newest vote that counted.
    """
    mark = uuid.uuid4().hex  # tells this very insert from an earlier one, also of the same worker
    claimed = {**detail, **_claim(connection, worker, lease, attempt=1), "mark": mark}
    found = _insert(database, connection, dataset, trigger, key, FiringState.CLAIMED, claimed)
    return found if found.detail.get("mark") == mark else None


def arm(
    database: Database, connection: sa.Connection, dataset: str, trigger: str, key: str, detail: Mapping[str, Any]
) -> Firing:
    """Notes that a condition is watched from now on, once."""
    return _insert(database, connection, dataset, trigger, key, FiringState.ARMED, detail)


def ask(database: Database, connection: sa.Connection, dataset: str, detail: Mapping[str, Any]) -> Firing:
    """Leaves a retraining to whoever watches next. The caller holds the lock of the dataset.

    Raises:
        ConcurrencyError: somebody has asked for one, or retrains already.
    """
    if open_firings(connection, dataset):
        raise ConcurrencyError(f"{dataset} is being retrained already, or somebody has just asked for it")
    return _insert(database, connection, dataset, HAND, uuid.uuid4().hex, FiringState.ASKED, detail)


def open_firings(connection: sa.Connection, dataset: str | None = None) -> list[Firing]:
    """Those that were asked for or are under a lease, dead or alive, oldest first; of all datasets where None."""
    query = sa.select(firing).where(firing.c.state.in_(_OPEN))
    if dataset is not None:
        query = query.where(firing.c.dataset == dataset)
    return [_firing(row) for row in connection.execute(query.order_by(firing.c.id))]


def take_over(connection: sa.Connection, dataset: str, worker: str, lease: float) -> list[Firing]:
    """Gives the worker what people have asked for, and what was left by workers that have been silent for too long.

    Hopeless ones fail.
    """
    now = now_of(connection)
    query = sa.select(firing).where(firing.c.dataset == dataset, firing.c.state.in_(_OPEN))
    taken = []
    for row in connection.execute(query.order_by(firing.c.id).with_for_update(skip_locked=True)).all():
        if row.state == FiringState.CLAIMED and datetime.fromisoformat(row.detail["lease_until"]) >= now:
            continue
        attempt = int(row.detail.get("attempt", 0)) + 1
        if attempt > MAX_ATTEMPTS:
            message = f"given up: {MAX_ATTEMPTS} workers died over it; `pellucid retrain {dataset}` tries again"
            _write(connection, row.id, FiringState.FAILED, {**row.detail, "message": message})
        else:
            detail = {**row.detail, **_claim(connection, worker, lease, attempt=attempt)}
            taken.append(_write(connection, row.id, FiringState.CLAIMED, detail))
    return taken


def renew(connection: sa.Connection, mine: Firing, lease: float, message: str) -> bool:
    """Renews the lease and says what is being done; False where the firing is no longer the worker's."""
    held = _held(connection, mine)
    if held is None:
        return False
    until = (now_of(connection) + timedelta(seconds=lease)).isoformat()
    _write(connection, mine.id, FiringState.CLAIMED, {**held, "lease_until": until, "message": message})
    return True


def note(connection: sa.Connection, mine: Firing, **detail: Any) -> Firing:
    """Keeps what is known so far, for whoever may have to take over.

    Raises:
        ConcurrencyError: the firing was taken over.
    """
    return _write(connection, mine.id, FiringState.CLAIMED, {**_mine(connection, mine), **detail})


def end(connection: sa.Connection, mine: Firing, state: FiringState, **detail: Any) -> Firing:
    """Records how it ended.

    Raises:
        ConcurrencyError: the firing was taken over; the outcome is the other worker's to tell.
    """
    return _write(connection, mine.id, state, {**_mine(connection, mine), **detail})


def give_back(connection: sa.Connection, mine: Firing) -> None:
    """Lets the next worker take over at once, as one does that was asked to stop; the attempt does not count."""
    held = _held(connection, mine)
    if held is not None:
        past = (now_of(connection) - timedelta(seconds=1)).isoformat()
        changed = {**held, "lease_until": past, "attempt": int(held["attempt"]) - 1, "message": "given back"}
        _write(connection, mine.id, FiringState.CLAIMED, changed)


def firings_of(connection: sa.Connection, dataset: str) -> list[Firing]:
    """The dataset's firings, oldest first."""
    query = sa.select(firing).where(firing.c.dataset == dataset)
    return [_firing(row) for row in connection.execute(query.order_by(firing.c.id))]


def _claim(connection: sa.Connection, worker: str, lease: float, *, attempt: int) -> dict[str, Any]:
    until = now_of(connection) + timedelta(seconds=lease)
    return {"worker": worker, "attempt": attempt, "lease_until": until.isoformat()}


def _insert(
    database: Database,
    connection: sa.Connection,
    dataset: str,
    trigger: str,
    key: str,
    state: FiringState,
    detail: Mapping[str, Any],
) -> Firing:
    row = {"dataset": dataset, "trigger": trigger, "key": key, "state": state, "detail": dict(detail)}
    database.insert_new(connection, firing, [{**row, "at": now_of(connection)}])
    same = sa.and_(firing.c.dataset == dataset, firing.c.trigger == trigger, firing.c.key == key)
    return _firing(connection.execute(sa.select(firing).where(same)).one())


def _held(connection: sa.Connection, mine: Firing) -> dict[str, Any] | None:
    row = connection.execute(sa.select(firing).where(firing.c.id == mine.id).with_for_update()).one()
    same = all(row.detail.get(name) == mine.detail.get(name) for name in ("worker", "attempt"))
    return dict(row.detail) if same and row.state == FiringState.CLAIMED else None


def _mine(connection: sa.Connection, mine: Firing) -> dict[str, Any]:
    held = _held(connection, mine)
    if held is None:
        raise ConcurrencyError(f"the retraining of {mine.dataset} was taken over; this worker's result is dropped")
    return held


def _write(connection: sa.Connection, key: int, state: FiringState, detail: Mapping[str, Any]) -> Firing:
    values = {"state": state, "detail": dict(detail)}
    connection.execute(sa.update(firing).where(firing.c.id == key).values(**values))
    return _firing(connection.execute(sa.select(firing).where(firing.c.id == key)).one())


def _firing(row: Any) -> Firing:
    return Firing(row.id, row.dataset, row.trigger, row.key, FiringState(row.state), row.detail, row.at)
