"""``train``, ``worker`` and ``evaluate``: datasets to models, and how good they are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.context import JsonOption, open_project, plain, print_json, print_table, say
from pellucid.cli.queue import print_jobs
from pellucid.errors import TrainingError

if TYPE_CHECKING:
    from pellucid.flow.grid import Grid
    from pellucid.project import Project
    from pellucid.types import Job


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(train)
    app.command()(worker)
    app.command()(evaluate)


def train(
    context: typer.Context,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", "-d", help="NAME or NAME@NUMBER. Repeatable.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="ridge, logistic, sklearn:PATH or module:Class. Repeatable."),
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", "-s", help="NAME=VALUE,VALUE,... Repeatable.")] = None,
    extractor: Annotated[
        list[str] | None, typer.Option("--extractor", "-x", help="onnx:PATH, timm:NAME or classical. Repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only queue the jobs; workers do them.")] = False,
    json: JsonOption = False,
) -> None:
    """Train every dataset with every model under every combination of settings; what is done is not done again.

    Without --dataset and --model, the [train] table of pellucid.toml says what to do.
    """
    from pellucid.types import JobState

    with open_project(context) as project:
        grid = _grid(project, dataset, model, set_, extractor, seed)
        jobs = project.submit(grid)
        waiting = [job for job in jobs if job.state is not JobState.DONE]
        if len(waiting) < len(jobs):
            say(context, f"{len(jobs) - len(waiting)} of {len(jobs)} are done already")
        if detach:
            print_jobs(jobs, json=json)
            say(context, f"{len(waiting)} jobs wait; `pellucid worker` does them")
            return
        _work(context, project, [job.id for job in jobs])
        ended = project.jobs([job.id for job in jobs])
        models = {job.id: project.model(job.result) for job in ended if job.result}
    for job in ended:
        found = models.get(job.id)
        if json and found:
            print_json({"ref": found.ref, **plain(found.metrics), **plain(found), "state": job.state})
        elif json:
            print_json(
                {
                    "ref": None,
                    "model": job.model,
                    "settings": dict(job.settings),
                    "state": job.state,
                    "error": job.message,
                }
            )
    if not json:
        ranked = sorted(models.values(), key=lambda item: -item.metrics["accuracy"])
        names = (
            "accuracy",
            "accuracy_low",
            "accuracy_high",
            "balanced_accuracy",
            "macro_f1",
            "log_loss",
            "calibration_error",
        )
        rows = [(m.ref, m.dataset, m.head, m.settings, *(m.metrics[name] for name in names)) for m in ranked]
        heads = ("accuracy", "from", "to", "balanced", "macro F1", "log loss", "calibration error")
        print_table(("model", "dataset", "head", "settings", *heads), rows)
    failed = [job for job in ended if job.state is not JobState.DONE]
    if models:
        best = max(models.values(), key=lambda item: item.metrics["accuracy"])
        say(context, f"report: {project.report_path(best)}")
        say(context, f"next: pellucid models promote {best.ref}")
    if failed:
        reasons = "; ".join(f"job {job.id} ({job.model}) {job.state}: {job.message}" for job in failed)
        raise TrainingError(f"{len(failed)} of {len(ended)} trainings did not succeed: {reasons}")


def worker(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on for ever; train what [train] asks for whenever a version arrives.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="How many processes.")] = 1,
    json: JsonOption = False,
) -> None:
    """Work off the queue; any number of workers may run, on any number of machines."""
    from pellucid.flow.worker import run_workers

    if jobs > 1:
        command = [
            sys.executable,
            "-m",
            "pellucid",
            *_repeat(context),
            "worker",
            *["--watch"] * watch,
            *["--json"] * json,
        ]
        run_workers(jobs, command)
        return
    with open_project(context) as project:

        def tell(job: Job) -> None:
            if json:
                print_json(job)
            else:
                outcome = f" {job.result}" if job.result else f" {job.message}" if job.message else ""
                typer.echo(f"job {job.id}  {job.dataset}  {job.model}  {job.state}{outcome}")

        done = project.work(watch=watch, report=tell)
    say(context, f"{done} jobs done; nothing waits")


def evaluate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="NAME (its champion), NAME@champion or NAME@VERSION.")],
    against: Annotated[list[str] | None, typer.Option(help="Another model to compare with. Repeatable.")] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Judge on this version's test images instead.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Judge a model on test images, compare it with others by a paired test, and write its report."""
    with open_project(context) as project:
        evaluation = project.evaluate(model, dataset)
        comparisons = {other: project.compare(model, other, dataset) for other in against or ()}
        folder = project.report(model, against=against or ()) if dataset is None else None
    if json:
        print_json({"evaluation": evaluation, "comparisons": comparisons, "report": folder})
        return
    rows = [(name.replace("_", " "), item.value, item.low, item.high) for name, item in evaluation.metrics.items()]
    print_table(("metric", "value", "from", "to"), rows)
    for comparison in comparisons.values():
        typer.echo(comparison.verdict)
    if folder is not None:
        say(context, f"report: {folder / 'report.html'}")


def _grid(
    project: Project,
    datasets: list[str] | None,
    models: list[str] | None,
    settings: list[str] | None,
    extractors: list[str] | None,
    seed: int | None,
) -> Grid:
    from dataclasses import replace

    from pellucid.flow.grid import Grid, grid_of, parse_settings

    own = project.workspace.settings
    grid = grid_of(own) or Grid(datasets=(), seed=own.seed)
    given: dict[str, Any] = {
        "datasets": tuple(datasets) if datasets else None,
        "models": tuple(models) if models else None,
        "settings": parse_settings(settings) if settings else None,
        "extractors": tuple(extractors) if extractors else None,
        "seed": seed,
    }
    return replace(grid, **{name: value for name, value in given.items() if value is not None})


def _work(context: typer.Context, project: Project, ids: list[int]) -> None:
    """Works the jobs off under a live table, or silently where nobody looks on."""
    if context.obj.quiet or not sys.stderr.isatty():
        project.work(only=ids)
        return
    from pellucid.cli.live import live_jobs

    with live_jobs(project, ids) as (report, progress):
        project.work(only=ids, report=report, progress=progress)


def _repeat(context: typer.Context) -> list[str]:
    """The global options, for another process."""
    options = context.obj
    words = ["--quiet"] * options.quiet
    if options.project:
        words += ["--project", str(options.project)]
    for text in options.config:
        words += ["--config", text]
    return words
