from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from pellucid import __version__
from pellucid.cli.app import app

from .conftest import Cli

HEAVY = {
    *("numpy", "scipy", "sklearn", "skimage", "pandas", "pyarrow", "PIL", "sqlalchemy", "alembic"),
    *("mlflow", "onnxruntime", "matplotlib", "torch", "fsspec", "safetensors", "jinja2"),
}
NO_DATA = {"init", "serve", "up"}  # commands that print remarks, or an address, only
GROUPS = {"bench", "datasets", "models", "queue", "stream", "tokens"}


def commands() -> Iterator[tuple[str, Any]]:
    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield name, command
        for word, child in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {word}".strip(), child)

    yield from walk("", typer.main.get_command(app))


def options_of(command: Any) -> list[Any]:
    return [item for item in command.params if item.name not in {"install_completion", "show_completion"}]


def test_every_command_and_group_says_what_it_does() -> None:
    names = [name for name, _ in commands()]
    assert len(names) > 25
    for name, command in commands():
        assert command.help, name
        assert command.help.strip().endswith("."), name


def test_every_option_and_argument_says_what_it_is() -> None:
    for name, command in commands():
        for item in options_of(command):
            assert item.help, (name, item.name)
            assert item.help.endswith("."), (name, item.name)


def test_every_command_that_prints_data_prints_json_too() -> None:
    for name, command in commands():
        if name and name not in NO_DATA | GROUPS:
            assert "--json" in {word for item in command.params for word in item.opts}, name


def test_whatever_changes_production_can_be_tried_dry() -> None:
    seen = {name for name, command in commands() if any("--dry-run" in item.opts for item in command.params)}
    assert seen == {
        "clean",
        "corrupt",
        "forget",
        "models promote",
        "models rollback",
        "models shadow",
        "models mirror",
        "prune",
        "retrain",
        "stream bridge",
        "stream consume",
        "stream publish",
        "stream simulate",
    }
    for name, command in commands():
        if name in seen:
            assert any("-n" in item.opts for item in command.params), name


def test_one_letter_means_one_thing() -> None:
    meaning: dict[str, str] = {}
    for name, command in commands():
        for item in command.params:
            longs = [word for word in item.opts if word.startswith("--")]
            for word in item.opts:
                if len(word) == 2 and longs:
                    assert meaning.setdefault(word, longs[0]) == longs[0], (name, word)


@pytest.mark.parametrize("words", [(), ("bench",), ("datasets",), ("models",), ("queue",), ("stream",), ("tokens",)])
def test_without_a_command_the_help_is_shown_and_the_exit_code_is_that_of_misuse(
    cli: Cli, words: tuple[str, ...]
) -> None:
    ended = cli(*words)
    assert ended.code == 2
    assert "Usage: pellucid" in ended.out + ended.err


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_data_and_takes_the_name_of_the_command(cli: Cli, word: str) -> None:
    for name, _ in commands():
        ended = cli(*name.split(), word)
        assert (ended.code, ended.err) == (0, "")
        assert f"Usage: pellucid {name}".strip() in ended.out


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out == f"pellucid {__version__}\n"


