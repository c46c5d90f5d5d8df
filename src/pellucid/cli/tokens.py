"""``tokens``: who may ask the HTTP server, and for what."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli.context import JsonOption, open_project, say
from pellucid.cli.output import plain, print_json, print_table, put
from pellucid.types import Right

app = typer.Typer(help="Make, list and revoke the HTTP server's tokens.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Who holds the token.")]


@app.command()
def create(
    context: typer.Context,
    name: NameArgument,
    role: Annotated[list[Right], typer.Option("--role", help="What it is good for; admin is all. Repeatable.")],
    per_minute: Annotated[
        int | None, typer.Option("--per-minute", metavar="N", help="Requests in a minute; no limit where not given.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a token and print it, once: only its sha256 is stored."""
    from pellucid.flow.tokens import create_token

    with open_project(context) as project:
        made = create_token(project.workspace, name, role, per_minute=per_minute)
    if json:
        print_json({**plain(made.token), "token": made.secret})
        return
    put(made.secret)
    say(context, f"keep it now, it cannot be shown again; `pellucid tokens revoke {name}` ends it")


@app.command("list")
def list_(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Also the tokens that have been revoked.")] = False,
    json: JsonOption = False,
) -> None:
    """List the tokens, oldest first; what they are is stored nowhere."""
    from pellucid.flow.tokens import list_tokens

    with open_project(context) as project:
        found = [item for item in list_tokens(project.workspace) if all_ or item.revoked_at is None]
    if json:
        print_json(found)
        return
    rows = [(item.name, " ".join(item.rights), item.per_minute, item.created_at, item.revoked_at) for item in found]
    columns = ("name", "roles", "per minute", "made", "revoked")
    empty = "no token yet; next: pellucid tokens create NAME --role predict"
    print_table(columns, rows, optional=("made", "revoked"), empty=empty)


@app.command()
def revoke(context: typer.Context, name: NameArgument, json: JsonOption = False) -> None:
    """End a token for good; running servers refuse it within two seconds."""
    from pellucid.flow.tokens import revoke_token

    with open_project(context) as project:
        ended = revoke_token(project.workspace, name)
    if json:
        print_json(ended)
        return
    put(f"{ended.name} is revoked; whoever uses it is refused")
