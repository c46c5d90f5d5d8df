from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from .conftest import Cli, Ended

GRID = ("train", "-d", "pets", "-m", "ridge", "-m", "logistic", "-s", "ridge.lambda=0.1")


def states(cli: Cli) -> list[str]:
    return [job["state"] for job in cli("queue", "list", "--all", "--json").lines]


def test_train_prints_a_line_of_json_for_each_model(cli: Cli, trained: Path) -> None:
    ended = cli(*GRID, "--json")
    assert ended.code == 0
    assert len(ended.lines) == 2
    for line in ended.lines:
        assert 0 <= line["accuracy_low"] <= line["accuracy"] <= line["accuracy_high"] <= 1
        assert line["dataset"] == "pets@1"
        assert line["state"] == "done"
    assert {line["ref"] for line in ended.lines} == {"pets@2", "pets@3"}
    found = sorted((line["model"], str(line["settings"])) for line in ended.lines)
    assert found == [("logistic", "{}"), ("ridge", "{'lambda': 0.1}")]

    again = cli(*GRID, "--json")
    assert "2 of 2 are done already" in again.err
    assert sorted(again.lines, key=str) == sorted(ended.lines, key=str)
    assert len(cli("models", "list", "--json").json) == 3

    table = cli(*GRID).out.splitlines()
    assert table[0].startswith("model   head")
    assert len(table) == 3
    best = max(line["accuracy"] for line in ended.lines)
    assert f"{best:.3f}" in table[1]
    assert "next: pellucid models promote " + table[1].split()[0] in again.err


def test_a_detached_grid_waits_for_a_worker(cli: Cli, trained: Path) -> None:
    ended = cli(*GRID, "--detach")
    assert "2 jobs wait; next: pellucid worker" in ended.err
    rows = [line.split() for line in cli("queue", "list").out.splitlines()]
    assert [row[1] for row in rows] == ["state", "queued", "queued"]
    numbers = [row[0] for row in rows[1:]]

    assert cli("queue", "cancel", numbers[0], "--json").lines[0]["state"] == "cancelled"
    assert "only a job that is queued or running" in cli("queue", "cancel", numbers[0]).error
    assert "only a job that is cancelled or failed" in cli("queue", "retry", numbers[1]).error

    worked = cli("worker", "--json")
    ends = [line for line in worked.lines if line["state"] == "done"]
    assert {line["ref"] for line in ends} == {"pets@2"}
    assert "1 jobs done; nothing waits" in worked.err
    assert cli("queue", "list").out == ""
    assert sorted(states(cli)) == ["cancelled", "done", "done"]

    assert "queued" in cli("queue", "retry", numbers[0]).out
    worked = cli("worker")
    assert worked.out == f"job {numbers[0]}  pets@1  {rows[1][3]}  done  pets@3\n"


