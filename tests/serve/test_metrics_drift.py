"""Drift on the metrics' page: told once there is enough to tell it from, and looked at again only for something new."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from pellucid import Project
from pellucid.flow.online.drift_stream import follow_stream
from pellucid.serve.metrics_drift import DriftCollector
from pellucid.store.schema import prediction

from ..conftest import until
from .conftest import Picture, Ready, Served, good
from .test_metrics_records import samples


def test_drift_is_told_once_enough_was_answered(ready_project: Project, picture: Picture) -> None:
    with Served(ready_project) as served:
        page = good(served.ask("GET", "/metrics")).text
        assert "pellucid_drift" not in page, "nothing was answered yet"
        for number in range(60):
            served.predict(picture("cat", 500 + number))
        drift = DriftCollector(served.service, every=0.0)
        found = until(lambda: samples(drift))
        last = drift.cached.get()
        assert last is not None
        assert {key[1] for key in found if key[0] == "pellucid_drift_effect_ratio"} == {
            "features", "confidence", "classes",
        }  # fmt: skip
        assert found["pellucid_drift_images", "current"] == 60
        assert found["pellucid_drift_detected", "classes"] == 1, "cats only, and it was tested on cats and dogs"
        for number in range(5):
            served.predict(picture("cat", 700 + number))
        again = until(lambda: (seen := drift.cached.get()) is not None and seen.at > last.at and seen)
        assert again.value is last.value, "five answers are nothing new"
        drift.cached.close()
        assert "pellucid_drift_stream_alarms" not in {name for name, *_ in found}, "no detector is named"


def test_the_stream_s_detector_tells_its_alarms(
    make_project: Callable[..., Project], ready: Ready, picture: Picture
) -> None:
    table = {"stream": "page-hinkley", "settings": {"threshold": 0.5, "min_instances": 5}}
    project = make_project(of=ready.folder, drift=table)
    with Served(project) as served:
        for number in range(20):
            served.predict(picture("cat", 500 + number))
        drift = DriftCollector(served.service, every=0.0)
        found = until(lambda: samples(drift))
        assert found["pellucid_drift_stream_alarms", "page-hinkley"] == 0
        assert found[("pellucid_drift_stream_answers",)] == 20
        drift.cached.close()
        with project.workspace.database.write() as connection:
            connection.execute(sa.update(prediction).where(prediction.c.id > 10).values(confidence=0.01))
        again = DriftCollector(served.service, every=0.0)
        found = until(lambda: samples(again))
        again.cached.close()
        assert found["pellucid_drift_stream_alarms", "page-hinkley"] >= 1
        stream = follow_stream(project.workspace, "pets")
        assert stream is not None
        last = found[("pellucid_drift_stream_last_alarm_timestamp_seconds",)]
        assert last == stream.alarms[-1].at.timestamp()
