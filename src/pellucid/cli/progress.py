"""The progress bar: on stderr, after two seconds, where a person looks on."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from pellucid.flow.workspace import Progress

_SLOW = 2.0  # seconds after which an act is long


@contextlib.contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """A callback that draws a bar for what is being done; it is wiped away in the end.

    Args:
        quiet: draw nothing, as where stderr is no terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=8,
        redirect_stdout=sys.stdout.isatty(),  # lines on the same terminal go above the bar; files get them untouched
    )
    now: dict[str, TaskID] = {}  # what is being done, alone

    def show(what: str, done: int, total: int | None) -> None:
        if what in now:
            bar.update(now[what], completed=done, total=total)
        else:  # not a reset of the last one, whose total would stand where there is none
            for task in now.values():
                bar.remove_task(task)
            now.clear()
            now[what] = bar.add_task(what, completed=done, total=total)

    # A timer and not the callback starts the bar, so that it also shows where one step takes long.
    timer = threading.Timer(_SLOW, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield show
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