def test_a_training_that_fails_keeps_its_reason_and_the_others_are_done(
    cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trained / "broken_head.py").write_text(
        "from pellucid.heads.ridge import RidgeClassifier\n\n\n"
        "class Broken(RidgeClassifier):\n"
        "    def fit(self, *words, **options):\n"
        "        raise RuntimeError('lamp\\nbroken')\n"
    )
    monkeypatch.syspath_prepend(trained)
    ended = cli("train", "-d", "pets", "-m", "broken_head:Broken", "-m", "logistic", "--json")
    assert ended.code == 11
    assert "lamp broken" in ended.err.splitlines()[-1]
    outcomes = {line["model"]: line for line in ended.lines}
    assert outcomes["logistic"]["ref"] == "pets@2"
    assert outcomes["broken_head:Broken"]["ref"] is None
    assert "lamp broken" in outcomes["broken_head:Broken"]["error"]
    assert outcomes["broken_head:Broken"]["dataset"] == "pets@1"
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["-d", "pets@7"], 4, "1 to 1"),
        (["-d", "pets", "-m", "rigde"], 2, "rigde"),
        (["-d", "pets", "-s", "lamda=1"], 2, "lamda"),
        (["-d", "pets", "-s", "lambda=-1"], 2, "lambda"),
        (["-d", "pets", "-x", "foo"], 2, "'foo' names no extractor"),
        (["-d", "pets", "-x", "onnx:/nowhere.onnx"], 4, "/nowhere.onnx"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_and_queues_nothing(
    cli: Cli, trained: Path, words: list[str], code: int, says: str
) -> None:
    ended = cli("train", *words)
    assert says in ended.error
    assert ended.code == code
    assert states(cli) == ["done"]


def test_one_class_cannot_be_trained_on(cli: Cli, here: Path, picture: object, class_folders: object) -> None:
    assert callable(class_folders)
    ended = cli("ingest", class_folders(here / "source", {"cat": 4}), "-d", "cats")
    assert "one class only" in ended.err
    ended = cli("train", "-d", "cats")
    assert "class" in ended.error
    assert ended.code in {7, 11}


def test_the_file_says_what_to_train(cli: Cli, trained: Path) -> None:
    with (trained / "pellucid.toml").open("a") as file:
        file.write('[train]\ndatasets = ["pets"]\nmodels = ["logistic"]\nsettings = { C = [1] }\n')

    def detached(*words: str) -> list[tuple[str, dict[str, object]]]:
        return [(job["model"], job["settings"]) for job in cli("train", "--detach", "--json", *words).lines]

    assert detached("-s", "epochs=5") == [("logistic", {"epochs": 5})]
    assert detached("-m", "ridge", "-s", "lambda=2") == [("ridge", {"lambda": 2})]


def test_evaluate_judges_compares_and_reports(cli: Cli, trained: Path) -> None:
    cli("train", "-d", "pets", "-m", "logistic")
    ended = cli("evaluate", "pets@1", "--against", "pets@2")
    rows = [line.split() for line in ended.out.splitlines()]
    assert rows[0] == ["on", "6", "images", "value", "from", "to"]
    assert rows[1][0] == "accuracy"
    assert "pets@2" in ended.out.splitlines()[-1]
    page = Path(ended.err.strip().removeprefix("report: "))
    assert page.is_file()
    found = cli("evaluate", "pets@1", "-d", "pets@1", "--json").json
    assert found["report"] is None
    assert found["evaluation"]["n"] == 6


def test_the_workers_of_a_project_that_is_none_complain_once(cli: Cli, tmp_path: Path) -> None:
    assert cli("-P", tmp_path, "worker", "-j", "3").error


def test_json_of_an_old_job_survives_a_model_that_is_gone(cli: Cli, trained: Path) -> None:
    """The queue may outlive the registry's row only by hand; the listing still stands."""
    with sqlite3.connect(trained / ".pellucid" / "pellucid.db") as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("DELETE FROM model")
    database.close()
    listed: Ended = cli("queue", "list", "--all", "--json")
    assert listed.lines[0]["result"] is None


def test_a_class_of_ones_own_lies_beside_the_settings(cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is trained again once it was edited, though the data are the same."""
    source = """
import numpy as np

class Even:
    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return self
    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))
    def to_arrays(self):
        return {"one": np.ones(1)}, {"classes": self.classes_.tolist()}
    @classmethod
    def from_arrays(cls, arrays, meta):
        head = cls()
        head.classes_ = np.array(meta["classes"])
        return head
"""
    (trained / "even_head_of_mine.py").write_text(source)
    (trained / "below").mkdir()
    monkeypatch.chdir(trained / "below")
    words = ("train", "-d", "pets", "-m", "even_head_of_mine:Even", "--json")
    assert cli(*words).lines[0]["ref"] == "pets@2"
    assert cli(*words).lines[0]["ref"] == "pets@2"
    (trained / "even_head_of_mine.py").write_text(source + "# edited\n")
    assert cli(*words).lines[0]["ref"] == "pets@3"
