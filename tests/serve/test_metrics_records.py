"""What the database tells: right while it is up, absent while it is down, and never in the way of the page."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pellucid import Project
from pellucid.errors import StorageError
from pellucid.serve.metrics_disk import DiskCollector, folders_of
from pellucid.serve.metrics_records import RecordsCollector, StreamCollector
from pellucid.store.database import Database
from pellucid.store.events import NewEvent, append_events
from pellucid.store.firings import FiringState, end, fire
from pellucid.store.offsets import advance
from pellucid.store.verdicts import add_verdict

from ..conftest import PATIENCE, until
from .conftest import Picture, Served, good


def samples(collector: Any) -> dict[tuple[str, ...], float]:
    """Values by name and labels' values."""
    return {(item.name, *item.labels.values()): item.value for family in collector.collect() for item in family.samples}


def steer(project: Project) -> None:
    """One of everything that the loop leaves behind."""
    database = project.workspace.database
    with database.write() as connection:
        for candidate, passed in ((1, True), (2, False), (2, False)):
            add_verdict(connection, "pets", candidate, 1, passed=passed, figures={}, actor="test")
        fired = fire(database, connection, "pets", "votes", "a", worker="w", lease=60.0, detail={})
        assert fired is not None
        end(connection, fired, FiringState.NOTHING)
        fire(database, connection, "pets", "votes", "b", worker="w", lease=60.0, detail={})
        append_events(connection, "images", [NewEvent((), b"x")] * 5)
        advance(connection, "predict", "images", 0, 4)


def test_what_the_loop_left_behind_is_told(ready_project: Project, picture: Picture) -> None:
    steer(ready_project)
    with Served(ready_project) as served:
        answer = served.predict(picture("cat", 77))
        served.post("/feedback", {"prediction": answer["id"], "label": answer["label"]})
        found = samples(RecordsCollector(served.service)) | samples(StreamCollector(ready_project.workspace))
    assert found["pellucid_database_up",] == 1
    assert found["pellucid_database_size_bytes",] > 100_000
    assert found["pellucid_training_jobs", "done"] == 2
    assert found["pellucid_training_jobs", "failed"] == 0
    assert found["pellucid_training_last_seconds",] > 0
    assert found["pellucid_retraining_firings", "claimed"] == found["pellucid_retraining_firings", "nothing"] == 1
    assert found["pellucid_gate_verdicts_total", "passed"] == 1
    assert found["pellucid_gate_verdicts_total", "refused"] == 2
    assert found["pellucid_gate_refused_in_row",] == 1, "one candidate, however often it was judged"
    assert found["pellucid_champion_changes_total",] == 1
    assert found["pellucid_dataset_images", "train"] == 18
    assert found["pellucid_review_images", "conflict"] == found["pellucid_review_images", "suspect"] == 0
    assert found["pellucid_recent_agreement_ratio",] == found["pellucid_recent_agreement_labels",] == 1
    assert 0 < found["pellucid_recent_trust_ratio",] <= 1
    assert found["pellucid_stream_offset_messages", "predict", "images"] == 4
    assert found["pellucid_stream_lag_messages", "predict", "images"] == 2
    assert found["pellucid_stream_set_aside_messages", "predict"] == 0


def test_a_project_without_a_champion_tells_what_there_is(project: Project) -> None:
    with Served(project) as served:
        found = samples(RecordsCollector(served.service))
        page = good(served.ask("GET", "/metrics")).text
    assert found["pellucid_database_up",] == 1
    assert found["pellucid_training_jobs", "done"] == 0
    assert not [key for key in found if key[0].startswith(("pellucid_gate", "pellucid_dataset"))]
    assert "pellucid_ready 0.0" in page


def test_a_database_that_is_down_shows_and_breaks_nothing_else(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Database) -> Any:
        raise StorageError("the database is away")

    collector = RecordsCollector(served.service, every=0.0)
    assert until(lambda: samples(collector)["pellucid_database_up",] == 1)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "read", refuse)
        assert until(lambda: samples(collector) == {("pellucid_database_up",): 0.0}), "nothing old is told as new"
        page = good(served.ask("GET", "/metrics")).text
        assert {"pellucid_queue_images", "pellucid_disk_free_bytes"} <= {
            family.name for family in text_string_to_metric_families(page)
        }
    assert until(lambda: samples(collector)["pellucid_database_up",] == 1)
    collector.cached.close(PATIENCE)


def test_a_broker_that_is_away_shows(ready_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    steer(ready_project)
    stream = StreamCollector(ready_project.workspace, every=0.0)
    assert until(lambda: samples(stream).get(("pellucid_stream_up",)) == 1)

    def away(*given: Any) -> int:
        raise StorageError("the broker does not answer")

    monkeypatch.setattr("pellucid.stream.embedded.EmbeddedTransport.lag", away)
    assert until(lambda: samples(stream) == {("pellucid_stream_up",): 0.0})
    stream.close()


def test_the_disks_of_all_folders_on_this_machine_are_told(ready_project: Project) -> None:
    found = samples(DiskCollector(ready_project.workspace))
    folders = set(folders_of(ready_project.workspace))
    assert folders == {"project", "cache", "reports", "blobs", "artifacts", "database"}
    for name in folders:
        assert 0 < found["pellucid_disk_free_bytes", name] <= found["pellucid_disk_size_bytes", name]