def test_help_imports_nothing_heavy(child_environ: dict[str, str]) -> None:
    program = (
        "import sys\n"
        "from pellucid.cli.app import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env=child_environ, capture_output=True, text=True, check=True
    )
    assert "Usage: pellucid" in ended.stdout
    assert not HEAVY & {name.partition(".")[0] for name in ended.stderr.split()}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ingets"], "no such command 'ingets'. Did you mean 'ingest'"),
        (["ingest"], "`pellucid ingest --help` shows how"),
        (["datasets", "shwo", "x"], "Did you mean 'show'"),
        (["ingest", "x", "--datset", "y"], "no such option: --datset"),
        (["--colour"], "no such option: --colour"),
        (["models", "list", "-q"], "-q stands before the command: pellucid -q models list"),
        (["queue", "retry", "seven"], "invalid value for 'JOB'"),
        (["worker", "--jobs", "0"], "invalid value for '--jobs'"),
        (["ingest", "x", "-d", "y", "--role", "boss"], "'annotator'"),
        (["predict", "x", "--json", "--csv"], "--json and --csv exclude each other"),
        (["datasets", "lineage"], "name either a dataset or --impact SAMPLE"),
        (["train", "--set", "lambda"], "wanted is NAME=VALUE"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(cli: Cli, here: Path, words: list[str], says: str) -> None:
    ended = cli(*words)
    assert says in ended.error
    assert (ended.code, ended.out) == (2, "")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["-P", "/nowhere", "datasets", "list"], 4, "`pellucid init"),
        (["-c", "colour=red", "config"], 3, "colour"),
        (["-c", "threads=many", "config"], 3, "-c threads is 'many'; wanted is a whole number"),
        (["-c", "database_url=oracle://x", "datasets", "list"], 3, "wanted is sqlite:///PATH or postgresql"),
        (["datasets", "show", "nope"], 4, "no dataset 'nope'; the project has: none yet"),
        (["models", "show", "nope"], 4, "no model named 'nope'"),
        (["models", "list", "nope"], 4, "no model named 'nope'"),
        (["models", "history", "nope"], 4, "no model named 'nope'"),
        (["models", "rollback", "nope"], 4, "no model named 'nope'"),
        (["queue", "cancel", "7"], 4, "no job 7"),
        (["tokens", "revoke", "nope"], 4, "no token 'nope'"),
        (["predict", "x.png"], 4, "`pellucid ingest` and `pellucid train` make one"),
        (["train"], 2, "name one with --dataset NAME"),
        (["ingest", "/nowhere", "-d", "pets"], 5, "/nowhere"),
        (["datasets", "lineage", "--impact", "abcd"], 4, "no sample begins with 'abcd'"),
    ],
)
def test_what_is_not_there_is_one_line_that_says_what_is(
    cli: Cli, here: Path, words: list[str], code: int, says: str
) -> None:
    ended = cli(*words)
    assert says in ended.error
    assert (ended.code, ended.out) == (code, "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["datasets", "list"], "no dataset yet; next: pellucid ingest FOLDER --dataset NAME"),
        (["models", "list"], "no model yet; next: pellucid train --dataset NAME"),
        (["models", "history"], "no model has been promoted yet; next: pellucid models promote NAME@VERSION"),
        (["queue", "list"], "no job waits or runs; --all shows those that have ended"),
        (["queue", "list", "--all"], "no job waits or runs"),
        (["tokens", "list"], "no token yet; next: pellucid tokens create NAME --role predict"),
    ],
)
def test_an_empty_list_says_what_to_do_next_and_prints_no_data(
    cli: Cli, here: Path, words: list[str], says: str
) -> None:
    ended = cli(*words)
    assert (ended.code, ended.out, ended.err) == (0, "", says + "\n")
    ended = cli(*words, "--json")
    assert ended.out in {"[]\n", ""}
    assert ended.err == ""


def test_a_project_is_found_from_below_and_by_name(
    cli: Cli, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = here / "a" / "b"
    below.mkdir(parents=True)
    for place, words in ((below, ()), (tmp_path, ("-P", here)), (tmp_path, ("--project", below))):
        monkeypatch.chdir(place)
        assert cli(*words, "config").code == 0
    monkeypatch.chdir(tmp_path)
    assert cli("config").code == 4


def test_a_flag_is_stronger_than_the_environment_and_the_environment_than_the_file(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seed(*words: str) -> tuple[Any, str]:
        row = next(row for row in cli(*words, "config", "--json").json if row["setting"] == "seed")
        return row["value"], row["origin"]

    assert seed() == (0, "default")
    with (here / "pellucid.toml").open("a") as file:
        file.write("seed = 1\n")
    assert seed() == (1, str(here / "pellucid.toml"))
    monkeypatch.setenv("PELLUCID_SEED", "2")
    assert seed() == (2, "PELLUCID_SEED")
    assert seed("-c", "seed=3") == (3, "-c seed")


def test_quiet_means_no_remarks_but_still_errors(cli: Cli, here: Path) -> None:
    assert cli("-q", "init", "another").err == ""
    assert cli("-q", "datasets", "show", "nope").error


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_offers_the_commands(child_environ: dict[str, str], shell: str) -> None:
    environ = {
        **child_environ,
        "_PELLUCID_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "pellucid da",
        "COMP_CWORD": "1",
    }
    environ |= {"_TYPER_COMPLETE_ARGS": "pellucid da", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    ended = subprocess.run([sys.executable, "-m", "pellucid"], env=environ, capture_output=True, text=True, check=False)
    assert "datasets" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert os.environ.get("_PELLUCID_COMPLETE") is None
