"""The ``pellucid`` command: its groups, its global options, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from pellucid import __version__
from pellucid.cli import datasets, ingest, init, models, predict, queue, train
from pellucid.cli.context import Globals
from pellucid.errors import PellucidError

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
INTERNAL = 70  # exit code after a fault of Pellucid's own; EX_SOFTWARE of sysexits.h

app = typer.Typer(
    name="pellucid",
    help="Keep an image classifier right in production while the data it learns from is not.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (init, ingest, train, predict):
    module.add_commands(app)
app.add_typer(datasets.app, name="datasets")
app.add_typer(queue.app, name="queue")
app.add_typer(models.app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pellucid {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    context: typer.Context,
    project: Annotated[
        Path | None, typer.Option("--project", "-P", help="The project's folder; the nearest one at or above here.")
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option("--config", "-c", help="Override a setting: NAME=VALUE. Repeatable.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars, no remarks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = Globals(project, tuple(config or ()), quiet)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and leaves with its exit code; an error is one line on stderr."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
    except PellucidError as error:
        code = _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("stopped; what was finished is kept, run the same command again to go on", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has enough; so do we
        code = 0
    except Exception as error:
        if not isinstance(error, _click_exception()):
            if os.environ.get("PELLUCID_DEBUG"):
                raise
            text = f"{type(error).__name__}: {error}; this is a fault of Pellucid's, PELLUCID_DEBUG=1 shows where"
            code = _complain(text, INTERNAL)
        elif type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(str(error), err=True)
            code = 2
        else:
            code = _complain(f"{error.format_message()}; --help shows how", 2)
    raise SystemExit(code or 0)


def _complain(text: str, code: int) -> int:
    typer.echo(f"pellucid: {' '.join(text.split())}", err=True)
    return code


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _click_exception() -> type[typer.BadParameter]:
    """Click's root exception; Typer ships Click inside itself or beside it, depending on its version."""
    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
