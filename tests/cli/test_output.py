from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.cli.output import one_line, plain, print_json, print_table
from pellucid.features.spec import short_spec
from pellucid.types import Role, Sample, Vote


class Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Screen]:
    """show(): from now on stdout is a terminal of 40 columns."""

    def show() -> Screen:
        screen = Screen()
        monkeypatch.setattr(sys, "stdout", screen)
        return screen

    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return show


def lines_of(screen: Screen) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    return [line.rstrip() for line in text.splitlines()]


def test_frozen_values_become_what_json_has() -> None:
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    vote = plain(Vote("pets", "ab", "cat", Role.USER, "ann", at))
    assert vote["at"] == "2026-01-02T03:04:00+00:00"
    assert json.loads(json.dumps(vote))["role"] == "user"
    assert "sketch" not in plain(Sample("ab", "image/png", 1, 2, 3, b"\0"))
    assert plain({1: (Path("a"), {"b"})}) == {"1": ["a", ["b"]]}


@given(st.text(st.characters(), max_size=20))
def test_every_name_survives_json_and_keeps_to_one_line(name: str) -> None:
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", said)
        print_json({"name": name})
    assert said.getvalue().count("\n") == 1
    said.getvalue().encode()
    assert json.loads(said.getvalue())["name"] == name
    assert one_line(name).isprintable()
    assert not name.isprintable() or one_line(name) == name


def test_a_name_cannot_play_tricks_on_the_terminal() -> None:
    assert one_line("a\x1b[2Jb\r\udcff") == "a\\x1b[2Jb\\r\\udcff"


def test_in_a_pipe_a_table_has_its_full_width_and_numbers_stand_to_the_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [("a" * 200, 1, 0.12345, None, ""), ("日本", 23, None, {"lambda": 0.1, "p": "x"}, "x")]
    print_table(("name", "n", "share", "settings", "why"), rows, optional=("why",))
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "n", "share", "settings", "why"]
    assert first == "a" * 200 + "   1  0.123  -"
    assert second == "日本" + " " * 196 + "  23      -  lambda=0.1, p=x  x"


def test_an_empty_table_is_a_remark(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [], empty="nothing yet")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "nothing yet\n")
    print_table(("name",), [])
    assert capsys.readouterr().out == "name\n"


def test_on_a_terminal_what_is_optional_gives_way_the_last_first(
    show: Callable[[], Screen], capsys: pytest.CaptureFixture[str]
) -> None:
    screen = show()
    row = ("pets@1", 0.5, "ridge", "x" * 12, "y" * 12)
    print_table(("model", "accuracy", "head", "one", "two"), [row], optional=("one", "two"))
    heading, line = lines_of(screen)
    assert heading.split() == ["model", "accuracy", "head", "one"]
    assert line.split() == ["pets@1", "0.500", "ridge", "x" * 12]
    assert "no room for: two;" in capsys.readouterr().err


def test_on_a_terminal_a_heading_is_broken_before_a_column_is_left_out(show: Callable[[], Screen]) -> None:
    screen = show()
    row = ("pets@1", 0.5, 0.25, 0.125)
    names = ("model", "balanced accuracy", "macro F1", "calibration error")
    print_table(names, [row], optional=names[1:])
    lines = lines_of(screen)
    assert lines[-1].split() == ["pets@1", "0.500", "0.250", "0.125"]
    assert sorted(" ".join(lines[:-1]).split()) == sorted(" ".join(names).split())
    assert all(len(line) <= 40 for line in lines)


def test_on_a_terminal_nothing_is_cut_off(show: Callable[[], Screen]) -> None:
    screen = show()
    print_table(("setting", "value"), [("database_url", "z" * 90)])
    lines = lines_of(screen)
    assert sum(line.count("z") for line in lines) == 90
    assert all(len(line) <= 40 for line in lines)
    assert "…" not in screen.getvalue()


def test_extractors_are_named_without_their_folders() -> None:
    assert [short_spec(spec) for spec in ("onnx:/a/b.onnx", "classical", "hf://a/b.onnx", "timm:x")] == [
        *("onnx:b.onnx", "classical", "hf://a/b.onnx", "timm:x")
    ]
