"""The live table of a training: every job of the grid, its state and its accuracy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pellucid.flow.workspace import Progress
    from pellucid.project import Project
    from pellucid.types import Job, JobState

_STYLES = {"queued": "dim", "running": "cyan", "done": "green", "failed": "red", "cancelled": "yellow"}


@contextlib.contextmanager
def live_jobs(
    project: Project, ids: Sequence[int]
) -> Iterator[tuple[Callable[[Job], None], Callable[[Job], Progress]]]:
    """A table on stderr; yields what to call when a job changes, and what to call for a job's progress."""
    doing: dict[int, str] = {}
    accuracy: dict[int, str] = {}

    def draw() -> Table:
        table = Table("job", "dataset", "model", "settings", "state", "accuracy", box=None, header_style="bold")
        for job in project.jobs(ids):
            settings = ", ".join(f"{key}={value}" for key, value in job.settings.items())
            state = Text(doing.get(job.id) or _told(job.state, job), style=_STYLES[job.state])
            table.add_row(str(job.id), job.dataset, job.model, settings, state, accuracy.get(job.id, ""))
        return table

    with Live(draw(), console=Console(stderr=True), transient=True, auto_refresh=False) as live:

        def changed(job: Job) -> None:
            doing.pop(job.id, None)
            if job.result:
                accuracy[job.id] = f"{project.model(job.result).metrics['accuracy']:.3f}"
            live.update(draw(), refresh=True)

        def progress(job: Job) -> Progress:
            last = [-1.0]

            def show(what: str, done: int, total: int | None) -> None:
                share = done / total if total else 0.0
                if what not in doing.get(job.id, "") or share - last[0] >= 0.01:
                    last[0] = share
                    doing[job.id] = f"{what} {share:.0%}" if total else what
                    live.update(draw(), refresh=True)

            return show

        yield changed, progress


def _told(state: JobState, job: Job) -> str:
    return f"{state}: {job.message}" if job.message and job.finished_at else str(state)
