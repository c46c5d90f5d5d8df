"""``datasets``: look at what there is, compare versions, trace and export."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import JsonOption, open_project, say
from pellucid.cli.output import one_line, plain, print_json, print_table, put
from pellucid.errors import UsageError
from pellucid.types import TRUST_SCALE, Status

if TYPE_CHECKING:
    from pellucid.flow.data.inspect import Inspection
    from pellucid.flow.data.lineage import Difference, Impact
    from pellucid.types import Row

app = typer.Typer(help="List, show, compare, trace and export datasets.", no_args_is_help=True)

_SHOWN = 20  # findings and set-aside files printed without --all


_SPLITS = ("train", "test", "trusted")
_KINDS = {
    "conflict": "conflicts: one image under several labels",
    "near_conflict": "near-identical images under different labels",
    "torn_group": "groups that the given splits tear",
    "near_duplicate": "near-duplicates",
}


@app.command("list")
def list_(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Of one dataset only.")] = None,
    json: JsonOption = False,
) -> None:
    """List every dataset and version."""
    with open_project(context) as project:
        versions = project.datasets(name)
    if json:
        print_json([{"ref": version.ref, **plain(version)} for version in versions])
        return
    rows = [
        (v.ref, v.counts["images"], len(v.classes), *(v.counts.get(s, 0) for s in _SPLITS), v.created_at)
        for v in versions
    ]
    columns = ("version", "images", "classes", *_SPLITS, "made")
    print_table(columns, rows, optional=("made",), empty="no dataset yet; next: pellucid ingest FOLDER --dataset NAME")


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
    elif rows:
        table = [
            (row.sample[:12], row.label, row.trust / 1000, row.split, row.status, row.group[:12], row.reason)
            for row in seen.rows
        ]
        columns = ("sample", "label", "trust", "split", "status", "group", "reason")
        print_table(columns, table, optional=("group", "trust", "reason"))
    else:
        _print_version(seen)
        _print_findings(context, seen, None if all_ else _SHOWN)


@app.command()
def revert(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The version to go back to, NAME@NUMBER.")],
    json: JsonOption = False,
) -> None:
    """Make an earlier version the newest one again; what came after it stays in the history."""
    with open_project(context) as project:
        version = project.revert(dataset)
    if json:
        print_json({"ref": version.ref, **plain(version)})
    else:
        put(f"{version.ref} holds what {dataset} does: {version.counts['images']} images")
        if taken_back := version.recipe.get("taken_back", 0):
            say(context, f"{taken_back} of the labels are others: votes on them were taken back since")


def _print_version(seen: Inspection) -> None:
    version = seen.version
    origin = f"from {', '.join(version.parents)}" if version.parents else "the first version"
    put(f"{version.ref}: {version.counts['images']} images, {origin}, content {version.content_id[:12]}\n")
    splits = [split for split in _SPLITS if any(split in counts for counts in seen.by_class.values())]
    print_table(
        ("class", *splits), [(name, *(counts.get(s, 0) for s in splits)) for name, counts in seen.by_class.items()]
    )
    if seen.set_aside:
        put("\nnot trained on")
        for reason, count in sorted(seen.set_aside.items(), key=lambda item: (-item[1], item[0])):
            put(f"  {count:>7}  {one_line(reason)}")


def _print_findings(context: typer.Context, seen: Inspection, limit: int | None) -> None:
    for kind, title in _KINDS.items():
        found = [item for item in seen.findings if item.kind == kind]
        if found:
            put(f"\n{title} ({len(found)})")
            for item in found[:limit]:
                put(f"  {' '.join(name[:12] for name in item.samples[:4])}  {one_line(item.detail)}")
            _more(context, len(found), limit)
    if seen.rejected:
        put(f"\nfiles set aside ({len(seen.rejected)})")
        for file in seen.rejected[:limit]:
            put(f"  {one_line(file.path)}: {file.reason}: {one_line(file.detail)}")
        _more(context, len(seen.rejected), limit)
    first = next((item.samples[0] for item in seen.findings if item.kind == "conflict"), None)
    if first is not None:
        say(context, f"\nto settle a conflict: pellucid label {seen.version.dataset} {first[:12]} --label CLASS")


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
    columns = ("sample", found.before.ref, found.after.ref, "split", "why")
    print_table(columns, [_difference(item) for item in found.differences], optional=("split",), empty="no difference")
    if found.new_classes:
        say(context, f"new classes: {', '.join(found.new_classes)}")
    if found.differences:
        number = len(found.differences)
        differ = "sample differs" if number == 1 else "samples differ"
        say(context, f"{number} {differ}, {found.after.ref} has {found.after.counts['images']}")


@app.command()
def lineage(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Argument(help="NAME or NAME@NUMBER.")] = None,
    impact: Annotated[str | None, typer.Option(metavar="SAMPLE", help="Show all that this sample has touched.")] = None,
    json: JsonOption = False,
) -> None:
    """Show where a version came from and what was made of it, or everything that one sample has touched."""
    if (dataset is None) == (impact is None):
        raise UsageError("name either a dataset or --impact SAMPLE")
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
        put(one_line(f"{step.version.ref}  {_when(step.version.created_at)}  {recipe.get('verb')}{source}"))
        for model in step.models:
            accuracy = f"accuracy {model.metrics['accuracy']:.3f}"
            put(f"    {model.ref}  {model.head}  {accuracy}  {' '.join(model.aliases)}".rstrip())


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
        put(f"{report.images} images of {report.version.ref} are in {report.folder}")


def _difference(item: Difference) -> tuple[str | None, ...]:
    before, after = item.before, item.after
    row = after or before
    return item.sample[:12], _stands(before), _stands(after), row.split if row else None, item.why


def _stands(row: Row | None) -> str | None:
    """The row's label, with what keeps it from counting in full."""
    if row is None or row.label is None:
        return None if row is None else str(row.status)
    trust = "" if row.trust == TRUST_SCALE else f" {row.trust / TRUST_SCALE:.3f}"
    return row.label + trust + ("" if row.status is Status.OK else f", {row.status}")


def _print_impact(touched: Impact) -> None:
    lines = [f"sample {touched.sample}"]
    for name, files in touched.files.items():
        lines.append(f"  seen in     {name}: {', '.join(item.path for item in files)}")
    for vote in touched.votes:
        lines.append(f"  vote        {vote.dataset}: {vote.label!r} by {vote.voter} ({vote.role}), {_when(vote.at)}")
    for ref, row in touched.versions:
        lines.append(f"  version     {ref}: {row.label or 'no label'}, {row.split}, {row.status}")
    for ref in touched.learnt_by:
        lines.append(f"  learnt by   {ref}, which has given {touched.answers_given[ref]} answers")
    for ref in touched.judged:
        lines.append(f"  judged      {ref}")
    for answer in touched.predictions:
        model = f"{answer['model_name']}@{answer['model_version']}"
        lines.append(f"  predicted   {answer['label']!r} by {model}, {_when(answer['at'])}")
    for line in lines:
        put(one_line(line))


def _when(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def _more(context: typer.Context, count: int, limit: int | None) -> None:
    if limit is not None and count > limit:
        say(context, f"  ... and {count - limit} more; --all prints them")
