"""The live table of a training: every job of the grid, its state and its accuracy."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pellucid.cli.output import one_line, settings_text
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pellucid.flow.workspace import Progress
    from pellucid.project import Project
    from pellucid.types import Job

_STYLES = {"queued": "dim", "running": "cyan", "done": "green", "failed": "red", "cancelled": "yellow"}
_STATE_WIDTH = 24  # fixed, so that the columns stand still while the state changes
_RATE = 4  # times a second that the table is drawn
_READ_EVERY = 1.0  # seconds between two looks at the queue, where other workers may be at work too


class Board:
    """The jobs as they stand; Rich asks for a new picture several times a second.

    Args:
        project: whose queue.
        ids: the jobs to show.
        height: lines that there is room for.
    """

    def __init__(self, project: Project, ids: Sequence[int], height: int) -> None:
        self._project = project
        self._ids = ids
        self._room = max(height - 3, 4)  # the heading, the count, and the line with the cursor
        self._doing: dict[int, str] = {}
        self._accuracy: dict[int, str] = {}
        self._jobs = project.jobs(ids)
        self._read_at = time.monotonic()

    def __rich__(self) -> Group:
        if time.monotonic() - self._read_at > _READ_EVERY:
            self._read_at = time.monotonic()
            # In Rich's own thread: a database that fails for a moment costs a picture, not the training.
            with suppress(PellucidError):
                self._jobs = self._project.jobs(self._ids)
        return self.draw()

    def changed(self, job: Job) -> None:
        """A job started or ended."""
        self._doing.pop(job.id, None)
        self._jobs = self._project.jobs(self._ids)

    def progress(self, job: Job) -> Progress:
        """What to call while that job is being done."""

        def show(what: str, done: int, total: int | None) -> None:
            self._doing[job.id] = f"{what} {done / total:.0%}" if total else what

        return show

    def draw(self) -> Group:
        """The table, and a count below it."""
        table = Table("job", "dataset", "model", "settings", box=None, pad_edge=False, header_style="bold")
        table.add_column("state", width=_STATE_WIDTH)
        table.add_column("accuracy", justify="right", width=len("accuracy"))
        for column in table.columns:
            column.no_wrap = True  # a line a job, whatever the width
        table.padding = (0, 2, 0, 0)
        for job in _most_telling(self._jobs, self._room):
            state = Text(self._state(job), style=_STYLES[job.state])
            names = (str(job.id), job.dataset, job.model, settings_text(job.settings))
            table.add_row(*map(Text, names), state, Text(self._accuracy_of(job)))
        counts = Counter(str(job.state) for job in self._jobs)
        return Group(table, Text(", ".join(f"{counts[state]} {state}" for state in _STYLES if counts[state]), "dim"))

    def _state(self, job: Job) -> str:
        if job.finished_at is not None or job.state == "queued":
            return one_line(f"{job.state}: {job.message}" if job.message else str(job.state))
        return self._doing.get(job.id) or job.message or str(job.state)

    def _accuracy_of(self, job: Job) -> str:
        if job.result and job.id not in self._accuracy:
            with suppress(PellucidError):
                self._accuracy[job.id] = f"{self._project.model(job.result).metrics['accuracy']:.3f}"
        return self._accuracy.get(job.id, "")


@contextlib.contextmanager
def live_board(project: Project, ids: Sequence[int]) -> Iterator[Board]:
    """The table on stderr while the block runs; it is wiped away in the end."""
    console = Console(stderr=True)
    board = Board(project, ids, console.height)
    redirect = sys.stdout.isatty()  # lines on the same terminal go above the table; files get them untouched
    with Live(board, console=console, transient=True, refresh_per_second=_RATE, redirect_stdout=redirect):
        yield board


def _most_telling(jobs: Sequence[Job], room: int) -> list[Job]:
    """As many jobs as there is room for, in their order: running ones first of all, then what ended last."""
    if len(jobs) <= room:
        return list(jobs)
    rank = {"running": 0, "failed": 1, "done": 2, "queued": 3, "cancelled": 4}

    def urgency(job: Job) -> tuple[int, float, int]:
        return rank[job.state], -job.finished_at.timestamp() if job.finished_at else 0.0, job.id

    chosen = {job.id for job in sorted(jobs, key=urgency)[:room]}
    return [job for job in jobs if job.id in chosen]
