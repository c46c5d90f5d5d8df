"""The sentence at the head of Overview and Monitor."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pellucid.drift.watching import DriftReport
from pellucid.drift.window import Shift
from pellucid.flow.online.drift_stream import Alarm, StreamDrift
from pellucid.flow.production.health import Health
from pellucid.serve.service import Readiness
from pellucid.store.leases import Queue
from pellucid.stream.standing import Standing
from pellucid.web.summary import FAR_BEHIND, sum_up
from pellucid.web.vitals import Vitals

AT = datetime(2026, 3, 4, tzinfo=UTC)
IDLE = Queue(queued=0, oldest=None, running=0, failed=0)
HEALTH = Health("SQLite", 0.001, (), IDLE, ())
WELL = Vitals(
    at=AT, name="pets", readiness=Readiness(ready=True, model="pets@1", ledger=0, reasons=()), beat=None,
    health=HEALTH, accuracy=None, labels=None, refused=(), votes=(0, 0),
    drift="too few answers", stream=None, troubles={},
)  # fmt: skip


def said(**changes: Any) -> list[str]:
    return [item.words for item in sum_up(replace(WELL, **changes)).concerns]


def test_all_is_well() -> None:
    found = sum_up(WELL)
    assert found.concerns == ()
    assert found.words.startswith("All is well: model pets@1 answers; whether")


def test_a_project_without_a_model_says_so() -> None:
    nobody = Readiness(ready=False, model=None, ledger=0, reasons=("no champion",))
    assert sum_up(replace(WELL, name=None, readiness=nobody)).words == "No model answers yet."


def test_what_wants_a_look_is_counted_and_named() -> None:
    queue = Queue(queued=3, oldest=timedelta(minutes=9), running=0, failed=1)
    lag = Standing("images", "line 1", "consumer", FAR_BEHIND, 0)
    near = Standing("feedback", "line 1", "consumer", FAR_BEHIND - 1, 0)
    found = sum_up(replace(WELL, health=replace(HEALTH, queue=queue), stream=((lag, near), 0), refused=("pets@2",)))
    assert found.words == "4 things want a look:"
    assert [item.link for item in found.concerns] == ["/training", "/training", "/monitor", "/models"]
    assert found.concerns[0].words.startswith("nobody works: 3 jobs wait and nobody is at work")
    assert found.concerns[2].words == "line 1 has 100 events of images still to read"


def test_an_old_alarm_is_history() -> None:
    calls = [Alarm("a", AT - timedelta(days=3), 10), Alarm("b", AT - timedelta(hours=3), 20)]
    old, new = (StreamDrift("pets@1", "page-hinkley", 200, tuple(calls[:count])) for count in (1, 2))
    assert sum_up(WELL, old).concerns == ()
    assert sum_up(WELL, new).words == "1 thing wants a look:"


def test_drift_and_a_database_that_is_away_are_named() -> None:
    away = {"database": "away", "labels": "away", "stream": "no broker"}
    assert said(troubles=away, health=None) == [
        "the database cannot be read (away)",
        "the stream cannot be read (no broker)",
    ]
    moved = Shift(1.0, 0.0, 0.4, 0.05, 0.1, drifted=True, direction="lower", detail="", moved=())
    report = DriftReport(100, 100, 0.05, {"confidence": moved}, ())
    (words,) = said(drift=report)
    assert words.endswith("drift in confidence")
    calm = replace(report, shifts={"confidence": replace(moved, drifted=False)})
    assert sum_up(replace(WELL, drift=calm)).words.endswith("is like what it was tested on.")
