"""Settings: file < environment < flag, and a message that names the one that is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import pytest

from pellucid.config import (
    Settings,
    config_template,
    find_root,
    hide_secrets,
    load_settings,
    parse_overrides,
    setting_fields,
)
from pellucid.errors import ConfigError, NotFoundError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pellucid.toml").write_text("", encoding="utf-8")
    return tmp_path


def write(root: Path, text: str) -> None:
    (root / "pellucid.toml").write_text(text, encoding="utf-8")


def test_the_later_source_wins_and_every_value_knows_its_origin(root: Path) -> None:
    write(root, "seed = 1\nthreads = 2\ntest_fraction = 0.3\n[train]\ndatasets = ['a']\n")
    environ = {"PELLUCID_THREADS": "3", "PELLUCID_TEST_FRACTION": "0.4", "HOME": "/root"}
    settings = load_settings(root, environ=environ, flags={"test_fraction": 0.5, "poll_seconds": None})
    found = (settings.seed, settings.threads, settings.test_fraction, settings.poll_seconds)
    assert found == (1, 3, 0.5, 2.0)
    assert settings.train == {"datasets": ["a"]}
    origins = {row["setting"]: row["origin"] for row in settings.describe()}
    assert origins["seed"] == origins["train"] == str(root / "pellucid.toml")
    assert origins["threads"] == "PELLUCID_THREADS"
    assert origins["test_fraction"] == "-c test_fraction"
    assert origins["poll_seconds"] == origins["extractor"] == "default"
    assert list(origins) == [item.name for item in setting_fields()]


def test_the_environment_of_the_process_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_SEED", "7")
    assert load_settings(root).seed == 7


def test_the_environment_speaks_toml_and_texts_need_no_quotes(root: Path) -> None:
    environ = {"PELLUCID_TRAIN": '{ datasets = ["a", "b"] }', "PELLUCID_EXTRACTOR": "onnx:a b.onnx"}
    settings = load_settings(root, environ=environ)
    assert settings.train == {"datasets": ["a", "b"]}
    assert settings.extractor == "onnx:a b.onnx"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().seed = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        Settings().train["models"] = []  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sed = 1", "'sed'; did you mean 'seed'?"),
        ("colour = 1", "'colour'; known are: database_url, "),
        ('seed = "1"', "seed is '1'; wanted is a whole number at least 0"),
        ("seed = 1.0", "seed is 1.0; wanted is a whole number"),
        ("seed = true", "seed is True; wanted is a whole number"),
        ("seed = -1", "seed is -1; wanted is a whole number at least 0"),
        ("seed = 4294967296", "at most 4294967295"),
        ("test_fraction = 0.91", "test_fraction is 0.91; wanted is a number at least 0 and at most 0.9"),
        ("test_fraction = nan", "test_fraction is nan; wanted is a number"),
        ("lease_seconds = inf", "lease_seconds is inf; wanted is a number at least 0.1"),
        ("poll_seconds = 0", "poll_seconds is 0.0; wanted is a number at least 0.01"),
        ("extractor = 3", "extractor is 3; wanted is a text"),
        ('cache_dir = " "', "cache_dir is ' '; wanted is a text that is not empty"),
        ("train = 3", "train is 3; wanted is a table"),
        ("seed = ", "is no TOML file"),
        ('extractor = "\\u0000"', "extractor is '\\x00'"),
    ],
)
def test_a_wrong_file_is_named_with_the_cure(root: Path, text: str, wanted: str) -> None:
    write(root, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(root, environ={})
    assert str(root / "pellucid.toml") in str(caught.value)
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"PELLUCID_SEED": "one"}, "PELLUCID_SEED is 'one'; wanted is a whole number at least 0"),
        ({"PELLUCID_SEED": ""}, "PELLUCID_SEED is ''; wanted is a whole number"),
        ({"PELLUCID_SEED": "-2"}, "PELLUCID_SEED: seed is -2; wanted is a whole number at least 0"),
        ({"PELLUCID_CACHE_DIR": ""}, "PELLUCID_CACHE_DIR: cache_dir is ''; wanted is a text that is not empty"),
        ({"PELLUCID_DATABSE_URL": "x"}, "PELLUCID_DATABSE_URL is no setting; did you mean PELLUCID_DATABASE_URL?"),
    ],
)
def test_a_wrong_variable_is_named_with_the_cure(root: Path, environ: Mapping[str, str], wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(root, environ=environ)
    assert wanted in str(caught.value)


def test_variables_of_other_purposes_are_let_be(root: Path) -> None:
    environ = {"PELLUCID_DEBUG": "1", "PELLUCID_DATA": "/data", "PELLUCID_ELSEWHERE": "x"}
    assert load_settings(root, environ=environ) == Settings()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("seed", "'seed' has no '='; wanted is NAME=VALUE"),
        ("sed=1", "unknown setting 'sed'; did you mean 'seed'?"),
        ("seed=x", "-c seed is 'x'; wanted is a whole number"),
    ],
)
def test_a_wrong_override_is_named_with_the_cure(text: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides([text])
    assert wanted in str(caught.value)


def test_an_override_out_of_range_is_refused_like_any_other(root: Path) -> None:
    with pytest.raises(ConfigError, match="-c seed: seed is -1"):
        load_settings(root, environ={}, flags=parse_overrides(["seed=-1"]))
    with pytest.raises(ConfigError, match="did you mean 'threads'"):
        load_settings(root, environ={}, flags={"thread": 1})


def test_the_value_of_an_override_may_hold_an_equals_sign() -> None:
    assert parse_overrides(["database_url=postgresql://h/d?a=b"]) == {"database_url": "postgresql://h/d?a=b"}


def test_the_template_is_the_defaults_and_mentions_every_setting() -> None:
    text = config_template()
    assert tomllib.loads(text) == {}
    shown: dict[str, Any] = {}
    for line in text.partition("# [")[0].splitlines():  # before the tables, whose keys may have a setting's name
        name, equals, value = line.removeprefix("# ").partition(" = ")
        if equals and name in {item.name for item in setting_fields()}:
            shown |= tomllib.loads(f"{name} = {value}")
    assert shown == {item.name: item.default for item in setting_fields() if item.default is not MISSING}
    assert all(f"# [{item.name}]" in text for item in setting_fields() if item.default is MISSING)


def test_the_template_works_with_every_comment_sign_removed(root: Path) -> None:
    lines = config_template().splitlines()
    tables = ("[train]", "[retrain]", "[gate]")
    settings = [line.removeprefix("# ") for line in lines if " = " in line or line.removeprefix("# ") in tables]
    write(root, "\n".join(line for line in settings if line.split(" = ")[0].isidentifier() or line in tables))
    found = load_settings(root, environ={})
    assert found.train["datasets"] == ["NAME"]
    assert found.retrain["schedule"] == "0 3 * * *"
    assert found.gate["floors"] == {"*": 0.5, "NAME": 0.8}
    assert found.test_fraction == Settings().test_fraction


def test_the_project_is_found_from_any_folder_below(root: Path) -> None:
    below = root / "a" / "b"
    below.mkdir(parents=True)
    assert find_root(below) == find_root(root) == root
    write(below.parent, "")
    assert find_root(below) == below.parent


def test_no_project_and_no_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="pellucid init"):
        find_root(tmp_path)
    write(tmp_path, "")
    with pytest.raises(NotFoundError, match="is no folder"):
        find_root(tmp_path / "typo")  # not the project above it


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="pellucid init"):
        load_settings(tmp_path, environ={})
    (tmp_path / "pellucid.toml").write_bytes(b"extractor = '\xff'")
    with pytest.raises(ConfigError, match="is no TOML file"):
        load_settings(tmp_path, environ={})


SECRETS = [
    ("postgresql://ann:hunter2@db/x", "postgresql://ann:***@db/x"),
    ("postgresql+psycopg://ann:hun%40ter2@db:5432/x", "postgresql+psycopg://ann:***@db:5432/x"),
    ("postgresql://ann:hun@ter2@db/x", "postgresql://ann:***@db/x"),
    ("https://:hunter2@mlflow/", "https://:***@mlflow/"),
    ("postgresql://db/x?user=ann&password=hunter2&a=b", "postgresql://db/x?user=ann&password=***&a=b"),
    ("s3://key:hunter2@bucket/x", "s3://key:***@bucket/x"),
    ("to http://ann:hunter2@mlflow:5000/api failed", "to http://ann:***@mlflow:5000/api failed"),
]


@pytest.mark.parametrize(("text", "hidden"), SECRETS)
def test_passwords_are_hidden(text: str, hidden: str) -> None:
    assert hide_secrets(text) == hidden
    assert hide_secrets({"a": [text]}) == {"a": [hidden]}


@pytest.mark.parametrize(
    "text", ["sqlite:///a:b/c.db", "http://host:5000/x", "s3://bucket/a", ".pellucid/a@b", "", "x"]
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert hide_secrets(text) == text


@pytest.mark.parametrize("name", ["database_url", "mlflow_url", "blob_url", "artifact_url"])
def test_no_password_is_shown_anywhere(root: Path, name: str) -> None:
    url = "postgresql://ann:hunter2@db/x"
    settings = load_settings(root, environ={f"PELLUCID_{name.upper()}": url})
    assert getattr(settings, name) == url
    assert "hunter2" not in f"{settings.describe()} {settings!r}"
    for offered in (f"{name}x={url}", f"{name} {url}"):
        with pytest.raises(ConfigError) as caught:
            parse_overrides([offered])
        assert "hunter2" not in str(caught.value)
    write(root, f'{name} = ["{url}"]')
    with pytest.raises(ConfigError) as caught:
        load_settings(root, environ={})
    assert "hunter2" not in str(caught.value)
