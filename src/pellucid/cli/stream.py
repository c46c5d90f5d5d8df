"""``stream``: events in and out."""

from __future__ import annotations

import typer

from pellucid.cli import simulate

app = typer.Typer(help="Events in and out, and traffic to try them with.", no_args_is_help=True)
simulate.add_commands(app)


@app.callback()
def _group() -> None:
    """Events in and out, and traffic to try them with."""
