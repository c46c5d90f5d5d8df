from __future__ import annotations

import csv
import json
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.stream.transport import open_transport

from .conftest import STOP_WORDS, Cli, Start

RUN = ("stream", "simulate", "--rate", "max")


@pytest.fixture
def folder(tmp_path: Path, class_folders: Callable[..., Path]) -> Path:
    """30 cats, dogs and eels each."""
    return class_folders(tmp_path / "photos", {"cat": 30, "dog": 30, "eel": 30})


@pytest.fixture
def served(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server whose token is in the environment."""
    monkeypatch.setenv("PELLUCID_TOKEN", live_server.token)
    return live_server


def lines_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_a_folder_is_played_over_http_without_a_project(cli: Cli, served: Any, folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    found = cli(*RUN, "--from", folder, "--url", served.url, "--report", report, "--bad-users", 2, "--json").json
    assert (found["to"], found["complete"], found["planned"], found["sent"]) == ("http", True, 90, 90)
    assert (found["answered"], found["errors"], found["retries"]) == (90, 0, 0)
    assert set(found["days"]) == {"monday", "tuesday"}
    assert found["days"]["monday"]["accuracy"] == 1.0
    assert found["predict_ms"]["p99"] >= found["predict_ms"]["p50"] > 0
    lines = lines_of(report)
    assert len(lines) == len(served.heard) == 90
    for line in lines:
        said = served.heard[line["id"]]
        assert (line["said"], line["user"]) == (said["label"], said["voter"])
        assert line["prediction"] == served.predictions[said["prediction"]]
        assert line["image"].startswith(line["truth"])
        assert bool(line["corruption"]) == (line["day"] == "tuesday")
        assert (line["action"], line["trust"]) == ("learnt", "0.9")
    wrong = [line for line in lines if line["said"] != line["truth"]]
    assert found["wrong"]["heard"] == len(wrong) > 0
    assert found["right"]["heard"] == 90 - len(wrong)
    monday = [line for line in lines if line["day"] == "monday"]
    assert {line["user"] for line in monday if line["said"] != line["truth"]} <= {"user-9", "user-10"}
    for day, tally in found["days"].items():
        hits = [line["prediction"] == line["truth"] for line in lines if line["day"] == day]
        assert tally["accuracy"] == pytest.approx(sum(hits) / len(hits), abs=1e-4)


def test_what_it_prints_is_explained_and_no_more_than_the_images_bear_out(cli: Cli, served: Any, folder: Path) -> None:
    ended = cli(*RUN, "--from", folder, "--url", served.url)
    assert "95 % interval" in ended.out
    assert "first tenth" not in ended.out  # of nine images
    assert "spoilt on purpose" in ended.err
    assert "not learnt were kept only" in ended.err


def test_the_share_of_wrong_votes_that_are_believed(cli: Cli, served: Any, folder: Path) -> None:
    bad = {f"user-{number}" for number in range(6, 11)}
    served.trust = lambda said: 0.1 if said["voter"] in bad else 0.9
    words = ("--from", folder, "--url", served.url, "--bad-users", 5, "--user-accuracy", 1)
    found = cli(*RUN, *words, "--json").json
    assert (found["wrong"]["believed"], found["wrong"]["doubted"], found["right"]["believed"]) == (0.0, 1.0, 1.0)
    table = cli(*RUN, *words).out
    assert "90 of 90 sent, 90 answered, 0 errors" in table
    assert [line.split()[:4] for line in table.splitlines() if line.startswith(("right", "wrong"))] == [
        ["right", str(found["right"]["heard"]), "1.000", "0.000"],
        ["wrong", str(found["wrong"]["heard"]), "0.000", "1.000"],
    ]


def test_the_same_command_again_says_nothing_twice(cli: Cli, served: Any, folder: Path) -> None:
    words = (*RUN, "--from", folder, "--to", served.url, "--images", 10, "--json")
    assert cli(*words).json["answered"] == 10
    assert cli(*words).json["answered"] == 10
    assert len(served.heard) == 10
    cli(*words, "--seed", 1)
    assert len(served.heard) == 20


def test_what_the_dataset_has_is_left_out(cli: Cli, served: Any, trained: Path, folder: Path) -> None:
    plan = cli("stream", "simulate", "pets", "--from", folder, "-n", "--json").json
    assert plan["images"] == 18 + 18 + 30  # 12 cats and 12 dogs are in the dataset


def test_a_dataset_s_unseen_images_are_played(cli: Cli, here: Path, served: Any, folder: Path) -> None:
    cli("-c", "test_fraction=0.5", "ingest", folder, "-d", "pets")
    with Project(here) as project:
        train = {row.sample for row in project.inspect("pets").rows if row.split == "train"}
    report = here / "r.csv"
    found = cli(*RUN, "pets", "--url", served.url, "--report", report, "--json").json
    assert found["sent"] == 90 - len(train)
    assert train.isdisjoint({line["image"] for line in lines_of(report)})
    said = cli("stream", "simulate", "pets", "--split", "train", "-n")
    assert "the model may have learnt from these images (train)" in said.err
    assert f"{len(train)} images would be sent" in said.err


def test_a_dry_run_sends_nothing_and_needs_no_server(cli: Cli, folder: Path, tmp_path: Path) -> None:
    words = ("stream", "simulate", "--from", folder, "--users", 3, "-n", "--report", tmp_path / "r.csv")
    ended = cli(*words, "--rate", "30/m")
    assert "90 images would be sent in 180 s" in ended.err
    assert [line.split()[0] for line in ended.out.splitlines()] == [
        "day", "monday", "tuesday", "user", "user-1", "user-2", "user-3"
    ]  # fmt: skip
    assert not (tmp_path / "r.csv").exists()
    plan = cli(*words, "--rate", "max", "--json").json
    assert (plan["images"], plan["seconds"], plan["classes"]) == (90, None, ["cat", "dog", "eel"])
    assert plan["days"]["monday"]["wrong_labels"] == 0 < plan["days"]["tuesday"]["wrong_labels"]
    assert len(plan["users"]) == 3


def test_an_unknown_token_stops_it_with_the_cure(
    cli: Cli, live_server: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PELLUCID_TOKEN", "plt_secret")
    words = (*RUN, "--from", folder, "--url", live_server.url, "--report", tmp_path / "r.csv")
    ended = cli(*words, "--json")
    assert ended.code == 16
    assert ended.json["sent"] == 0
    assert ended.json["complete"] is False
    assert "by --token-file, or make one with `pellucid tokens create" in ended.error
    assert "plt_secret" not in ended.out + ended.err + (tmp_path / "r.csv").read_text()
    (tmp_path / "token").write_text(f"{live_server.token}\n")
    assert cli(*words, "--token-file", tmp_path / "token", "--images", 4, "--json").json["answered"] == 4


def test_images_that_are_refused_are_counted_by_reason(cli: Cli, served: Any, folder: Path) -> None:
    (folder / "cat" / "broken.png").write_bytes(b"no image")
    found = cli(*RUN, "--from", folder, "--url", served.url, "--json").json
    assert (found["sent"], found["answered"], found["errors"]) == (91, 90, 1)
    assert sum(found["reasons"].values()) == 1
    assert "not an image" in next(iter(found["reasons"]))
    served.refusals = [("/predict", 500, {})] * 6
    ended = cli(*RUN, "--from", folder, "--url", served.url, "--images", 6)
    assert ended.code == 7
    assert "all of the 6 images met with errors; the most frequent: predict: 500, not now" in ended.error


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_report_of_what_was_counted(
    start: Start, served: Any, folder: Path, tmp_path: Path, how: signal.Signals
) -> None:
    processes: list[subprocess.Popen[str]] = []

    def stop_at_the_tenth(path: str) -> None:
        if path == "/feedback" and served.asked.count(path) == 10:
            processes[0].send_signal(how)

    served.before = stop_at_the_tenth
    words = (*RUN[:2], "--from", str(folder), "--url", served.url, "--rate", "20/s", "--report", "r.csv", "--json")
    processes.append(start(*words, cwd=tmp_path, PELLUCID_TOKEN=served.token))
    out, err = processes[0].communicate(timeout=60)
    assert (processes[0].returncode, err.splitlines()) == (130, [STOP_WORDS])
    found = json.loads(out)
    lines = lines_of(tmp_path / "r.csv")
    assert found["complete"] is False
    assert found["sent"] == len(lines)
    assert 5 <= len(lines) < 90
    complete = {line["id"] for line in lines if line["action"] == "learnt"}
    assert complete <= set(served.heard)
    assert found["answered"] == sum(bool(line["prediction"]) for line in lines)


@pytest.mark.parametrize("to", ["stream", "embedded"])
def test_a_stream_is_given_events(cli: Cli, here: Path, folder: Path, to: str) -> None:
    found = cli(*RUN, "--from", folder, "--to", to, "--wait", 0, "--images", 12, "--json").json
    assert (found["to"], found["sent"], found["answered"], found["errors"]) == ("stream", 12, 0, 0)
    with Project(here) as project:
        transport = open_transport("embedded", project.workspace.database)
        for topic in ("images", "feedback"):
            assert len(transport.read(topic, "test", start={}, limit=100, timeout=0.0)) == 12


def test_a_table_is_given_rows(cli: Cli, folder: Path, tmp_path: Path) -> None:
    words = (*RUN, "--from", folder, "--to", "table", "--url", f"sqlite:///{tmp_path / 'a.db'}", "--images", 12)
    assert cli(*words, "--json").json["sent"] == 12
    assert cli(*words).code == 0
    aimed = ("--to", f"sqlite:///{tmp_path / 'a.db'}", "--images", 12)
    assert cli(*RUN, "--from", folder, *aimed, "--json").json["to"] == "table"
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT id) FROM live_images").fetchall() == [(12, 12)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name a dataset, or a folder"),
        (("--from", "photos", "--split", "test"), "give one of them"),
        (("--from", "photos", "--rate", "fast"), "the rate is 'fast'"),
        (("--from", "photos", "--duration", "long"), "the duration is 'long'"),
        (("--from", "photos", "--days", "friday"), "the days are friday"),
        (("--from", "photos", "--to", "table"), "needs the database's --url"),
        (("--from", "photos", "--to", "stream", "--new-classes"), "--new-classes goes with --to http"),
        (("--from", "photos", "--to", "table", "--token-file", "x"), "--token-file goes with --to http"),
        (("--from", "photos", "--url", "nowhere"), "names no server"),
        (("--from", "photos", "--to", "nowhere"), "wanted is http, stream or table, or a URL"),
        (("--from", "photos", "--to", "htp://localhost"), "--to is 'htp://localhost'; wanted is http, stream or table"),
        (("--from", "photos", "--to", "http://a", "--url", "http://b"), "give one of them"),
        (("--from", "photos", "--to", "kafka://b:9092", "--new-classes"), "--new-classes goes with --to http"),
        (("--from", "photos", "--to", "stream", "--topics", "a,b"), "wanted are three"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    cli: Cli, here: Path, class_folders: Callable[..., Path], words: tuple[str, ...], message: str
) -> None:
    class_folders(here / "photos", {"cat": 10, "dog": 10})
    ended = cli("stream", "simulate", *words)
    assert ended.code == 2
    assert message in ended.error


def test_a_folder_that_is_not_there_is_refused(cli: Cli, tmp_path: Path) -> None:
    assert "there is no" in cli("stream", "simulate", "--from", tmp_path / "nowhere").error
    assert cli("stream", "simulate", "--from", tmp_path / "nowhere", "--token-file", "x").code == 5
