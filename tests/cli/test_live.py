from __future__ import annotations

import dataclasses
import io
import json
import os
import pty
import re
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from pellucid import Project
from pellucid.cli.live import Board, live_board
from pellucid.cli.output import note, put
from pellucid.types import Job, JobState

from .conftest import Cli, Start


def picture_of(board: Board, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(board)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_every_job_has_a_line_and_the_columns_stand_still(cli: Cli, trained: Path) -> None:
    cli("train", "-d", "pets", "-s", "lambda=1,2", "--detach")
    with Project(trained) as project:
        jobs = project.jobs()
        board = Board(project, [job.id for job in jobs], 24)
        before = picture_of(board)
        waiting = next(job for job in jobs if job.state is JobState.QUEUED)
        running = dataclasses.replace(waiting, state=JobState.RUNNING)
        board._jobs = [running if job.id == waiting.id else job for job in jobs]
        board.progress(running)("embedding", 1, 3)
        after = picture_of(board)
        narrow = picture_of(board, 40)
    assert len(before) == len(after) == len(narrow) == 1 + 3 + 1
    assert before[0] == after[0]
    assert sum("0." in line or "1.000" in line for line in before if "done" in line) == 1, "accuracy of what is done"
    assert any("embedding 33%" in line for line in after)
    assert after[-1] == "1 queued, 1 running, 1 done"
    assert all(len(line) <= 40 for line in narrow)


def test_where_there_is_no_room_for_all_the_most_telling_are_shown(cli: Cli, trained: Path) -> None:
    cli("train", "-d", "pets", "-s", f"lambda={','.join(map(str, range(1, 31)))}", "--detach")
    with Project(trained) as project:
        jobs: list[Job] = project.jobs()
        board = Board(project, [job.id for job in jobs], 12)
        board._jobs = [*jobs[:-1], dataclasses.replace(jobs[-1], state=JobState.RUNNING, message="reporting")]
        shown = picture_of(board)
    assert len(shown) <= 12
    assert any("reporting" in line for line in shown)
    assert sum(f"{state}" in line for line in shown for state in ("done ",)) >= 1
    assert shown[-1] == "29 queued, 1 running, 1 done"


def test_what_is_said_meanwhile_goes_above_the_table(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    with Project(trained) as project, live_board(project, [1]):
        put("a datum")
        note("a remark")
    for said in ("a datum", "a remark"):
        assert f"\x1b[2K{said}\n" in screen.getvalue(), "the table is wiped before, and drawn again below"
        assert "1 done" in screen.getvalue().partition(said)[2]


def test_on_a_terminal_the_table_is_wiped_and_the_data_stays_clean(start: Start, trained: Path) -> None:
    """stdout goes to a file, stderr is a terminal: the file holds JSON only, the terminal no debris."""
    ours, theirs = pty.openpty()
    with (trained / "results.jsonl").open("w") as results:
        words = ("train", "-d", "pets", "-s", "lambda=1", "--json")
        process = start(*words, cwd=trained, stdout=results, stderr=theirs, TERM="xterm", COLUMNS="80", LINES="24")
    os.close(theirs)
    seen = bytearray()

    def listen() -> None:
        try:
            while data := os.read(ours, 65536):
                seen.extend(data)
        except OSError:  # how Linux says that the other end is closed
            return

    listener = threading.Thread(target=listen)
    listener.start()
    assert process.wait(60) == 0
    listener.join()
    os.close(ours)
    lines = [json.loads(line) for line in (trained / "results.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["done"]
    text = seen.decode()
    assert "lambda=1" in text
    assert text.index("\x1b[?25l") < text.rindex("\x1b[?25h"), "the cursor is shown again"
    left = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text[text.rindex("\x1b[2K") :])
    assert [line.split(":")[0] for line in left.split("\r\n") if line.strip()] == ["report", "next"]
