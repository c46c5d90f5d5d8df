"""``train``, ``worker`` and ``evaluate``: datasets to models, and how good they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import ending
from pellucid.cli.context import MAIN_JOB, MORE, JsonLinesOption, JsonOption, open_project, say
from pellucid.cli.output import one_line, plain, print_json, print_table, put, settings_text
from pellucid.cli.queue import outcome, print_jobs
from pellucid.errors import TrainingError
from pellucid.features.spec import short_spec

if TYPE_CHECKING:
    from pellucid.flow.production.retrain import Retraining
    from pellucid.flow.training.grid import Grid
    from pellucid.project import Project
    from pellucid.types import Job, ModelVersion


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel=MAIN_JOB)(train)
    app.command(rich_help_panel=MAIN_JOB)(evaluate)
    app.command(rich_help_panel=MORE)(worker)


def train(
    context: typer.Context,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", "-d", metavar="NAME", help="NAME or NAME@NUMBER. Repeatable.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", help="kernel, ridge, logistic, sklearn:PATH or module:Class. Repeatable."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="NAME=VALUE,...", help="Values of a setting to try. Repeatable."),
    ] = None,
    extractor: Annotated[
        list[str] | None,
        typer.Option("--extractor", "-x", metavar="EXTRACTOR", help="onnx:PATH, timm:NAME or classical. Repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random choice.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only queue the jobs; workers do them.")] = False,
    json: JsonLinesOption = False,
) -> None:
    """Train every dataset with every model under every combination of settings; what is done is not done again.

    Without --dataset and --model, the [train] table of pellucid.toml says what to do.
    """
    from pellucid.types import JobState

    with open_project(context, bar=False) as project:
        jobs = project.submit(_grid(project, dataset, model, set_, extractor, seed))
        waiting = [job for job in jobs if job.state is not JobState.DONE]
        if len(waiting) < len(jobs):
            say(context, f"{len(jobs) - len(waiting)} of {len(jobs)} are done already")
        if detach:
            print_jobs(jobs, json=json)
            if waiting:
                say(context, f"{len(waiting)} jobs wait; next: pellucid worker")
            return
        told: set[int] = set()

        def tell(job: Job) -> None:
            if json and job.finished_at is not None and job.id not in told:
                told.add(job.id)
                print_json(_line(project, job))

        _work(context, project, [job.id for job in jobs], tell, look=bool(waiting))
        ended = project.jobs([job.id for job in jobs])
        for job in ended:
            tell(job)
        models = [project.model(job.result) for job in ended if job.result]
    models.sort(key=lambda found: -found.metrics["accuracy"])
    if models:
        if not json:
            _print_models(models)
        say(context, f"report: {project.report_path(models[0])}")
        say(context, f"next: pellucid models promote {models[0].ref}")
    failed = [job for job in ended if job.state is not JobState.DONE]
    if failed:
        reasons = "; ".join(f"job {job.id} ({job.model}) {job.state}: {job.message}" for job in failed)
        raise TrainingError(f"{len(failed)} of {len(ended)} trainings did not succeed: {reasons}")


def worker(
    context: typer.Context,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Go on for ever; train what [train] asks for as versions arrive, retrain when [retrain] says.",
        ),
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="How many processes.")] = 1,
    json: JsonLinesOption = False,
) -> None:
    """Work off the queue; any number of workers may run, on any number of machines."""
    from pellucid.flow.training.worker import run_workers

    if jobs > 1:
        with open_project(context):
            pass  # what is wrong with the project is said once, and not by every process
        command = [sys.executable, "-m", "pellucid", *_repeat(context), "worker"]
        with ending.as_service(watch):
            run_workers(jobs, [*command, *["--watch"] * watch, *["--json"] * json])
        return
    with ending.as_service(watch), open_project(context) as project:

        def tell(job: Job) -> None:
            if json:
                print_json({"ref": job.result, **plain(job)})
            elif job.finished_at is None:
                say(context, f"job {job.id}  {job.dataset}  {job.model}  {settings_text(job.settings)}".rstrip())
            else:
                put(f"job {job.id}  {job.dataset}  {job.model}  {job.state}  {outcome(job)}".rstrip())

        def tell_retrained(outcome: Retraining) -> None:
            if json:
                print_json(outcome)
            else:
                put(f"retraining {outcome.firing.dataset} ({outcome.firing.trigger})  {one_line(outcome.message)}")

        if watch:
            say(context, "waiting for jobs; Ctrl-C ends")
        done = project.work(watch=watch, report=tell, retrained=tell_retrained)
    say(context, f"{done} jobs done; nothing waits")


def evaluate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="NAME (its champion), NAME@champion or NAME@VERSION.")],
    against: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Another model to compare with. Repeatable.")
    ] = None,
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
    print_table((f"on {evaluation.n} images", "value", "from", "to"), rows)
    for comparison in comparisons.values():
        put(comparison.verdict)
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

    from pellucid.flow.training.grid import Grid, grid_of, parse_settings

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


def _work(context: typer.Context, project: Project, ids: list[int], tell: Callable[[Job], None], *, look: bool) -> None:
    """Works the jobs off under a live table, or without one where there is nothing to see or nobody to look."""
    if context.obj.quiet or not look or not sys.stderr.isatty():
        project.work(only=ids, report=tell)
        return
    from pellucid.cli.live import live_board

    with live_board(project, ids) as board:

        def report(job: Job) -> None:
            board.changed(job)
            tell(job)

        project.work(only=ids, report=report, progress=board.progress)


def _line(project: Project, job: Job) -> dict[str, Any]:
    """A job that has ended as a line of JSON: its model and metrics, or why there is none."""
    common = {"dataset": job.dataset, "model": job.model, "settings": job.settings, "seed": job.seed}
    if job.result is None:
        return {"ref": None, **common, "state": job.state, "job": job.id, "error": one_line(job.message)}
    found = project.model(job.result)
    return {"ref": found.ref, **common, **found.metrics, **plain(found), "state": job.state, "job": job.id}


def _print_models(models: Sequence[ModelVersion]) -> None:
    """The models, best first; what is the same for all is left out."""
    columns: dict[str, Callable[[ModelVersion], Any]] = {"model": lambda found: found.ref}
    if len({found.dataset for found in models}) > 1:
        columns["dataset"] = lambda found: found.dataset
    if len({found.extractor for found in models}) > 1:
        columns["extractor"] = lambda found: short_spec(found.extractor)
    columns |= {
        "head": lambda found: found.head,
        "settings": lambda found: found.settings,
        "accuracy": lambda found: found.metrics["accuracy"],
        "95 % interval": lambda found: f"{found.metrics['accuracy_low']:.3f} to {found.metrics['accuracy_high']:.3f}",
        "macro F1": lambda found: found.metrics["macro_f1"],
        "log loss": lambda found: found.metrics["log_loss"],
        "calibration error": lambda found: found.metrics["calibration_error"],
    }
    rows = [[tell(found) for tell in columns.values()] for found in models]
    print_table(list(columns), rows, optional=("95 % interval", "macro F1", "log loss", "calibration error"))


def _repeat(context: typer.Context) -> list[str]:
    """The global options, for another process; quiet, since two progress bars do not fit on one terminal."""
    options = context.obj
    words = ["--quiet"]
    if options.project:
        words += ["--project", str(options.project)]
    for text in options.config:
        words += ["--config", text]
    return words
