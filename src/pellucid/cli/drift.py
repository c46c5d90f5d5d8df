"""``drift``: whether what the champion is asked about still looks like its test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import MORE, JsonOption, open_project
from pellucid.cli.output import one_line, plain, print_json, put

if TYPE_CHECKING:
    from pellucid.flow.online.drift_stream import StreamDrift

_SHOWN = 5  # newest alarms that are listed


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
    Where [drift] in pellucid.toml names a detector (stream = "page-hinkley"), it follows the newest confidences too.
    """
    with open_project(context) as project:
        stream = project.stream_drift(model)
        report = project.drift(model)
    if json:
        print_json({**report.to_dict(), "stream": plain(stream)})
        return
    put(one_line(report.summary))
    for name, shift in report.shifts.items():
        mark = "moved" if shift.drifted else "same"
        put(f"  {name:12}{mark:7}effect {shift.effect:.2f}  p {shift.p_value:.3g}  {one_line(shift.detail)}")
    if stream is not None:
        _tell(stream)


def _tell(stream: StreamDrift) -> None:
    told = f"the newest {stream.answers} confidences, one by one"
    if not stream.alarms:
        put(one_line(f"{stream.detector} called no drift in {told}"))
        return
    times = "once" if len(stream.alarms) == 1 else f"{len(stream.alarms)} times"
    put(one_line(f"{stream.detector} called a drift {times} in {told}"))
    for alarm in stream.alarms[-_SHOWN:]:
        put(f"  at answer {alarm.place:<6} {alarm.at.astimezone():%Y-%m-%d %H:%M:%S}  {alarm.uid}")
