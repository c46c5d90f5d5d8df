"""Triggers: what pellucid.toml's [retrain] waits for, and which of it has come true; each occasion fires once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from croniter import croniter

from pellucid.config import Settings
from pellucid.errors import ConfigError, NotFoundError
from pellucid.evaluate.intervals import wilson
from pellucid.flow.training.grid import DEFAULT_MODEL
from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import CHAMPION, alias_state, history_of
from pellucid.store.database import now_of
from pellucid.store.datasets import get_version, latest_version
from pellucid.store.firings import Firing, FiringState, arm, fire, firings_of, lock_dataset, open_firings, take_over
from pellucid.store.models import get_model, list_models
from pellucid.store.votes import agreements, count_votes, newest_vote, vote_before

VOTES, SCHEDULE, ACCURACY, DRIFT = "votes", "schedule", "accuracy_fall", "drift"
MIN_ANSWERS = 30  # voted answers below which nobody can tell whether accuracy has fallen
RECENT_ANSWERS = 200  # the newest voted answers, which tell how accurate the champion is now

Drifted = Callable[[Workspace, str], str | None]  # dataset -> a name of the alarm that stands, or None


@dataclass(frozen=True, slots=True)
class Plan:
    """When to retrain a dataset, what to train, and whether to promote."""

    dataset: str  # name
    votes: int | None = None  # so many new votes since the last retraining
    schedule: str | None = None  # cron, UTC
    accuracy_fall: float | None = None  # points
    drift: bool = False
    models: tuple[str, ...] = (DEFAULT_MODEL,)  # head specifications
    settings: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # values by setting
    clean: bool = True  # audit first
    replay: float = 0.0  # 0..1, share of the old images that replaying candidates keep; 0 for no such candidates
    promote: str = "never"  # or "gate"


_KINDS: Mapping[str, tuple[type, ...]] = {
    "dataset": (str,),
    "votes": (int,),
    "schedule": (str,),
    "accuracy_fall": (int, float),
    "drift": (bool,),
    "models": (list,),
    "settings": (dict,),
    "clean": (bool,),
    "replay": (int, float),
    "promote": (str,),
}


def plan_of(settings: Settings, dataset: str | None = None) -> Plan | None:
    """The plan in pellucid.toml's [retrain], or None where there is none.

    Args:
        dataset: a dataset that is retrained by hand: gets the table's models and settings, or else the defaults.

    Raises:
        ConfigError: a key is unknown, or a value cannot be used.
    """
    table = dict(settings.retrain)
    if not table and dataset is None:
        return None
    for key, value in table.items():
        if key not in _KINDS:
            raise ConfigError(f"[retrain] has an unknown key '{key}'; known are: {', '.join(_KINDS)}")
        if not isinstance(value, _KINDS[key]) or (isinstance(value, bool) and bool not in _KINDS[key]):
            raise ConfigError(f"[retrain] {key} is {value!r}; wanted is a {_KINDS[key][-1].__name__}")
    _refuse(table, "votes", lambda value: value >= 1, "a whole number of votes, at least 1")
    _refuse(table, "accuracy_fall", lambda value: 0 < value < 100, "points, above 0 and below 100")
    _refuse(table, "replay", lambda value: 0 <= value <= 1, "a share from 0 to 1")
    _refuse(table, "promote", lambda value: value in {"gate", "never"}, '"gate" or "never"')
    _refuse(table, "schedule", _is_cron, 'five fields of cron, as in "0 3 * * *"')
    _refuse(table, "models", lambda value: value and all(isinstance(item, str) for item in value), "a list of models")
    if dataset is not None:
        table["dataset"] = dataset
    elif "dataset" not in table:
        raise ConfigError('[retrain] names no dataset; wanted is dataset = "NAME"')
    if "models" in table:
        table["models"] = tuple(table["models"])
    values = {key: value if isinstance(value, list) else [value] for key, value in table.get("settings", {}).items()}
    return Plan(**{**table, "settings": values})


def due(
    workspace: Workspace, now: datetime | None = None, *, worker: str, drift: Drifted | None = None
) -> list[Firing]:
    """Claims, for the worker, what has come true, what people have asked for and what a dead worker has left behind.

    What people have asked for is done for every dataset, whether or not [retrain] names it.

    Every occasion has a key of its own, and the database holds one row a key: it fires once, however many workers look,
    whatever is restarted, and whichever way a clock jumps.

    - *votes*: as many new votes as asked for since the last firing, whatever its trigger, or since the newest model's
      dataset version where nothing has fired yet.
    - *schedule*: the newest time that has come; several that were missed are caught up on once. Times before the
      schedule was first seen do not count.
    - *accuracy_fall*: the share of the champion's answers that people confirmed lies, with its whole 95 % interval, so
      many points below the champion's test accuracy; at most once for a champion's reign.
    - *drift*: an alarm that has not fired yet.

    Args:
        now: UTC; the database's clock where None.
        worker: a name that nobody else has.
        drift: tells whether an alarm of the drift detectors stands, where [retrain] asks for it.

    Raises:
        ConfigError: [retrain] cannot be used.
    """
    plan = plan_of(workspace.settings)
    lease = workspace.settings.lease_seconds
    with workspace.database.read() as connection:
        left = sorted({item.dataset for item in open_firings(connection)} - {plan.dataset if plan else ""})
        here = plan is not None and latest_version(connection, plan.dataset) is not None  # it may come later
    taken = []
    for name in left:
        with workspace.database.write() as connection:
            taken += take_over(connection, name, worker, lease)
    return taken + _came_true(workspace, plan, now, worker, drift) if plan is not None and here else taken


def _came_true(
    workspace: Workspace, plan: Plan, now: datetime | None, worker: str, drift: Drifted | None
) -> list[Firing]:
    """What [retrain] has waited for, claimed."""
    lease = workspace.settings.lease_seconds
    alarm = drift(workspace, plan.dataset) if plan.drift and drift is not None else None
    with workspace.database.write() as connection:
        lock_dataset(connection, plan.dataset)
        if plan.schedule is not None:
            _arm(workspace, connection, plan, now)
        claimed = take_over(connection, plan.dataset, worker, lease)
        for trigger, key, why in _occasions(connection, plan, now or now_of(connection), alarm):
            detail = {"why": why, "upto": newest_vote(connection, plan.dataset)}
            found = fire(
                workspace.database, connection, plan.dataset, trigger, key, worker=worker, lease=lease, detail=detail
            )
            if found is not None:
                claimed.append(found)
    return claimed


def new_votes(connection: sa.Connection, dataset: str, *, failed: bool = True) -> tuple[int, int]:
    """How many votes are new since the last retraining, and the vote after which they were said.

    Before the first one, since the newest version that a model has learnt was made.

    Args:
        failed: whether one that failed counts, as for a trigger, which is not to fire again and again.
    """
    counted = [item for item in firings_of(connection, dataset) if failed or item.state is not FiringState.FAILED]
    base = [int(item.detail["upto"]) for item in counted if "upto" in item.detail]
    if not base:
        learnt = [get_version(connection, ref) for ref in {item.dataset for item in list_models(connection, dataset)}]
        base = [vote_before(connection, dataset, version.created_at) for version in learnt]
    after = max(base, default=0)
    return count_votes(connection, dataset, after), after


def _occasions(
    connection: sa.Connection, plan: Plan, now: datetime, alarm: str | None
) -> Iterator[tuple[str, str, str]]:
    """Trigger, key and reason of each condition that is true and has not fired."""
    fired = {(item.trigger, item.key) for item in firings_of(connection, plan.dataset)}
    for trigger, key, why in _true(connection, plan, now, alarm):
        if (trigger, key) not in fired:
            yield trigger, key, why


def _true(connection: sa.Connection, plan: Plan, now: datetime, alarm: str | None) -> Iterator[tuple[str, str, str]]:
    if plan.votes is not None:
        count, after = new_votes(connection, plan.dataset)
        if count >= plan.votes:
            yield VOTES, f"after {after}", f"{count} new votes"
    if plan.schedule is not None:
        came = _last_time(plan.schedule, now)
        armed = [
            datetime.fromisoformat(item.detail["since"])
            for item in firings_of(connection, plan.dataset)
            if item.state is FiringState.ARMED and item.key == _armed_key(plan.schedule)
        ]
        if armed and came > armed[0]:
            yield SCHEDULE, came.isoformat(), f"the schedule {plan.schedule!r} at {came:%Y-%m-%d %H:%M} UTC"
    if plan.accuracy_fall is not None:
        yield from _fall(connection, plan.dataset, plan.accuracy_fall)
    if alarm is not None:
        yield DRIFT, alarm[:128], f"drift: {alarm}"


def _fall(connection: sa.Connection, dataset: str, points: float) -> Iterator[tuple[str, str, str]]:
    state = alias_state(connection, dataset, CHAMPION)
    if state.version is None:
        return
    model = get_model(connection, f"{dataset}@{state.version}")
    history = history_of(connection, dataset)
    since = next(item.at for item in history if (item.alias, item.revision) == (CHAMPION, state.revision))
    answers = agreements(connection, dataset, state.version, since, RECENT_ANSWERS)
    if len(answers) < MIN_ANSWERS:
        return
    share = wilson(sum(answers), len(answers))
    if share.high < model.metrics["accuracy"] - points / 100:
        why = (
            f"{share.value:.1%} of {len(answers)} recent answers of {model.ref} were confirmed (95 % interval "
            f"{share.low:.1%} to {share.high:.1%}), against a test accuracy of {model.metrics['accuracy']:.1%}"
        )
        yield ACCURACY, f"{model.ref} as champion {state.revision}", why


def _arm(workspace: Workspace, connection: sa.Connection, plan: Plan, now: datetime | None) -> None:
    detail = {"since": (now or now_of(connection)).isoformat(), "message": "watched from here on"}
    arm(workspace.database, connection, plan.dataset, SCHEDULE, _armed_key(str(plan.schedule)), detail)


def _armed_key(schedule: str) -> str:
    return f"armed {schedule}"


def _last_time(schedule: str, now: datetime) -> datetime:
    """The newest time of the schedule that is not after ``now``."""
    instant = now.astimezone(UTC)
    if croniter.match(schedule, instant) and instant.second == instant.microsecond == 0:
        return instant
    found: datetime = croniter(schedule, instant).get_prev(datetime)
    return found


def _is_cron(text: str) -> bool:
    return len(text.split()) == 5 and len(_armed_key(text)) <= 128 and bool(croniter.is_valid(text))


def _refuse(table: Mapping[str, Any], key: str, good: Callable[[Any], object], wanted: str) -> None:
    value = table.get(key)
    if value is not None and not (good(value) and (not isinstance(value, float) or math.isfinite(value))):
        raise ConfigError(f"[retrain] {key} is {value!r}; wanted is {wanted}")


def check_dataset(connection: sa.Connection, dataset: str) -> None:
    """Refuses the name of a dataset that is not there, or a version's.

    Raises:
        NotFoundError: there is no such dataset.
    """
    if get_version(connection, dataset).dataset != dataset:
        raise NotFoundError(f"{dataset!r} names a version; a retraining takes the newest one: name the dataset alone")
