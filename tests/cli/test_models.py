from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.feedback import Said, hear
from pellucid.flow.online.live import LiveModel
from pellucid.flow.production.shadow import answer_in_shadow
from pellucid.flow.training.predict import open_predictor
from pellucid.types import Answer

from ..conftest import picture_bytes
from .conftest import Cli


@pytest.fixture(scope="module")
def three_folder(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three") / "project"
    shutil.copytree(trained_folder, folder)
    with Project(folder) as project:
        project.train("pets", models=["logistic", "ridge"], settings={"ridge.lambda": 3})
    return folder


@pytest.fixture
def three(three_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pets@1 (ridge) is trained; pets@2 and pets@3 are logistic and another ridge."""
    shutil.copytree(three_folder, tmp_path / "three")
    monkeypatch.chdir(tmp_path / "three")
    return tmp_path / "three"


def champion(cli: Cli) -> str | None:
    return next(
        (model["ref"] for model in cli("models", "list", "--json").json if "champion" in model["aliases"]), None
    )


def test_promotion_rollback_and_their_history(cli: Cli, three: Path) -> None:
    ended = cli("models", "promote", "pets@1", "-r", "first")
    assert ended.out == "model pets@1 is now the champion of pets; before: none\n"
    assert "next: pellucid predict --model pets" in ended.err
    assert cli("models", "promote", "pets@2").code == 0
    assert cli("models", "promote", "pets@3", "--to", "candidate").err == ""
    assert champion(cli) == "pets@2"

    assert (
        cli("models", "rollback", "pets", "-n").out
        == "model pets@1 would be the champion of pets; before: model pets@2\n"
    )
    assert champion(cli) == "pets@2"
    assert cli("models", "rollback", "pets", "-r", "worse", "--json").json["version"] == 1
    assert champion(cli) == "pets@1"

    lines = [line.split() for line in cli("models", "history", "pets").out.splitlines()]
    assert [line[2:6] for line in lines[1:]] == [
        ["promote", "champion", "pets@1", "-"],
        ["promote", "champion", "pets@2", "pets@1"],
        ["promote", "candidate", "pets@3", "-"],
        ["rollback", "champion", "pets@1", "pets@2"],
    ]
    assert [row["reason"] for row in cli("models", "history", "--json").json] == ["first", "", "", "worse"]
    assert cli("models", "rollback", "pets", "--to", "3").code == 0
    assert champion(cli) == "pets@3"


def test_a_dry_run_changes_nothing(cli: Cli, trained: Path) -> None:
    assert cli("models", "promote", "pets@1", "--dry-run", "--json").json["dry_run"] is True
    assert champion(cli) is None
    assert cli("models", "history", "--json").json == []
    assert cli("models", "mirror", "-n").out.startswith("0 models would be completed")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["promote", "pets@9"], 4, "from 1 to 1"),
        (["promote", "dogs@1"], 4, "the project has: pets"),
        (["promote", "pets"], 4, "has no champion yet"),
        (["promote", "pets@1", "--to", "boss"], 2, "wanted is champion or candidate"),
        (["rollback", "pets"], 2, "no earlier champion"),
        (["rollback", "dogs"], 4, "the project has: pets"),
        (["show", "pets"], 4, "`pellucid models promote pets@1` makes one"),
        (["compare", "pets@1", "pets@2"], 4, "from 1 to 1"),
    ],
)
def test_what_cannot_be_is_one_line(cli: Cli, trained: Path, words: list[str], code: int, says: str) -> None:
    ended = cli("models", *words)
    assert says in ended.error
    assert ended.code == code


def test_promoting_the_champion_again_is_refused(cli: Cli, trained: Path) -> None:
    cli("models", "promote", "pets@1")
    assert "already; nothing was changed" in cli("models", "promote", "pets@1").error


def test_list_says_that_versions_have_test_images_of_their_own(cli: Cli, trained: Path) -> None:
    assert "each accuracy is on the test images" not in cli("models", "list").err
    assert cli("corrupt", "pets", "--labels", "pair", "--rate", "0.2").code == 0
    assert cli("train", "--dataset", "pets", "--model", "ridge").code == 0
    assert "each accuracy is on the test images of its own dataset version" in cli("models", "list").err


def test_list_show_compare_and_export(cli: Cli, three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.split() for line in cli("models", "list", "pets").out.splitlines()]
    assert [line[0] for line in lines] == ["model", "pets@3", "pets@2", "pets@1"]
    shown = cli("models", "show", "pets@1")
    assert "trained on dataset version pets@1" in shown.out.splitlines()[0]
    assert "report.html" in shown.err
    assert cli("models", "show", "pets@1", "--json").json["card"].startswith("# ")
    compared = cli("models", "compare", "pets@1", "pets@2")
    assert "pets@1" in compared.out.splitlines()[0]
    assert "accuracy of A less that of B" in compared.out
    assert cli("models", "compare", "pets@1", "pets@2", "--json").json["n"] == 6
    assert cli("models", "export", "pets@1", "out").out == "pets@1 is in out\n"
    assert (three / "out" / "MLmodel").is_file()
    assert cli("models", "export", "pets@1", "out").error
    assert cli("models", "mirror", "--json").json == {"completed": 0, "dry_run": False}
    assert cli("models", "mirror", "--all", "-n", "--json").json == {"completed": 3, "dry_run": True}
    monkeypatch.setenv("PELLUCID_MLFLOW_URL", f"sqlite:///{three / 'elsewhere.db'}")
    assert cli("models", "mirror").out.startswith("0 models completed")
    assert cli("models", "mirror", "--all").out.startswith("3 models completed")


def test_a_candidate_in_the_shadow(cli: Cli, three: Path) -> None:
    assert cli("models", "promote", "pets@1").code == 0
    would = cli("models", "shadow", "pets@2", "--share", "0.25", "-n")
    assert would.out == "pets@2 would be in the shadow of pets's champion, on 25 % of the images\n"
    begun = cli("models", "shadow", "pets@2")
    assert begun.out == "pets@2 is now in the shadow of pets's champion, on all images\n"
    assert "next: pellucid models shadow pets" in begun.err
    assert "`pellucid models shadow --end pets`" in cli("models", "shadow", "pets@3").error
    assert cli("models", "shadow", "pets").out.splitlines()[1] == "images      none yet"
    with Project(three) as project:
        live = LiveModel(project.workspace, project.model("pets@1"))
        asked = [Asked(picture_bytes(label, 500 + number)) for label in ("cat", "dog") for number in range(4)]
        found = [item for item in answer(project.workspace, live.answerer, asked) if isinstance(item, Answer)]
        shadow = project.shadow_report("pets").shadow
        other = replace(open_predictor(project.workspace, project.model("pets@2")), classes=("dog", "cat"))
        answer_in_shadow(project.workspace, shadow, other, found)  # a candidate that confuses its classes
        hear(live, Said(found[0].sample, "dog", "ann"))
    report = cli("models", "shadow", "pets", "--json", "--most", "3").json
    assert (report["shadow"]["candidate"], report["images"], report["champions"]) == (2, 8, ["pets@1"])
    assert len(report["differing"]) == 3
    lines = [line.split() for line in cli("models", "shadow", "pets").out.splitlines()]
    assert lines[0][:6] == ["pets@2", "in", "the", "shadow", "of", "pets@1,"]
    assert lines[1:3] == [["images", "8"], ["agreement", *lines[2][1:]]]
    assert "(McNemar p 1)" in cli("models", "shadow", "pets").out
    assert ["champion", "candidate", "images"] in lines
    pairs = {tuple(line[:2]): int(line[2]) for line in lines if len(line) == 3 and line[2].isdecimal()}
    assert sum(pairs.values()) == sum(row["images"] for row in report["confusion"]) > 0
    assert cli("models", "shadow", "--end", "pets", "-n").out == "pets@2 would leave the shadow of pets's champion\n"
    assert cli("models", "shadow", "--end", "pets", "--json").json["ended_at"]
    assert ", ended " in cli("models", "shadow", "pets").out
    assert cli("models", "shadow", "pets@3").code == 0
    earlier = cli("models", "shadow", "pets@2", "--report")
    assert earlier.out.startswith("pets@2 in the shadow of pets@1, on all images")
    assert ", ended " in earlier.out
    assert cli("models", "shadow", "pets", "--json").json["shadow"]["candidate"] == 3, "a report begins nothing"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["pets"], 4, "pets was never in a champion's shadow; `pellucid models shadow pets@VERSION` begins"),
        (["--end", "pets"], 4, "nothing is in the shadow"),
        (["dogs"], 4, "the project has: pets"),
        (["--end", "dogs"], 4, "the project has: pets"),
        (["pets@1"], 4, "pets has no champion yet"),
        (["pets", "--share", "0.5"], 2, "name the candidate: pets@VERSION"),
        (["pets@1", "--report"], 4, "pets@1 was never in a champion's shadow"),
        (["pets@1", "--report", "--end"], 2, "give one of them"),
        (["pets@1", "--report", "--share", "0.5"], 2, "--report changes nothing"),
        (["pets@1", "--share", "0"], 2, "above 0 and at most 1"),
    ],
)
def test_what_is_wrong_with_a_shadow(cli: Cli, trained: Path, words: list[str], code: int, says: str) -> None:
    ended = cli("models", "shadow", *words)
    assert ended.code == code
    assert says in ended.error
