"""The ``pellucid`` command: its groups and its global options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pellucid import __version__
from pellucid.cli import (
    bench,
    clean,
    datasets,
    drift,
    ending,
    ingest,
    init,
    models,
    predict,
    prune,
    queue,
    retrain,
    serve,
    shadow,
    stream,
    tokens,
    train,
    votes,
)
from pellucid.cli.context import MORE, Globals
from pellucid.cli.output import put


class _Pellucid(TyperGroup):
    """The root group; hands Ctrl-C and a closed pipe to ``ending.run``, where Typer would end the process itself."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise ending.Stopped from stop
        except BrokenPipeError as closed:
            raise ending.PipeClosed from closed


app = typer.Typer(
    name="pellucid",
    cls=_Pellucid,
    help="Keep an image classifier right in production while the data it learns from is not.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (init, ingest, clean, train, predict, serve, retrain, votes, drift, prune):
    module.add_commands(app)
shadow.add_commands(models.app)
app.add_typer(datasets.app, name="datasets", rich_help_panel=MORE)
app.add_typer(models.app, name="models", rich_help_panel=MORE)
app.add_typer(bench.app, name="bench", rich_help_panel=MORE)
app.add_typer(queue.app, name="queue", rich_help_panel=MORE)
app.add_typer(stream.app, name="stream", rich_help_panel=MORE)
app.add_typer(tokens.app, name="tokens", rich_help_panel=MORE)


def _show_version(wanted: bool) -> None:
    if wanted:
        put(f"pellucid {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    context: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option("--project", "-P", metavar="DIR", help="The project's folder; the nearest one at or above here."),
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option("--config", "-c", metavar="NAME=VALUE", help="Override a setting. Repeatable."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars, no remarks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = Globals(project, tuple(config or ()), quiet)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and leaves with its exit code; an error is one line on stderr."""
    raise SystemExit(ending.run(lambda: app(args=arguments, prog_name="pellucid", standalone_mode=False)))
