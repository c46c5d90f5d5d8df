"""``prune``: forget old answers that nobody said anything of."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli.context import MORE, JsonOption, open_project
from pellucid.cli.output import print_json, put


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command(rich_help_panel=MORE)(prune)


def prune(
    context: typer.Context,
    days: Annotated[
        float | None, typer.Option("--days", help="Keep what is younger; the setting keep_days where left out.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would go; change nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Forget old answers that no vote names, with the vectors and images that only they referred to.

    Votes, the ledger, dataset versions and models are kept for ever. `worker --watch` does the same once a day where
    the setting keep_days is above 0.
    """
    with open_project(context) as project:
        done = project.prune(days, dry_run=dry_run)
    if json:
        print_json(done)
        return
    verb = "would forget" if dry_run else "forgot"
    put(
        f"{verb} {done.answers} answers, {done.shadow_answers} shadow answers, {done.vectors} vectors, "
        f"{done.images} images, {done.receipts} receipts"
    )
