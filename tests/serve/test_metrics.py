"""What Prometheus reads: its own parser understands it, it counts what happened, and no client makes it grow."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

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
    heard = served.post("/feedback", {"prediction": answer["id"], "label": "dog"})
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
    assert value(found, "pellucid_batches_total") == value(found, "pellucid_batch_images_total") == 1
    assert value(found, "pellucid_queue_images") == 0


def test_what_is_said_again_under_the_same_id_is_counted_once(served: Served, picture: Picture) -> None:
    answer = served.predict(picture("cat", 78))
    said = {"prediction": answer["id"], "label": "dog", "id": "phone-1"}
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
    assert len(found) >= 12
    for name, family in found.items():
        assert name.startswith("pellucid_")
        assert family.documentation
        assert family.type in {"counter", "gauge", "histogram"}
        assert not [item.name for item in family.samples if item.name.endswith("_created")]


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
