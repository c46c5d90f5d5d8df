"""``init`` and ``config``: make a project, and see its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.context import MAIN_JOB, MORE, Globals, JsonOption, say
from pellucid.cli.output import print_json, print_table


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel=MAIN_JOB)(init)
    app.command(rich_help_panel=MORE)(config)


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder that becomes a project.")] = Path(),
) -> None:
    """Make a folder a project: a commented pellucid.toml, and a state folder beside it."""
    from pellucid.project import Project

    Project.init(folder).close()
    say(context, f"made a project in {folder.resolve()}; next: pellucid ingest FOLDER --dataset NAME")


def config(context: typer.Context, json: JsonOption = False) -> None:
    """Show every setting, its value and where it came from; passwords are hidden."""
    from pellucid.config import find_root, load_settings

    options: Globals = context.obj
    root = find_root(options.project or Path.cwd())
    settings = load_settings(root, flags=options.overrides).describe()
    if json:
        print_json(settings)
    else:
        rows = [(row["setting"], "-" if row["value"] == {} else str(row["value"]), row["origin"]) for row in settings]
        print_table(("setting", "value", "from"), rows)
