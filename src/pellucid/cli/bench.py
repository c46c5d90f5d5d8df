"""``bench``: who learns best from wrong labels and bad images, on a dataset of one's own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.context import JsonOption, say
from pellucid.cli.output import print_json, print_table
from pellucid.cli.progress import progress_bar
from pellucid.errors import MissingExtraError, TrainingError, UsageError

if TYPE_CHECKING:
    from pellucid.flow.training.monday_tuesday import Benchmark
    from pellucid.protocol.table import Line

_RATE = 0.3  # share of wrong labels where nothing else is said
_CURES = {"torch": "pip install 'pellucid[torch]'", "cleanlab": "pip install 'pellucid[peers]'"}

app = typer.Typer(help="Measure learners against each other on a dataset.", no_args_is_help=True)


class Labels(StrEnum):
    """Where Tuesday's labels come from."""

    USER = "user"
    TRUTH = "truth"


class Day(StrEnum):
    """What methods are compared by."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    BOTH = "both"


@app.callback()
def _group() -> None:
    """Measure learners against each other on a dataset."""


@app.command("monday-tuesday")
def monday_tuesday(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Argument(help="NAME or NAME@NUMBER; its labels count as true.")] = None,
    extractor: Annotated[
        str | None, typer.Option("--extractor", "-x", metavar="EXTRACTOR", help="onnx:PATH, timm:NAME or classical.")
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            "--noise",
            metavar="KIND[:RATE,...]",
            help="symmetric, pair or instance, with shares of wrong labels: symmetric:0.1,0.3. Repeatable.",
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of wrong labels where --noise has none.")
    ] = None,
    user_accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The same as 1 - rate, in the published system's words; there 0.7."),
    ] = None,
    labels: Annotated[Labels, typer.Option(help="Tuesday's labels: from users, or the truth.")] = Labels.USER,
    seeds: Annotated[
        int, typer.Option(min=1, help="How many seeds: days, corruption and wrong labels are drawn anew.")
    ] = 20,
    first_seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--methods", metavar="NAME,...", help="Only these, and the rows that are always there. Repeatable."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Add a row: this model under the three options below.")
    ] = None,
    cutoff: Annotated[
        bool | None, typer.Option("--cutoff/--no-cutoff", help="Drop Tuesday's most uncertain tenth by MC dropout.")
    ] = None,
    sampling: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="How a row keeps of Monday: none, random, l1, l2, cosine, ... or all."),
    ] = None,
    ratio: Annotated[float, typer.Option(min=0, max=1, help="Share of Monday that is kept where not all is.")] = 0.2,
    monday: Annotated[int | None, typer.Option(min=2, help="At most so many of Monday's images to learn from.")] = None,
    tuesday: Annotated[
        int | None, typer.Option(min=2, help="At most so many of Tuesday's images to learn from.")
    ] = None,
    day: Annotated[Day, typer.Option(help="The day whose accuracy the table is sorted and compared by.")] = Day.BOTH,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="How many processes.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where results, tables and plot go.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what is there already.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only list the methods.")] = False,
    json: JsonOption = False,
) -> None:
    """Two days: a clean Monday, a Tuesday of corrupted images and wrong labels. Who is right on both?

    Every method learns from both days and is judged on test images of each, on many seeds; what is measured is kept,
    and a second run does only what is missing.
    """
    from pellucid.project import Project
    from pellucid.protocol.methods import METHODS, WITH_PART, choose_methods, compose, missing_library

    named = [name.strip() for text in methods or () for name in text.split(",") if name.strip()]
    if list_:
        rows = [(method.name, method.about) for method in METHODS.values()]
        if json:
            print_json([{"method": name, "about": about} for name, about in rows])
        else:
            print_table(("method", "what it is"), rows)
            say(context, f"each also with another memory of Monday, as {WITH_PART[0]}")
        return
    if dataset is None:
        raise UsageError("name a dataset, or --list")
    chosen = choose_methods(named or (["pellucid"] if model else []), ratio=ratio)
    if model is not None:
        extra = compose(model, cutoff=bool(cutoff), sampling=sampling or "all", ratio=ratio)
        chosen = (*(method for method in chosen if method.name != extra.name), extra)
        named.append(extra.name)
    elif cutoff is not None or sampling is not None:
        raise UsageError("--cutoff and --sampling say how --model learns; name the model too")
    absent = {method.name: library for method in chosen if (library := missing_library(method))}
    for name in named:
        if name in absent:
            raise MissingExtraError(f"{name} needs {absent[name]}, which is not installed; {_CURES[absent[name]]}")
    from pellucid.flow.training.monday_tuesday import Plan

    plan = Plan(
        dataset=dataset,
        methods=tuple(method for method in chosen if method.name not in absent),
        noises=_noises(noise or ["symmetric"], _rate(rate, user_accuracy), labels),
        seeds=tuple(range(first_seed, first_seed + seeds)),
        extractor=extractor,
        monday=monday,
        tuesday=tuesday,
        by="mean" if day is Day.BOTH else str(day),
    )
    options = context.obj
    place, overrides = options.project or Path.cwd(), options.overrides
    with (
        progress_bar(options.quiet) as progress,
        Project(place, progress=progress, settings=overrides) as project,
    ):
        folder = out or project.workspace.reports / "monday-tuesday" / dataset.partition("@")[0]
        found = project.monday_tuesday(plan, folder, jobs=jobs, again=again)
    for library in sorted(set(absent.values())):
        names = ", ".join(name for name in absent if absent[name] == library)
        say(context, f"left out, for want of {library}: {names}; {_CURES[library]}")
    _print(context, found, json=json)
    if found.failed:
        reasons = "; ".join(f"{name}: {why}" for name, why in found.failed.items())
        raise TrainingError(f"{len(found.failed)} methods failed, and were left out where they did: {reasons}")


def _rate(rate: float | None, user_accuracy: float | None) -> float:
    if rate is not None and user_accuracy is not None:
        raise UsageError("--rate and --user-accuracy say the same; give one of them")
    if user_accuracy is not None:
        return round(1 - user_accuracy, 12)
    return _RATE if rate is None else rate


def _noises(texts: list[str], rate: float, labels: Labels) -> tuple[tuple[str, float], ...]:
    """Kinds and rates of ``KIND`` or ``KIND:RATE,RATE`` texts; all rates are zero where labels are the truth."""
    found: dict[tuple[str, float], None] = {}
    for text in texts:
        kind, colon, rates = text.partition(":")
        try:
            values = [float(word) for word in rates.split(",")] if colon else [rate]
        except ValueError:
            raise UsageError(
                f"--noise {text!r} has no rates; wanted is KIND or KIND:RATE,RATE, as symmetric:0.1,0.3"
            ) from None
        for value in values:
            found[kind, 0.0 if labels is Labels.TRUTH else value] = None
    return tuple(found)


def _print(context: typer.Context, found: Benchmark, *, json: bool) -> None:
    if json:
        print_json({"dataset": found.version.ref, "folder": found.folder, "lines": found.lines, "failed": found.failed})
    else:
        rows = [_row(line) for line in found.lines]
        columns = (
            "noise",
            "rate",
            "method",
            "Monday kept",
            "mean",
            "Monday",
            "Tuesday",
            "pellucid leads by",
            "from",
            "to",
            "AUROC",
        )
        print_table(columns, rows, optional=("Monday kept", "Monday", "Tuesday", "AUROC", "from", "to"))
    say(context, f"{found.computed} cells measured, {found.kept} were there; tables and plot: {found.folder}")


def _row(line: Line) -> tuple[Any, ...]:
    means = [line.means[name] for name in ("mean", "monday", "tuesday")]
    return (
        *(line.noise, f"{line.rate:g}", line.method, line.monday),
        *means,
        *(line.lead, line.low, line.high, line.means["auroc"]),
    )
