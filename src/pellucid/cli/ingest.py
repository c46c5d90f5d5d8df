"""``ingest``, ``label`` and ``embed``: images and labels in, vectors computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.context import JsonOption, open_project, plain, print_json, say
from pellucid.types import Role


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(ingest)
    app.command()(label)
    app.command()(embed)


def ingest(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(help="A folder, a zip or tar archive, or a CSV, JSONL or Parquet manifest.")
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
    say(context, f"{source}: {report.source}")
    for warning in report.warnings:
        say(context, f"note: {warning}")
    if json:
        print_json({"ref": report.version.ref, **plain(report)})
        return
    counts = report.version.counts
    made = "new version" if report.created else "nothing new, still"
    typer.echo(f"{made} {report.version.ref}: {counts['images']} images in {len(report.version.classes)} classes")
    splits = [f"{counts[name]} {name}" for name in ("train", "test", "trusted") if counts.get(name)]
    typer.echo(f"  splits      {', '.join(splits) or 'none usable'}")
    typer.echo(f"  offered     {report.files} usable files, {report.new} new images, {report.duplicates} exact copies")
    if report.rejected:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(report.rejected.items()))
        typer.echo(f"  set aside   {sum(report.rejected.values())} files: {reasons}")
    words = {
        "conflict": "images under several labels: not trained on until settled",
        "near_conflict": "groups of near-identical images under different labels",
        "near_duplicate": "groups of near-duplicates, each kept in one split",
        "torn_group": "groups that the given splits tear; their training copies are set aside",
    }
    for kind, count in sorted(report.findings.items()):
        typer.echo(f"  found       {count} {words.get(kind, kind)}")
    say(context, f"next: pellucid datasets show {report.version.ref}, or pellucid train --dataset {dataset}")


def label(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The dataset.")],
    samples: Annotated[list[str], typer.Argument(help="Sample ids, or at least their first 4 digits.")],
    label: Annotated[str, typer.Option("--label", "-l", help="What the images show.")],
    voter: Annotated[str | None, typer.Option(help="Who says so; you where not given.")] = None,
    json: JsonOption = False,
) -> None:
    """Say what samples show, as ground truth: settles conflicts and corrects labels; commits a new version."""
    with open_project(context) as project:
        version = project.settle(dataset, samples, label, voter=voter)
    if json:
        print_json({"ref": version.ref, **dict(version.counts)})
    else:
        typer.echo(f"{version.ref}: {len(samples)} labelled {label!r}")


def embed(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The dataset, NAME or NAME@NUMBER.")],
    extractor: Annotated[str | None, typer.Option(help="onnx:PATH, timm:NAME or classical.")] = None,
    json: JsonOption = False,
) -> None:
    """Compute the vectors of a dataset's images ahead of training; what is computed already is not done again."""
    with open_project(context) as project:
        count = project.embed(dataset, extractor)
    if json:
        print_json({"dataset": dataset, "vectors": count})
    else:
        typer.echo(f"{count} vectors of {dataset} are ready")
