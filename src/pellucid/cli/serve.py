"""``serve`` and ``up``: the server, and everything that a project needs running."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer

from pellucid.cli import ending
from pellucid.cli.context import MAIN_JOB, Globals, open_project, say
from pellucid.cli.output import put

HostOption = Annotated[str, typer.Option("--host", help="The address to listen on; 0.0.0.0 for every one.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")]
OpenOption = Annotated[bool, typer.Option("--open", help="Ask for no token; on this machine only (--host 127.0.0.1).")]
PagesOption = Annotated[bool, typer.Option("--pages/--no-pages", help="The web pages beside the routes.")]
NameArgument = Annotated[
    str | None, typer.Argument(help="Whose champion answers: a dataset; the only one with a model where left out.")
]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel=MAIN_JOB)(serve)
    app.command(rich_help_panel=MAIN_JOB)(up)


def serve(
    context: typer.Context,
    name: NameArgument = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    no_tokens: OpenOption = False,
    batch: Annotated[int, typer.Option("--batch", min=1, max=1024, help="Images answered together at most.")] = 16,
    pages: PagesOption = True,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Images that may wait; more are refused.")] = 256,
) -> None:
    """Serve the champion over HTTP: predictions, feedback that is learnt at once, metrics. Ctrl-C ends it.

    The address is printed once the port is open; its /docs shows every route. Without --open, tokens are asked for:
    `pellucid tokens create NAME --role predict --role feedback`.
    """
    from pellucid.serve.access import OpenAccess, check_open
    from pellucid.serve.app import create_app
    from pellucid.serve.running import run_server
    from pellucid.serve.service import Service
    from pellucid.web.app import add_pages

    if no_tokens:
        check_open(host)
    with ending.as_service(), open_project(context, bar=False) as project:
        service = Service(project.workspace, name, most=batch, depth=queue)
        app = create_app(service, access=OpenAccess() if no_tokens else None)
        if pages:
            add_pages(app, app.state.doors)

        def tell(url: str) -> None:
            put(url)
            sys.stdout.flush()
            say(context, f"{url}/docs shows every route; Ctrl-C ends")

        run_server(app, host, port, started=tell)


def up(
    context: typer.Context,
    name: NameArgument = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    no_tokens: OpenOption = False,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that train and retrain.")] = 1,
    stream: Annotated[bool, typer.Option("--stream/--no-stream", help="Consume the stream.")] = True,
) -> None:
    """Run everything that a project needs: the server, workers, and the stream's consumer. Ctrl-C ends them all.

    A part that dies is started again, ever more slowly where it dies at once; each can also run alone, by `serve`,
    `worker --watch` and `stream consume`.
    """
    from pellucid.errors import NotFoundError
    from pellucid.flow.training.predict import choose_model
    from pellucid.serve.access import check_open
    from pellucid.serve.running import check_free
    from pellucid.serve.supervisor import Part, supervise

    if no_tokens:
        check_open(host)
    check_free(host, port)
    with open_project(context, bar=False) as project, contextlib.suppress(NotFoundError):
        choose_model(project.workspace, name)  # what is wrong is said once, and not by every part
    base = (sys.executable, "-m", "pellucid", *_repeat(context))
    named = [name] if name is not None else []
    serving = [*base, "serve", *named, "--host", host, "--port", str(port), *["--open"] * no_tokens]
    parts = [Part("server", tuple(serving))]
    parts += [Part(f"worker {number}", (*base, "worker", "--watch")) for number in range(1, workers + 1)]
    parts += [Part("stream", (*base, "stream", "consume", *named, "--wait"))] if stream else []
    say(context, f"starting {', '.join(part.name for part in parts)}; Ctrl-C ends them")
    with ending.as_service():
        supervise(parts, tell=lambda text: say(context, text), environ=dict(os.environ))


def _repeat(context: typer.Context) -> list[str]:
    """The global options again, for the parts' own command lines."""
    options: Globals = context.obj
    repeated = ["--project", str(options.project)] if options.project is not None else []
    for item in options.config:
        repeated += ["--config", item]
    return repeated
