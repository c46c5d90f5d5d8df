"""``datasets``: look at what there is, compare versions, trace and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import JsonOption, open_project, plain, print_json, print_table, say

if TYPE_CHECKING:
    from pellucid.flow.lineage import Impact

app = typer.Typer(help="List, show, compare, trace and export datasets.", no_args_is_help=True)

_SHOWN = 20  # findings and set-aside files printed without --all


@app.command("list")
def list_(context: typer.Context, json: JsonOption = False) -> None:
    """List every dataset and version."""
    with open_project(context) as project:
        versions = project.datasets()
    if json:
        print_json([{"ref": version.ref, **plain(version)} for version in versions])
        return
    rows = [
        (
            v.ref,
            v.counts["images"],
            len(v.classes),
            *(v.counts.get(s, 0) for s in ("train", "test", "trusted")),
            v.created_at,
        )
        for v in versions
    ]
    print_table(("version", "images", "classes", "train", "test", "trusted", "made"), rows)


@app.command()
def show(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="NAME or NAME@NUMBER.")],
    rows: Annotated[bool, typer.Option("--rows", help="Print every sample of the version.")] = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Print all findings and files set aside, not the first few.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show a version: classes, splits, conflicts, near-duplicates, and files that were set aside with their reason."""
    with open_project(context) as project:
        seen = project.inspect(dataset)
    if json:
        content = plain(seen)
        if not rows:
            del content["rows"]
        print_json({"ref": seen.version.ref, **content})
        return
    if rows:
        table = [
            (row.sample[:12], row.label, row.trust / 1000, row.split, row.status, row.group[:12], row.reason)
            for row in seen.rows
        ]
        print_table(("sample", "label", "trust", "split", "status", "group", "reason"), table)
        return
    version = seen.version
    parents = ", ".join(version.parents) or "nothing"
    typer.echo(f"{version.ref}: {version.counts['images']} images, content {version.content_id[:12]}, from {parents}")
    splits = sorted({split for counts in seen.by_class.values() for split in counts})
    print_table(
        ("class", *splits), [(name, *(counts.get(s, 0) for s in splits)) for name, counts in seen.by_class.items()]
    )
    for reason, count in sorted(seen.set_aside.items()):
        typer.echo(f"{count} images not trained on: {reason}")
    shown = None if all_ else _SHOWN
    for kind in ("conflict", "near_conflict", "torn_group", "near_duplicate"):
        found = [item for item in seen.findings if item.kind == kind]
        if found:
            typer.echo(f"\n{kind.replace('_', ' ')} ({len(found)})")
            for item in found[:shown]:
                typer.echo(f"  {' '.join(name[:12] for name in item.samples[:4])}  {item.detail}")
            _more(context, len(found))
    if seen.rejected:
        typer.echo(f"\nset aside at ingest ({len(seen.rejected)})")
        for file in seen.rejected[:shown]:
            typer.echo(f"  {file.path}: {file.reason}: {file.detail}")
        _more(context, len(seen.rejected))


@app.command()
def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(metavar="A", help="NAME@NUMBER.")],
    after: Annotated[str, typer.Argument(metavar="B", help="NAME@NUMBER.")],
    json: JsonOption = False,
) -> None:
    """Show what changed from one version to another, label by label, and why."""
    with open_project(context) as project:
        found = project.diff(before, after)
    if json:
        print_json(found)
        return
    rows = [
        (d.sample[:12], d.before and d.before.label, d.after and d.after.label, (d.after or d.before).split, d.why)  # type: ignore[union-attr]
        for d in found.differences
    ]
    print_table(("sample", found.before.ref, found.after.ref, "split", "why"), rows)
    if found.new_classes:
        say(context, f"new classes: {', '.join(found.new_classes)}")
    say(context, f"{len(rows)} of {found.after.counts['images']} samples differ")


@app.command()
def lineage(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Argument(help="NAME or NAME@NUMBER.")] = None,
    impact: Annotated[str | None, typer.Option(help="A sample: show all that it has touched.")] = None,
    json: JsonOption = False,
) -> None:
    """Show where a version came from and what was made of it, or everything that one sample has touched."""
    if (dataset is None) == (impact is None):
        raise typer.BadParameter("name either a dataset or --impact SAMPLE")
    with open_project(context) as project:
        if impact is not None:
            touched = project.impact(impact)
            if json:
                print_json(touched)
                return
            _print_impact(touched)
            return
        steps = project.lineage(str(dataset))
    if json:
        print_json([{"ref": step.version.ref, **plain(step)} for step in steps])
        return
    for step in steps:
        recipe = step.version.recipe
        source = f" {recipe['source']}" if "source" in recipe else ""
        typer.echo(f"{step.version.ref}  {step.version.created_at:%Y-%m-%d %H:%M}  {recipe.get('verb')}{source}")
        for model in step.models:
            accuracy = f"accuracy {model.metrics['accuracy']:.3f}"
            typer.echo(f"    {model.ref}  {model.head}  {accuracy}  {' '.join(model.aliases)}".rstrip())


@app.command()
def export(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="NAME or NAME@NUMBER.")],
    target: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    include_unusable: Annotated[bool, typer.Option(help="Also what is set aside, in conflict or unlabelled.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a version as class folders with a manifest and Croissant 1.1 metadata."""
    with open_project(context) as project:
        report = project.export(dataset, target, include_unusable=include_unusable)
    if json:
        print_json({"ref": report.version.ref, "folder": report.folder, "images": report.images})
    else:
        typer.echo(f"{report.images} images of {report.version.ref} are in {report.folder}")


def _print_impact(touched: Impact) -> None:
    typer.echo(f"sample {touched.sample}")
    for name, files in touched.files.items():
        typer.echo(f"  seen in     {name}: {', '.join(item.path for item in files)}")
    for vote in touched.votes:
        said = f"{vote.label!r} by {vote.voter} ({vote.role})"
        typer.echo(f"  vote        {vote.dataset}: {said}, {vote.at:%Y-%m-%d %H:%M}")
    for ref, row in touched.versions:
        typer.echo(f"  version     {ref}: {row.label!r}, {row.split}, {row.status}")
    for ref in touched.learnt_by:
        typer.echo(f"  learnt by   {ref}, which has given {touched.answers_given[ref]} answers")
    for ref in touched.judged:
        typer.echo(f"  judged      {ref}")
    for answer in touched.predictions:
        model = f"{answer['model_name']}@{answer['model_version']}"
        typer.echo(f"  predicted   {answer['label']!r} by {model}, {answer['at']:%Y-%m-%d %H:%M}")


def _more(context: typer.Context, count: int) -> None:
    if count > _SHOWN:
        say(context, f"  ... {count} in all; --all prints them")
