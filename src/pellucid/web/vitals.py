"""Vitals: everything that tells whether a project is well, read once for all who look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from pellucid.drift.watching import DriftReport
from pellucid.errors import ConfigError, DataError, MissingExtraError, NotFoundError, PellucidError
from pellucid.flow.online.drift_stream import StreamDrift, follow_stream
from pellucid.flow.production.accuracy import LiveAccuracy, live_accuracy
from pellucid.flow.production.drift import find_drift
from pellucid.flow.production.health import Health, look
from pellucid.flow.production.pending import Labels, label_trust, refused_candidates
from pellucid.flow.workspace import Workspace
from pellucid.serve.pulse import Beat
from pellucid.serve.service import Readiness
from pellucid.store.traffic import votes_since
from pellucid.stream.lag import read_lag
from pellucid.stream.standing import Standing
from pellucid.web.desk import Desk
from pellucid.web.formats import many
from pellucid.web.view import said_of

T = TypeVar("T")

LATELY = 300.0  # seconds of requests that are told of
_LIVE, _SLOW = 5.0, 60.0  # seconds for which a value is shown


@dataclass(frozen=True, slots=True)
class Vitals:
    """How a project does; None is what is not known yet, or what there is none of."""

    at: datetime  # UTC
    name: str | None  # of the dataset whose champion answers
    readiness: Readiness
    beat: Beat | None  # of the last minutes
    health: Health | None
    accuracy: LiveAccuracy | None
    labels: Labels | None
    refused: tuple[str, ...]  # candidates
    votes: tuple[int, int]  # said today (UTC), and by how many
    drift: DriftReport | str | None  # or why nobody can tell
    stream: tuple[tuple[Standing, ...], int] | None
    troubles: dict[str, str] = field(hash=False)  # by part, why it could not be read


def still_to_do(item: Standing) -> str:
    """What whoever stands there in the stream has still to do with what waits."""
    return "send" if item.role == "publisher" else "read"


def behind_in_words(item: Standing) -> str:
    """Who has how much still to do."""
    return f"{item.name or 'nobody'} has {many(item.lag, 'event')} of {item.topic} still to {still_to_do(item)}"


async def take_vitals(desk: Desk) -> Vitals:
    """All of it, each as fresh as it is cheap; what takes longer than a second comes the next time."""
    readiness = desk.doors.service.readiness
    name = None if readiness.model is None else readiness.model.rpartition("@")[0]
    troubles: dict[str, str] = {}

    async def careful(part: str, work: Awaitable[T | None]) -> T | None:
        try:
            return await work
        except PellucidError as error:
            troubles[part] = said_of(error)
            return None

    async def none() -> None:
        return None

    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    drift = asyncio.create_task(_drift(desk))
    health, stream = await asyncio.gather(
        careful("database", desk.glimpse(look, seconds=_LIVE)),
        careful("stream", desk.glimpse(read_lag, seconds=2 * _LIVE, slow=True)),
    )
    accuracy, labels, refused, votes = await asyncio.gather(
        careful("accuracy", desk.glimpse(live_accuracy, name, seconds=_LIVE) if name else none()),
        careful("labels", desk.glimpse(label_trust, name, seconds=_LIVE) if name else none()),
        careful("gate", desk.glimpse(refused_candidates, name, seconds=_LIVE) if name else none()),
        careful("votes", desk.glimpse(_votes, name, today, seconds=_LIVE) if name else none()),
    )
    return Vitals(
        at=datetime.now(UTC),
        name=name,
        readiness=readiness,
        beat=desk.doors.pulse.lately(LATELY),
        health=health,
        accuracy=accuracy,
        labels=labels,
        refused=tuple(refused or ()),
        votes=votes or (0, 0),
        drift=await drift,
        stream=stream,
        troubles=troubles,
    )


async def look_for_drift(desk: Desk) -> DriftReport | str | None:
    """What the champion's newest answers say, looked at once a minute at most; or why nobody can tell."""
    model = desk.doors.service.readiness.model
    if model is None:
        return None
    return await desk.glimpse(latest_drift, model, seconds=_SLOW, slow=True)


async def _drift(desk: Desk) -> DriftReport | str | None:
    try:
        return await look_for_drift(desk)
    except PellucidError as error:
        return said_of(error)


def latest_drift(workspace: Workspace, model: str) -> DriftReport | str:
    """The drift of the champion's answers, or why it cannot be told."""
    try:
        return find_drift(workspace, model.rpartition("@")[0])
    except (DataError, NotFoundError) as error:
        return str(error)


async def look_for_alarms(desk: Desk) -> StreamDrift | str | None:
    """What the detector of [drift] says of the newest answers, as `look_for_drift`; None where none is named."""
    model = desk.doors.service.readiness.model
    if model is None:
        return None
    return await desk.glimpse(latest_alarms, model, seconds=_SLOW, slow=True)


def latest_alarms(workspace: Workspace, model: str) -> StreamDrift | str | None:
    """What the detector says of the champion's newest answers, or why it cannot."""
    try:
        return follow_stream(workspace, model.rpartition("@")[0])
    except (ConfigError, MissingExtraError, NotFoundError) as error:
        return str(error)


def _votes(workspace: Workspace, name: str, since: datetime) -> tuple[int, int]:
    with workspace.database.read() as connection:
        return votes_since(connection, name, since)
