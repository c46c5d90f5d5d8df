"""MLflow's scoring protocol: every form of it, and the answers that the model itself would give."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pellucid.flow.training.predictor import load_predictor
from pellucid.flow.training.pyfunc import PellucidModel

from .conftest import Picture, Served, good

FORMS: dict[str, Callable[[list[str]], Any]] = {
    "inputs": lambda texts: {"inputs": texts},
    "inputs, a column": lambda texts: {"inputs": {"image": texts}},
    "inputs, rows": lambda texts: {"inputs": [[text] for text in texts]},
    "instances": lambda texts: {"instances": texts},
    "instances, rows": lambda texts: {"instances": [{"image": text} for text in texts]},
    "dataframe_split": lambda texts: {"dataframe_split": {"columns": ["image"], "data": [[text] for text in texts]}},
    "dataframe_records": lambda texts: {"dataframe_records": [{"image": text} for text in texts], "params": {}},
}


def test_what_mlflow_s_tools_ask_first(served: Served) -> None:
    ping = good(served.ask("GET", "/ping"))
    assert ping.text == "\n"
    version = good(served.ask("GET", "/version"))
    assert re.fullmatch(r"\d+\.\d+.*", version.text)
    assert version.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_mlflow_s_is_understood(served: Served, picture: Picture, form: str) -> None:
    images = [picture("cat", 75), picture("dog", 75)]
    texts = [base64.b64encode(data).decode() for data in images]
    rows = served.post("/invocations", FORMS[form](texts))["predictions"]
    assert [row["label"] for row in rows] == ["cat", "dog"]
    for row, image in zip(rows, images, strict=True):
        assert set(row) == {"label", "confidence", "p(cat)", "p(dog)", "error", "prediction"}
        shares = served.predict(image)["probabilities"]
        assert (row["p(cat)"], row["p(dog)"]) == pytest.approx((shares["cat"], shares["dog"]))
        assert row["error"] is None
    heard = served.post("/feedback", {"prediction": rows[0]["prediction"], "label": "cat"})
    assert heard["label"] == "cat"


def test_it_answers_as_the_model_that_mlflow_loads(served: Served, picture: Picture) -> None:
    workspace = served.project.workspace
    name = served.project.model("pets@1").id
    model = PellucidModel()
    folder = workspace.artifacts.fetch_folder("models", name, workspace.cache / "models")
    model._predictor = load_predictor(folder, name, lambda digest: folder / digest)
    image = picture("dog", 76)
    (own,) = model.predict(None, np.array([image], object)).to_dict("records")
    (row,) = served.post("/invocations", {"inputs": [base64.b64encode(image).decode()]})["predictions"]
    assert {key: row[key] for key in own} == pytest.approx(own, abs=1e-6)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"inputs": []}, 400),
        ({"inputs": "aGk="}, 400),
        ({"inputs": [None]}, 400),
        ({"inputs": [[]]}, 400),
        ({"inputs": [[["aGk="]]]}, 400),
        ({"inputs": ["?"]}, 400),
        ({"inputs": {"a": ["aGk="], "b": ["aGk="]}}, 400),
        ({"dataframe_split": {"columns": ["image"]}}, 400),
        ({"inputs": ["aGk="]}, 415),
        ({"inputs": ["aGk="] * 65}, 413),
    ],
)
def test_what_is_no_invocation_is_refused(served: Served, sent: Any, status: int) -> None:
    refused = served.ask("POST", "/invocations", json=sent)
    assert refused.status_code == status, refused.text
    assert list(refused.json()) == ["error"]


def test_other_media_types_are_refused(served: Served) -> None:
    for media_type in ("text/csv", "application/x-npy", ""):
        refused = served.ask("POST", "/invocations", content=b"image\naGk=\n", headers={"content-type": media_type})
        assert refused.status_code == 415
