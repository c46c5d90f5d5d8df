"""``init`` and ``config``: make a project, and see its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.context import Globals, JsonOption, print_json, print_table, say


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(init)
    app.command()(config)


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
        print_table(("setting", "value", "from"), [(row["setting"], row["value"], row["origin"]) for row in settings])
