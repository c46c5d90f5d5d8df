"""The Open Inference Protocol, as KServe's clients speak it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from .conftest import Picture, Served, good


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def body(*images: bytes, **more: Any) -> dict[str, Any]:
    shown = {"name": "image", "shape": [len(images)], "datatype": "BYTES", "data": [text(data) for data in images]}
    return {"inputs": [shown], **more}


def test_the_server_and_its_model_say_what_they_are(served: Served) -> None:
    assert served.get("/v2")["name"] == "pellucid"
    assert served.get("/v2/health/live") == {"live": True}
    assert served.get("/v2/health/ready") == {"ready": True}
    assert served.get("/v2/models/pets/ready") == {"name": "pets", "ready": True}
    assert served.get("/v2/models/pets/versions/1/ready") == {"name": "pets", "ready": True}
    about = served.get("/v2/models/pets")
    assert about == served.get("/v2/models/pets/versions/1")
    assert about["versions"] == ["1"]
    assert about["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert {output["name"]: output["shape"] for output in about["outputs"]} == {
        "label": [-1],
        "confidence": [-1],
        "probabilities": [-1, 2],
    }


@pytest.mark.parametrize("path", ["/v2/models/pets/infer", "/v2/models/pets/versions/1/infer"])
def test_an_inference_as_kserve_asks_for_it(served: Served, picture: Picture, path: str) -> None:
    images = [picture("cat", 70), picture("dog", 70), picture("cat", 71)]
    got = served.post(path, body(*images, id="42", parameters={"x": 1}))
    assert got["id"] == "42"
    assert (got["model_name"], got["model_version"]) == ("pets", "1")
    outputs = {item["name"]: item for item in got["outputs"]}
    assert list(outputs) == ["label", "confidence", "probabilities"]
    assert outputs["label"] == {"name": "label", "datatype": "BYTES", "shape": [3], "data": ["cat", "dog", "cat"]}
    assert outputs["probabilities"]["shape"] == [3, 2]
    assert got["parameters"]["classes"] == "cat,dog"
    own = [served.predict(data) for data in images]
    flat = [share for item in own for share in (item["probabilities"]["cat"], item["probabilities"]["dog"])]
    assert outputs["probabilities"]["data"] == pytest.approx(flat)
    assert outputs["confidence"]["data"] == pytest.approx([item["confidence"] for item in own])
    uid = got["parameters"]["predictions"].split(",")[1]
    assert served.post("/feedback", {"prediction": uid, "label": "dog"})["sample"] == own[1]["sample"]


def test_only_the_outputs_that_are_asked_for(served: Served, picture: Picture) -> None:
    got = served.post("/v2/models/pets/infer", body(picture("cat", 70), outputs=[{"name": "label"}]))
    assert [item["name"] for item in got["outputs"]] == ["label"]
    assert "id" not in got
    assert len(served.post("/v2/models/pets/infer", body(picture("cat", 70), outputs=[]))["outputs"]) == 3


@pytest.mark.parametrize("path", ["/v2/models/cats", "/v2/models/pets/versions/2", "/v2/models/pets/versions/one"])
def test_other_models_are_not_found(served: Served, path: str) -> None:
    answers = [served.ask("GET", path + tail) for tail in ("", "/ready")]
    for refused in (*answers, served.ask("POST", f"{path}/infer", json=body(b"x"))):
        assert refused.status_code == 404
        assert "pets@1" in refused.json()["error"]


IMAGE = {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["aGk="]}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"inputs": []}, 400),
        ({"inputs": [IMAGE, IMAGE]}, 400),
        ({"inputs": {"image": IMAGE}}, 400),
        ({"inputs": [{**IMAGE, "datatype": "FP32"}]}, 400),
        ({"inputs": [{**IMAGE, "shape": [2]}]}, 400),
        ({"inputs": [{**IMAGE, "data": []}]}, 400),
        ({"inputs": [{**IMAGE, "data": ["?"]}]}, 400),
        ({"inputs": [{**IMAGE, "data": [5]}]}, 400),
        ({"inputs": [{**IMAGE, "data": ["é"]}]}, 400),
        ({"inputs": [IMAGE], "outputs": [{"name": "logits"}]}, 400),
        ({"inputs": [IMAGE], "outputs": [7]}, 400),
        ({"inputs": [IMAGE], "outputs": "label"}, 400),
        ({"inputs": [IMAGE]}, 415),
        ({"inputs": [{**IMAGE, "shape": [65], "data": ["aGk="] * 65}]}, 413),
    ],
)
def test_what_is_no_inference_is_refused_before_any_work(served: Served, sent: Any, status: int) -> None:
    before = served.service.stats.items
    refused = served.ask("POST", "/v2/models/pets/infer", json=sent)
    assert refused.status_code == status, refused.text
    assert list(refused.json()) == ["error"]
    assert served.service.stats.items == before + (status == 415)


def test_a_big_request_is_answered_in_order(served: Served, picture: Picture) -> None:
    labels = ["cat", "dog"] * 32
    images = [picture(label, 200 + number) for number, label in enumerate(labels)]
    got = good(served.ask("POST", "/v2/models/pets/infer", json=body(*images))).json()
    assert got["outputs"][0]["data"] == labels
