"""Drift on the metrics' page: told once there is enough to tell it from, and looked at again only for something new."""

from __future__ import annotations

from pellucid import Project
from pellucid.serve.metrics_drift import DriftCollector

from ..conftest import until
from .conftest import Picture, Served, good
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
