"""``bench monday-tuesday``: options, what it prints and leaves, and Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pellucid import Project

from .conftest import STOP_WORDS, Cli, Start

SMALL = ("--seeds", 2, "--methods", "logistic")


@pytest.fixture(scope="module")
def pets_folder(tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("bench")
    with Project.init(root / "project") as made:
        made.ingest(class_folders(root / "source", {"cat": 20, "dog": 20}), "pets")
    return root / "project"


@pytest.fixture
def pets(tmp_path: Path, pets_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pets"
    shutil.copytree(pets_folder, folder)
    monkeypatch.chdir(folder)
    return folder


def test_a_table_for_people_and_the_same_for_programs(cli: Cli, pets: Path) -> None:
    ended = cli("bench", "monday-tuesday", "pets", *SMALL)
    assert ended.code == 0, ended.err
    heading, *rows = ended.out.splitlines()
    assert heading.split()[:3] == ["noise", "rate", "method"]
    assert {row.split()[2] for row in rows} == {
        *("pellucid", "monday-only", "noisy", "oracle-filter", "truth", "logistic")
    }
    folder = pets / "reports" / "monday-tuesday" / "pets"
    assert "12 cells measured, 0 were there" in ended.err
    assert str(folder) in ended.err
    assert {path.name for path in folder.iterdir()} == {"results.jsonl", "table.md", "table.csv", "plot.png"}
    again = cli("bench", "monday-tuesday", "pets", *SMALL, "--json")
    assert "0 cells measured, 12 were there" in again.err
    assert [line["method"] for line in again.json["lines"]] == [row.split()[2] for row in rows]
    assert again.json["dataset"] == "pets@1"


def test_the_published_options(cli: Cli, pets: Path, tmp_path: Path) -> None:
    words: list[object] = [
        "--model",
        "ridge",
        "--sampling",
        "random",
        "--ratio",
        0.5,
        "--user-accuracy",
        0.6,
        "--seeds",
        1,
    ]
    found = cli(
        "bench",
        "monday-tuesday",
        "pets",
        *words,
        "--seeds",
        1,
        "--monday",
        12,
        "--tuesday",
        12,
        "-o",
        tmp_path / "o",
        "--json",
    )
    assert found.code == 0, found.err
    lines = {line["method"]: line for line in found.json["lines"]}
    assert set(lines) == {"pellucid", "monday-only", "noisy", "oracle-filter", "truth", "ridge@random"}
    assert (lines["ridge@random"]["monday"], lines["ridge@random"]["rate"]) == ("50 % random", 0.4)
    assert (tmp_path / "o" / "table.md").exists()


def test_true_labels_and_several_noises(cli: Cli, pets: Path) -> None:
    words = ["--seeds", 1, "--methods", "noisy", "--day", "tuesday"]
    found = cli("bench", "monday-tuesday", "pets", *words, "--labels", "truth", "--json").json
    assert {(line["noise"], line["rate"]) for line in found["lines"]} == {("symmetric", 0.0)}
    by_name = {line["method"]: line["means"]["tuesday"] for line in found["lines"]}
    assert by_name["noisy"] == by_name["truth"] == by_name["oracle-filter"]
    found = cli(
        "bench", "monday-tuesday", "pets", *words, "--noise", "symmetric:0,0.5", "--noise", "pair", "--json"
    ).json
    assert {(line["noise"], line["rate"]) for line in found["lines"]} == {
        *(("symmetric", 0.0), ("symmetric", 0.5), ("pair", 0.3))
    }


def test_list_names_every_method(cli: Cli) -> None:
    ended = cli("bench", "monday-tuesday", "--list")
    assert "pellucid" in ended.out
    assert "pellucid@random" in ended.err
    assert {"pellucid", "truth"} <= {row["method"] for row in cli("bench", "monday-tuesday", "--list", "--json").json}


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ([], 2, "name a dataset, or --list"),
        (["dogs"], 4, "no dataset 'dogs'"),
        (["pets", "--methods", "pelucid"], 2, "did you mean 'pellucid'"),
        (["pets", "--noise", "salt"], 2, "there are symmetric, pair, instance"),
        (["pets", "--noise", "pair:x"], 2, "KIND:RATE"),
        (["pets", "--noise", "pair:2"], 2, "0 to 1"),
        (["pets", "--rate", "2"], 2, "--rate"),
        (["pets", "--rate", "0.2", "--user-accuracy", "0.8"], 2, "say the same"),
        (["pets", "--cutoff"], 2, "name the model too"),
        (["pets", "--model", "rigde"], 2, "did you mean 'ridge'"),
        (["pets", "--model", "ridge", "--sampling", "l7"], 2, "no sampling 'l7'"),
        (["pets", "--model", "ridge", "--cutoff"], 2, "cannot cut off"),
        (["pets", "--extractor", "onnx:none.onnx"], 4, "none.onnx"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(cli: Cli, pets: Path, words: list[str], code: int, why: str) -> None:
    ended = cli("bench", "monday-tuesday", *words)
    assert ended.code == code, ended.err
    assert why in ended.error
    assert not (pets / "reports").exists()


def test_what_needs_a_missing_library_is_left_out_or_refused(
    cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.protocol.methods.find_spec", lambda name: None)
    monkeypatch.setattr("pellucid.protocol.methods.WITH_PART", ())
    asked = cli("bench", "monday-tuesday", "pets", "--methods", "cleanlab")
    assert asked.code == 12
    assert "pip install 'pellucid[peers]'" in asked.error
    ended = cli("bench", "monday-tuesday", "pets", "--seeds", 1)
    assert ended.code == 0
    assert "left out, for want of cleanlab: cleanlab" in ended.err
    assert "cleanlab" not in ended.out


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_what_is_measured_and_leaves_no_process(start: Start, cli: Cli, pets: Path, jobs: int) -> None:
    words = ("bench", "monday-tuesday", "pets", "--seeds", 1, "--methods", "logistic")
    process = start(*words, "-j", jobs, cwd=pets, at="pellucid.flow.cells:Results.add")
    end = time.monotonic() + 60
    while not (pets / "halted").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    (pets / "released").touch()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1:]) == (130, [STOP_WORDS]), err
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert len(children) >= (jobs > 1)
    ended = cli(*words, "--json")
    assert ended.code == 0
    assert "6 cells measured" in ended.err
