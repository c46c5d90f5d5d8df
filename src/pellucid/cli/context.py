"""What every command shares: the global options, the open project, and remarks on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.output import note
from pellucid.cli.progress import progress_bar

if TYPE_CHECKING:
    from pellucid.project import Project

MAIN_JOB = "From images to answers"  # the panels of --help
MORE = "Data, models and jobs"

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON for each result.")]


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
def open_project(context: typer.Context, *, bar: bool = True) -> Iterator[Project]:
    """The project that the command is about.

    Args:
        bar: whether long acts show a progress bar on stderr, where a person looks on.
    """
    from pellucid.project import Project

    options: Globals = context.obj
    here, overrides = options.project or Path.cwd(), options.overrides
    quiet = options.quiet or not bar
    with progress_bar(quiet) as progress, Project(here, progress=progress, settings=overrides) as project:
        if str(project.workspace.root) not in sys.path:
            sys.path.append(
                str(project.workspace.root)
            )  # a user's own classes lie beside pellucid.toml; they hide nothing
        yield project


def say(context: typer.Context, text: str) -> None:
    """A remark on stderr."""
    if not context.obj.quiet:
        note(text)
