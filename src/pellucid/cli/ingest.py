"""``ingest``, ``label`` and ``embed``: images and labels in, vectors computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.context import MAIN_JOB, MORE, JsonOption, open_project, say
from pellucid.cli.output import one_line, plain, print_json, put
from pellucid.errors import UsageError
from pellucid.types import Role

_FINDINGS = {  # by kind: what one is called, what several are called, and what becomes of them
    "conflict": ("image", "images", "under several labels: not trained on until settled"),
    "near_conflict": ("group", "groups", "of near-identical images under different labels"),
    "near_duplicate": ("group", "groups", "of near-duplicates, kept in one split"),
    "torn_group": ("group", "groups", "torn by the given splits: training copies are set aside"),
}


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel=MAIN_JOB)(ingest)
    app.command(rich_help_panel=MORE)(label)
    app.command(rich_help_panel=MORE)(embed)


def ingest(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A folder, a zip or tar archive, or a CSV, JSONL or Parquet manifest."),
    ],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="The dataset to add to; made where it is new.")],
    layout: Annotated[str, typer.Option(help="auto, folders, splits, groundtruth, metadata or manifest.")] = "auto",
    role: Annotated[Role, typer.Option(help="In what capacity the labels are said.")] = Role.ANNOTATOR,
    annotator: Annotated[str | None, typer.Option(help="Their name, where the source does not tell.")] = None,
    group_by: Annotated[
        str | None, typer.Option(help="A metadata column whose images must not lie in two splits, such as patient.")
    ] = None,
    test: Annotated[float | None, typer.Option(help="Share of images kept for testing.")] = None,
    trusted: Annotated[float | None, typer.Option(help="Share set aside as trusted samples.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides the splits.")] = None,
    new_classes: Annotated[bool, typer.Option(help="Whether unknown labels become classes or are set aside.")] = True,
    json: JsonOption = False,
) -> None:
    """Read labelled images into a dataset; each ingest makes a new version, nothing is ever overwritten."""
    with open_project(context) as project:
        report = project.ingest(
            source,
            dataset,
            layout=layout,
            role=role,
            annotator=annotator,
            group_by=group_by,
            test_fraction=test,
            trusted_fraction=trusted,
            seed=seed,
            new_classes=new_classes,
        )
    say(context, one_line(f"{source}: {report.source}"))
    for warning in report.warnings:
        say(context, f"note: {one_line(warning)}")
    if json:
        print_json({"ref": report.version.ref, **plain(report)})
        return
    counts = report.version.counts
    made = "new version" if report.created else "nothing new, still"
    put(f"{made} {report.version.ref}: {counts['images']} images in {len(report.version.classes)} classes")
    splits = [f"{counts[name]} {name}" for name in ("train", "test", "trusted") if counts.get(name)]
    put(f"  splits      {', '.join(splits) or 'none usable'}")
    put(f"  offered     {report.files} files, {report.new} new images, {report.duplicates} exact copies")
    if report.rejected:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(report.rejected.items()))
        put(f"  set aside   {sum(report.rejected.values())} files: {reasons}")
    for kind, (one, several, fate) in _FINDINGS.items():
        count = report.findings.get(kind, 0)
        if count:
            put(f"  found       {count} {one if count == 1 else several} {fate}")
    say(context, f"next: pellucid datasets show {report.version.ref}, or pellucid train --dataset {dataset}")


def label(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The dataset.")],
    samples: Annotated[list[str], typer.Argument(help="Sample ids, or at least their first 4 digits.")],
    label: Annotated[str, typer.Option("--label", "-l", help="What the images show.")],
    voter: Annotated[str | None, typer.Option(help="Who says so; you where not given.")] = None,
    new_class: Annotated[
        bool, typer.Option("--new-class", help="The label may be one that the dataset does not have yet.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say what samples show, as ground truth: settles conflicts and corrects labels; commits a new version."""
    with open_project(context) as project:
        classes = project.datasets(dataset)[-1].classes
        if label not in classes and not new_class:
            have = ", ".join(classes)
            raise UsageError(f"{dataset} has no class {label!r}, it has: {have}; --new-class makes it one for good")
        version = project.settle(dataset, samples, label, voter=voter)
    if json:
        print_json({"ref": version.ref, **dict(version.counts)})
        return
    put(f"{version.ref}: {len(samples)} {'image' if len(samples) == 1 else 'images'} labelled {label!r}")
    say(context, f"next: pellucid train --dataset {version.dataset}")


def embed(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The dataset, NAME or NAME@NUMBER.")],
    extractor: Annotated[
        str | None, typer.Option("--extractor", "-x", help="onnx:PATH, timm:NAME or classical.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compute the vectors of a dataset's images ahead of training; what is computed already is not done again."""
    with open_project(context) as project:
        count = project.embed(dataset, extractor)
    if json:
        print_json({"dataset": dataset, "vectors": count})
    else:
        put(f"{count} vectors of {dataset} are ready")
