"""What Prometheus reads: its own parser understands it, it counts what happened, and no client makes it grow."""

from __future__ import annotations

import base64
import shutil
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pellucid import Project
from pellucid.serve.metrics import MOST_CLASSES, OTHER, Metrics
from pellucid.serve.service import Service
from pellucid.types import Answer

from .conftest import Picture, Served, good


def families(served: Served) -> dict[str, Any]:
    answer = good(served.ask("GET", "/metrics"))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value(found: dict[str, Any], sample: str, **labels: str) -> float:
    (only,) = (
        item.value
        for family in found.values()
        for item in family.samples
        if item.name == sample and item.labels == labels
    )
    return float(only)


def test_it_counts_what_happened(served: Served, picture: Picture) -> None:
    answer = served.predict(picture("cat", 77))
    heard = served.post("/feedback", {"prediction": answer["id"], "label": "cat"})
    served.ask("POST", "/predict", content=b"x", headers={"content-type": "image/png"})
    found = families(served)
    assert value(found, "pellucid_http_requests_total", route="/predict", status="200") == 1
    assert value(found, "pellucid_http_requests_total", route="/predict", status="415") == 1
    assert value(found, "pellucid_http_request_seconds_count", route="/predict") == 2
    assert value(found, "pellucid_feedback_total", action="learnt") == 1
    assert value(found, "pellucid_feedback_trust_ratio_sum") == heard["trust"]
    assert value(found, "pellucid_prediction_confidence_ratio_count") == 1
    assert value(found, "pellucid_ready") == 1
    assert value(found, "pellucid_model_info", model="pets@1") == 1
    assert value(found, "pellucid_ledger_entries") == heard["ledger"]
    assert value(found, "pellucid_batch_images_count") == value(found, "pellucid_batch_images_sum") == 1
    assert value(found, "pellucid_batch_images_bucket", le="1.0") == 1
    assert value(found, "pellucid_predictions_total", **{"class": answer["label"]}) == 1
    assert value(found, "pellucid_prediction_novelty_ratio_count") == 1
    assert value(found, "pellucid_model_version") == 1
    assert value(found, "pellucid_database_up") == 1
    assert value(found, "pellucid_queue_images") == 0


def test_what_is_said_again_under_the_same_id_is_counted_once(served: Served, picture: Picture) -> None:
    answer = served.predict(picture("cat", 78))
    said = {"prediction": answer["id"], "label": "cat", "id": "phone-1"}
    first, *others = [served.post("/feedback", said) for _ in range(3)]
    assert others == [first, first]
    for _ in range(2):
        files = {"image": ("x.png", picture("cat", 79), "image/png")}
        good(served.ask("POST", "/samples", data={"label": "cat", "id": "phone-2"}, files=files))
    found = families(served)
    assert value(found, "pellucid_feedback_total", action="learnt") == 2
    assert value(found, "pellucid_feedback_trust_ratio_count") == 2
    assert served.service._heard == 2, "nor does it bring the next audit nearer"


def test_every_family_is_described_and_no_series_says_only_when_it_began(served: Served) -> None:
    served.get("/history")
    found = families(served)
    assert len(found) >= 40
    for name, family in found.items():
        assert name.startswith(("pellucid_", "process_"))
        assert family.documentation
        assert family.type in {"counter", "gauge", "histogram"}
        assert not [item.name for item in family.samples if item.name.endswith("_created")]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; the CI installs it")
def test_promtool_finds_nothing_to_mend(served: Served, picture: Picture) -> None:
    answer = served.predict(picture("cat", 77))
    served.post("/feedback", {"prediction": answer["id"], "label": "cat"})
    page = good(served.ask("GET", "/metrics")).content
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_every_protocols_answers_count(served: Served, picture: Picture) -> None:
    data = base64.b64encode(picture("dog", 3)).decode()
    served.post("/invocations", {"inputs": [data]})
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [data]}
    served.post("/v2/models/pets/infer", {"inputs": [tensor]})
    served.predict(picture("dog", 4))
    assert value(families(served), "pellucid_prediction_confidence_ratio_count") == 3


def test_only_so_many_classes_have_a_series(ready_project: Project) -> None:
    metrics = Metrics(Service(ready_project.workspace))
    for number in range(2 * MOST_CLASSES):
        for _ in range(2):
            metrics.note_answer(an_answer(f"class {number}"))
    page = text_string_to_metric_families(metrics.page().decode())
    (family,) = (family for family in page if family.name == "pellucid_predictions")
    assert len(family.samples) == MOST_CLASSES + 1
    assert {item.labels["class"]: item.value for item in family.samples}[OTHER] == 2 * MOST_CLASSES
    metrics.close()


def an_answer(label: str) -> Answer:
    return Answer(
        uid="0" * 32, sample="0" * 64, label=label, confidence=0.5, probabilities={label: 1.0}, likely=(label,),
        entropy=0.0, novelty=None, model="pets@1", ledger=0, at=datetime.now(UTC), actor="ann", name="",
    )  # fmt: skip


def test_no_client_makes_it_grow(served: Served, picture: Picture) -> None:
    def ask_all(turn: int) -> int:
        for path in (
            f"/nothing/{turn}",
            f"/predictions/{turn:032x}",
            f"/v2/models/x{turn}",
            f"/v2/models/{turn}/ready",
        ):
            assert served.ask("GET", path).status_code == 404
        served.ask(f"M{turn}", "/predict")
        served.ask("POST", "/predict", content=picture("cat", turn), headers={"content-type": "image/png"})
        return sum(len(family.samples) for family in families(served).values())

    ask_all(0)
    ask_all(1)
    size = ask_all(2)
    assert [ask_all(turn) for turn in range(3, 8)] == [size] * 5
    routes = {item.labels["route"] for item in families(served)["pellucid_http_requests"].samples}
    assert routes == {
        "none",
        "/predictions/{uid}",
        "/v2/models/{name}",
        "/v2/models/{name}/ready",
        "/predict",
        "/metrics",
    }
