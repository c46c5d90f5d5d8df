"""What every command shares: the global options, the open project, tables, JSON and progress bars."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pellucid.flow.workspace import Progress
    from pellucid.project import Project

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_SLOW = 2.0  # seconds after which a long act shows a bar


@dataclass(frozen=True, slots=True)
class Globals:
    """The options before the command's name."""

    project: Path | None
    config: tuple[str, ...]
    quiet: bool

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings given with ``-c NAME=VALUE``."""
        from pellucid.config import parse_overrides

        return parse_overrides(self.config)


@contextlib.contextmanager
def open_project(context: typer.Context) -> Iterator[Project]:
    """The project that the command is about, with a progress bar on stderr where a person looks on."""
    from pellucid.project import Project

    options: Globals = context.obj
    here, overrides = options.project or Path.cwd(), options.overrides
    with progress_bar(options.quiet) as progress, Project(here, progress=progress, settings=overrides) as project:
        yield project


@contextlib.contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """A callback that draws a bar on stderr once an act has taken two seconds; nothing where nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, Any] = {}
    since = time.monotonic()
    started = False

    def show(what: str, done: int, total: int | None) -> None:
        nonlocal started
        if not started and time.monotonic() - since > _SLOW:
            bar.start()
            started = True
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)

    try:
        yield show
    finally:
        if started:
            bar.stop()


def say(context: typer.Context, text: str) -> None:
    """A remark on stderr."""
    if not context.obj.quiet:
        typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """One JSON document on one line."""
    typer.echo(json.dumps(plain(value), ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table for people; in a pipe it keeps its full width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    width = None if sys.stdout.isatty() else 10_000
    console = Console(width=width)
    if width:
        with console.capture() as captured:
            console.print(table)
        typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
    else:
        console.print(table)


def plain(value: Any) -> Any:
    """Dataclasses, mappings, paths and times as what JSON has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: plain(getattr(value, item.name))
            for item in dataclasses.fields(value)
            if not item.name.startswith("_") and not isinstance(getattr(value, item.name), bytes)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if hasattr(value, "strftime"):
        return str(value.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_cell(item)}" for key, item in value.items()) or "-"
    return str(value)
