"""``queue``: see, cancel and retry training jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import JsonLinesOption, open_project
from pellucid.cli.output import one_line, print_json, print_table

if TYPE_CHECKING:
    from pellucid.types import Job

app = typer.Typer(help="See, cancel and retry training jobs.", no_args_is_help=True)

JobArgument = Annotated[int, typer.Argument(metavar="JOB", help="The job's number.")]


@app.command("list")
def list_(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Also the jobs that have ended.")] = False,
    json: JsonLinesOption = False,
) -> None:
    """List the jobs in the order in which they are worked off: newer versions, higher priority, then age."""
    with open_project(context) as project:
        jobs = [job for job in project.jobs() if all_ or job.finished_at is None]
    print_jobs(jobs, json=json, empty="no job waits or runs" + "; --all shows those that have ended" * (not all_))


@app.command()
def cancel(context: typer.Context, job: JobArgument, json: JsonLinesOption = False) -> None:
    """Take a job out of the queue; what a running one makes is thrown away."""
    with open_project(context) as project:
        print_jobs([project.cancel(job)], json=json)


@app.command()
def retry(context: typer.Context, job: JobArgument, json: JsonLinesOption = False) -> None:
    """Put a failed or cancelled job back into the queue."""
    with open_project(context) as project:
        print_jobs([project.retry(job)], json=json)


def print_jobs(jobs: list[Job], *, json: bool, empty: str = "") -> None:
    """The jobs as a table, or as one line of JSON each."""
    if json:
        for job in jobs:
            print_json(job)
        return
    rows = [
        (str(job.id), job.state, job.dataset, job.model, job.settings, job.priority, job.worker, outcome(job))
        for job in jobs
    ]
    columns = ("job", "state", "dataset", "model", "settings", "priority", "worker", "result")
    print_table(columns, rows, optional=("priority", "worker"), empty=empty)


def outcome(job: Job) -> str:
    """The model that a job made, or else its message."""
    return job.result or one_line(job.message)
