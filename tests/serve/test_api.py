"""Pellucid's own routes: what is answered can be traced, and what is said counts once and is learnt."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from pellucid import Project

from .conftest import Picture, Ready, Served, good


@pytest.fixture
def guarded(ready_project: Project, ready: Ready) -> Iterator[Served]:
    """The server as it is as a rule: it asks for tokens."""
    with Served(ready_project, ready.tokens) as server:
        yield server


def count(served: Served, table: str) -> int:
    with closing(sqlite3.connect(served.project.workspace.root / ".pellucid" / "pellucid.db")) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_prediction_leads_back_to_model_version_and_votes(guarded: Served, picture: Picture) -> None:
    image = picture("dog", 60)
    answer = guarded.predict(image, token="predict")
    assert answer["sample"] == hashlib.sha256(image).hexdigest()
    said = {"prediction": answer["id"], "label": "dog", "note": "it barks", "voter": "ann"}
    heard = guarded.post("/feedback", said, token="feedback")
    found = guarded.get(f"/predictions/{answer['id']}", token="predict")
    assert found["answer"]["uid"] == answer["id"]
    assert found["answer"]["actor"] == "predict"
    assert {key: found["answer"][key] for key in ("probabilities", "likely", "entropy", "novelty", "model")} == {
        key: answer[key] for key in ("probabilities", "likely", "entropy", "novelty", "model")
    }
    assert (found["model"]["name"], found["model"]["version"], found["version"]["number"]) == ("pets", 1, 1)
    assert found["version"]["counts"]["images"] == 24
    assert [change["version"] for change in found["champions"]] == [1]
    (vote,) = found["votes"]
    assert (vote["label"], vote["voter"], vote["note"]) == ("dog", "feedback/ann", "it barks")
    assert (vote["model"], vote["prediction"], vote["confidence"]) == ("pets@1", answer["id"], answer["confidence"])
    (entry,) = found["learnt"]
    assert (entry["label"], entry["vote"], entry["id"]) == ("dog", heard["vote"], heard["ledger"])
    assert found["files"] == []


def test_an_ingested_image_leads_back_to_its_file(served: Served, picture: Picture) -> None:
    answer = served.predict(picture("cat", 3))
    found = served.get(f"/predictions/{answer['id']}")
    assert [item["path"] for item in found["files"]] == ["cat/3.png"]
    assert [vote["label"] for vote in found["votes"]] == ["cat"]


def test_unknown_predictions_are_404_and_malformed_ones_422(served: Served) -> None:
    assert served.ask("GET", f"/predictions/{'0' * 32}").status_code == 404
    assert served.ask("GET", "/predictions/0").status_code == 422
    for body, status in (({"prediction": "0" * 32}, 404), ({"sample": "0" * 64}, 404)):
        assert served.ask("POST", "/feedback", json={**body, "label": "cat"}).status_code == status


def test_feedback_changes_the_next_answer(served: Served, picture: Picture) -> None:
    image = picture("dog", 61)
    first = served.predict(image)
    heard = served.post("/feedback", {"prediction": first["id"], "label": "dog"})
    assert heard["action"] == "learnt"
    assert heard["before"] == pytest.approx(first["probabilities"]["dog"], abs=1e-6)
    second = served.predict(image)
    assert second["ledger"] == heard["ledger"] > first["ledger"]
    assert second["probabilities"]["dog"] == pytest.approx(heard["after"], abs=1e-6)
    assert second["probabilities"] != first["probabilities"]


def test_the_same_id_counts_once_however_often_and_at_once(guarded: Served, picture: Picture) -> None:
    answer = guarded.predict(picture("cat", 62))
    before = count(guarded, "vote")
    said = {"prediction": answer["id"], "label": "dog", "id": "phone-1"}
    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(lambda _: guarded.post("/feedback", said, token="feedback"), range(16)))
    assert all(item == heard[0] for item in heard)
    assert count(guarded, "vote") == before + 1
    assert guarded.post("/feedback", {**said, "label": "cat"}, token="feedback") == heard[0], "the first one counts"
    other = guarded.post("/feedback", said, token="admin")
    assert other["vote"] != heard[0]["vote"], "the id is each client's own"
    assert count(guarded, "vote") == before + 2


def test_without_an_id_each_time_is_a_vote_but_the_voter_has_one_say(served: Served, picture: Picture) -> None:
    answer = served.predict(picture("cat", 63))
    said = {"prediction": answer["id"], "label": "dog"}
    first, second = served.post("/feedback", said), served.post("/feedback", said)
    assert second["vote"] > first["vote"]
    assert second["trust"] == pytest.approx(first["trust"], abs=0.05)


def test_a_picture_with_its_label_is_answered_kept_and_learnt(served: Served, picture: Picture) -> None:
    image = picture("dog", 64)
    form: dict[str, Any] = {"files": {"image": ("x.png", image, "image/png")}}
    got = good(served.ask("POST", "/samples", data={"label": "dog", "id": "s1", "voter": "bo"}, **form)).json()
    assert set(got) == {"prediction", "heard"}
    assert got["heard"]["action"] == "learnt"
    assert got["heard"]["sample"] == got["prediction"]["sample"] == hashlib.sha256(image).hexdigest()
    assert served.predict(image)["ledger"] == got["heard"]["ledger"]
    again = good(served.ask("POST", "/samples", data={"label": "dog", "id": "s1", "voter": "bo"}, **form)).json()
    assert again["heard"] == got["heard"]
    later = served.post("/feedback", {"sample": got["heard"]["sample"], "label": "cat", "voter": "cy"})
    votes = served.get(f"/predictions/{got['prediction']['id']}")["votes"]
    assert [vote["voter"] for vote in votes] == ["anybody/bo", "anybody/cy"]
    assert later["vote"] > got["heard"]["vote"]


def test_a_new_class_has_to_be_said_to_be_one(served: Served, picture: Picture) -> None:
    image = picture("eel", 65)
    answer = served.predict(image)
    said = {"prediction": answer["id"], "label": "eel"}
    refused = served.ask("POST", "/feedback", json=said)
    assert refused.status_code == 400
    assert "set new_class" in refused.json()["error"]
    heard = served.post("/feedback", {**said, "new_class": True})
    assert heard["action"] == "learnt"
    after = served.predict(image)
    assert set(after["probabilities"]) == {"cat", "dog", "eel"}
    assert sum(after["probabilities"].values()) == pytest.approx(1)


def test_the_test_split_is_not_touched(served: Served) -> None:
    from pellucid.store.manifests import read_manifest

    workspace = served.project.workspace
    rows = read_manifest(workspace.blobs, served.project.datasets("pets")[-1].content_id)
    row = next(row for row in rows if row.split == "test")
    heard = served.post("/feedback", {"sample": row.sample, "label": "dog"})
    assert heard["action"] == "recorded"
    assert "test split" in heard["reason"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"label": "cat"}, 400),
        ({"label": "cat", "prediction": "0" * 32, "sample": "0" * 64}, 400),
        ({"prediction": "0" * 32}, 422),
        ({"prediction": "0" * 32, "label": ""}, 422),
        ({"prediction": "0" * 32, "label": "x" * 201}, 422),
        ({"prediction": "0" * 32, "label": 5}, 422),
        ({"prediction": "0" * 32, "label": "cat", "role": "ground_truth"}, 422),
        ({"prediction": 7, "label": "cat"}, 422),
        ([], 422),
        ("cat", 422),
    ],
)
def test_what_cannot_be_feedback_is_refused_and_recorded_nowhere(served: Served, body: Any, status: int) -> None:
    before = count(served, "vote")
    refused = served.ask("POST", "/feedback", json=body)
    assert refused.status_code == status, refused.text
    assert list(refused.json()) == ["error"]
    assert count(served, "vote") == before


@pytest.mark.parametrize(
    ("label", "status"),
    [("a\x00b", 422), ("a\nb", 422), ("\ud800", 422), ("  ", 400), ("\u202egod", 200), ("x" * 200, 200), ("=1+1", 200)],
)
def test_strange_labels_break_nothing(served: Served, picture: Picture, label: str, status: int) -> None:
    answer = served.predict(picture("cat", 66))
    body = json.dumps({"prediction": answer["id"], "label": label, "new_class": True})
    got = served.ask("POST", "/feedback", content=body, headers={"content-type": "application/json"})
    assert got.status_code == status, got.text
    assert served.predict(picture("cat", 66))["label"] in {"cat", "dog"}
    assert served.service.readiness.ready


def test_a_sample_s_form_has_no_other_fields_and_one_image(served: Served, picture: Picture) -> None:
    file = ("x.png", picture("cat", 67), "image/png")
    for data, files, status in (
        ({"label": "cat", "role": "ground_truth"}, {"image": file}, 422),
        ({"label": "cat", "sample": "0" * 64}, {"image": file}, 422),
        ({}, {"image": file}, 422),
        ({"label": "cat"}, {"image": file, "other": file}, 400),
        ({"label": "cat"}, {}, 415),
    ):
        refused = served.ask("POST", "/samples", data=data, files=files or None)
        assert refused.status_code == status, refused.text
    assert count(served, "vote") == 24


def test_the_history_tells_who_was_champion_when(served: Served) -> None:
    with Project(served.project.workspace.root, environ={}) as other:
        other.promote("pets@2", force=True, actor="ann", reason="better")
        other.rollback("pets", actor="bo")
    history = served.get("/history")["history"]
    assert [(item["version"], item["action"]) for item in history] == [(1, "promote"), (2, "promote"), (1, "rollback")]
    assert [item["actor"] for item in history[1:]] == ["ann", "bo"]


def test_another_dataset_s_answer_is_not_this_server_s_business(
    served: Served, picture: Picture, tmp_path: Any, class_folders: Any
) -> None:
    root = served.project.workspace.root
    with Project(root, environ={}) as other:
        other.ingest(class_folders(tmp_path / "more", {"cat": 10, "eel": 10}, start=200), "fish", test_fraction=0.25)
        other.train("fish")
        other.promote("fish@1")
        with Served(other, name="fish") as second:
            answer = second.predict(picture("eel", 68))
    refused = served.ask("POST", "/feedback", json={"prediction": answer["id"], "label": "cat"})
    assert refused.status_code == 409
    assert "fish@1 gave that answer" in refused.json()["error"]


def test_a_class_that_nothing_was_learnt_of_is_no_class(served: Served, picture: Picture) -> None:
    from pellucid.store.manifests import read_manifest

    workspace = served.project.workspace
    rows = read_manifest(workspace.blobs, served.project.datasets("pets")[-1].content_id)
    row = next(row for row in rows if row.split == "test")
    heard = served.post("/feedback", {"sample": row.sample, "label": "eel", "new_class": True})
    assert heard["action"] == "recorded"
    answer = served.predict(picture("cat", 69))
    assert set(answer["probabilities"]) == {"cat", "dog"}
    again = served.ask("POST", "/feedback", json={"prediction": answer["id"], "label": "eel"})
    assert again.status_code == 400, "still new"
    heard = served.post("/feedback", {"prediction": answer["id"], "label": "eel", "new_class": True})
    assert heard["action"] == "learnt"
    assert set(served.predict(picture("cat", 69))["probabilities"]) == {"cat", "dog", "eel"}
