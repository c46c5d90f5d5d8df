"""``drift``: whether what the champion is asked about still looks like its test images."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli.context import MORE, JsonOption, open_project
from pellucid.cli.output import one_line, print_json, put


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command(rich_help_panel=MORE)(drift)


def drift(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Whose champion; the only one where left out.")] = None,
    json: JsonOption = False,
) -> None:
    """Compare the champion's newest answers with its test images: vectors, confidence, predicted classes.

    A difference counts where it is both surer than chance and large enough to matter, however many images there are.
    """
    with open_project(context) as project:
        report = project.drift(model)
    if json:
        print_json(report.to_dict())
        return
    put(one_line(report.summary))
    for name, shift in report.shifts.items():
        mark = "moved" if shift.drifted else "same"
        put(f"  {name:12}{mark:7}effect {shift.effect:.2f}  p {shift.p_value:.3g}  {one_line(shift.detail)}")
