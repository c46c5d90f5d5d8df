from __future__ import annotations

import tomllib
from pathlib import Path

from .conftest import Cli


def test_init_makes_a_project_and_says_what_is_next(cli: Cli, tmp_path: Path) -> None:
    ended = cli("init", tmp_path / "new" / "shop")
    assert (ended.code, ended.out) == (0, "")
    assert "next: pellucid ingest FOLDER --dataset NAME" in ended.err
    text = (tmp_path / "new" / "shop" / "pellucid.toml").read_text()
    assert tomllib.loads(text) == {}
    assert "# test_fraction = 0.2" in text


def test_init_twice_is_refused_and_changes_nothing(cli: Cli, here: Path) -> None:
    (here / "pellucid.toml").write_text("seed = 7\n")
    ended = cli("init")
    assert "is a project already" in ended.error
    assert ended.code == 2
    assert (here / "pellucid.toml").read_text() == "seed = 7\n"


def test_config_hides_passwords_in_both_forms(cli: Cli, here: Path) -> None:
    flags = ("-c", "mlflow_url=postgresql://ann:hunter2@db/mlflow")
    for ended in (cli(*flags, "config"), cli(*flags, "config", "--json")):
        assert "ann:***@db" in ended.out
        assert "hunter2" not in ended.out


def test_config_shows_numbers_as_they_are_written(cli: Cli, here: Path) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in cli("config").out.splitlines()[1:]}
    assert rows["test_fraction"] == ["0.2", "default"]
    assert rows["max_image_bytes"] == ["67108864", "default"]
    assert rows["train"] == ["-", "default"]


def test_a_broken_pellucid_toml_is_one_line(cli: Cli, here: Path) -> None:
    (here / "pellucid.toml").write_text("seed = \n")
    for words in (["config"], ["datasets", "list"]):
        assert "is no TOML file" in cli(*words).error
    (here / "pellucid.toml").write_text("sede = 1\n")
    assert "did you mean 'seed'?" in cli("config").error
