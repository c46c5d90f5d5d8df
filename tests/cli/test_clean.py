"""``clean``, ``corrupt`` and ``datasets revert`` as they are typed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def pets_folder(tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("clean")
    with Project.init(root / "project") as made:
        made.ingest(class_folders(root / "source", {"cat": 24, "dog": 24, "eel": 24}), "pets", test_fraction=0.25)
    return root / "project"


@pytest.fixture
def pets(tmp_path: Path, pets_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with cats, dogs and eels, and the folder that we are in."""
    shutil.copytree(pets_folder, tmp_path / "pets")
    monkeypatch.chdir(tmp_path / "pets")
    return tmp_path / "pets"


def test_break_find_and_take_back(pets: Path, cli: Cli) -> None:
    assert cli("corrupt", "pets", "--labels", "pair", "--rate", "0.2", "-n").out.startswith("would break ")
    broke = cli("corrupt", "pets", "--labels", "pair", "--rate", "0.2")
    assert broke.out.startswith("broke ")
    assert broke.out.endswith("; pets@2\n")
    tried = cli("clean", "pets", "-n")
    assert tried.out.startswith("would change pets@2: ")
    assert cli("clean", "pets", "-n", "--json").json["dry_run"] is True
    cleaned = cli("clean", "pets", "--export", "out/suspects.csv")
    assert cleaned.out.startswith("made pets@3 from pets@2: ")
    assert "broken labels found" in cleaned.out
    assert "audit.html" in cleaned.err
    assert (pets / "out" / "suspects.csv").is_file()
    assert cli("clean", "pets").out.startswith("pets@3 is cleaned already: ")
    assert cli("datasets", "revert", "pets@1").out == "pets@4 holds what pets@1 does: 72 images\n"
    assert cli("datasets", "revert", "pets@1", "--json").json["ref"] == "pets@4"
    assert [item["recipe"]["verb"] for item in cli("datasets", "list", "pets", "--json").json] == [
        "ingest",
        "corrupt",
        "clean",
        "revert",
    ]


def test_images_are_broken_too(pets: Path, cli: Cli) -> None:
    done = cli("corrupt", "pets", "--images", "line", "--share", "0.5", "--json").json
    assert set(done["images"]) == {"line"}
    assert done["ref"] == "pets@2"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["clean", "dogs"], "the project has: pets"),
        (["clean", "pets", "--rule", "best"], "the rules are auto"),
        (["clean", "pets", "--export", "s.xlsx"], "neither in .csv"),
        (["corrupt", "pets"], "nothing to break"),
        (["corrupt", "pets", "--labels", "evil"], "evil"),
        (["corrupt", "pets", "--labels", "matrix", "--matrix", "none.csv"], "cannot be read"),
        (["datasets", "revert", "pets@9"], "no version pets@9"),
    ],
)
def test_what_cannot_be_is_one_line(pets: Path, cli: Cli, words: list[str], says: str) -> None:
    assert says in cli(*words).error
    assert len(cli("datasets", "list", "pets", "--json").json) == 1


def test_a_matrix_comes_from_a_file(pets: Path, cli: Cli) -> None:
    (pets / "m.csv").write_text("0.5,0.5,0\n0,0.5,0.5\n0.5,0,0.5\n", encoding="utf-8")
    words = ("corrupt", "pets", "--labels", "matrix", "--rate", "0.5", "--matrix", "m.csv", "--json")
    assert cli(*words).json["matrix"][0] == pytest.approx([0.5, 0.5, 0], abs=1e-9)
    (pets / "m.csv").write_text("a,b\n", encoding="utf-8")
    assert "something else than numbers" in cli(*words).error
