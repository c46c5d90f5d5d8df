from __future__ import annotations

import io
import re
import sys
import threading

import pytest

from pellucid.cli import progress as module
from pellucid.cli.output import print_table
from pellucid.cli.progress import progress_bar


class Screen(io.StringIO):
    """A terminal that says when something was drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if "reading" in text:
            self.drawn.set()
        return super().write(text)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def test_a_long_act_shows_a_bar_that_is_wiped_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.0)
    screen, data = Screen(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", data)
    with progress_bar(quiet=False) as progress:
        progress("reading [red]", 3, 7)
        assert screen.drawn.wait(10), "drawn without another call"
        print("an answer")
        progress("writing", 0, None)
    assert "reading [red]" in screen.getvalue()
    assert "3/7" in screen.getvalue()
    assert data.getvalue() == "an answer\n", "data that goes to a file is left alone"
    assert screen.getvalue().rstrip("\r\n").endswith("\x1b[2K")


def test_a_short_act_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar(quiet=False) as progress:
        progress("reading", 1, 2)
    assert screen.getvalue() == ""


@pytest.mark.parametrize(("quiet", "screen"), [(True, Screen()), (False, io.StringIO())])
def test_where_nobody_looks_nothing_is_drawn(
    monkeypatch: pytest.MonkeyPatch, *, quiet: bool, screen: io.StringIO
) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.0)
    monkeypatch.setattr(sys, "stderr", screen)
    before = threading.active_count()
    with progress_bar(quiet) as progress:
        progress("reading", 1, 2)
        assert threading.active_count() == before
    assert screen.getvalue() == ""


def test_an_error_passes_and_the_bar_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.0)
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)

    def fail() -> None:
        with progress_bar(quiet=False) as progress:
            progress("reading", 1, 2)
            assert screen.drawn.wait(10)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "\x1b[?25h" in screen.getvalue()


def test_what_has_no_total_does_not_show_that_of_what_was_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.0)
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar(quiet=False) as progress:
        progress("embedding", 0, 7)
        progress("reading", 0, None)
        assert screen.drawn.wait(10)
    assert "/7" not in screen.getvalue().partition("reading")[2]


def test_a_table_that_is_printed_under_a_bar_goes_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.0)
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", screen)
    with progress_bar(quiet=False) as progress:
        progress("reading", 3, 7)
        assert screen.drawn.wait(10)
        print_table(("name",), [("ann",)])
    wiped = re.split(r"\n|\x1b\[2K", screen.getvalue())
    shown = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", line).strip() for line in wiped]
    assert {"name", "ann"} <= set(shown), "each on a line of its own"
