"""``models shadow``: a candidate beside the champion on live traffic, and where the two differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import JsonOption, open_project, say
from pellucid.cli.output import one_line, plain, print_json, print_table, put
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.flow.production.shadow import Judged, ShadowReport
    from pellucid.store.shadows import Shadow


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(shadow)


def shadow(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="NAME@VERSION begins; NAME reports where the two differ, or differed."),
    ],
    share: Annotated[
        float | None, typer.Option("--share", help="Of the images, above 0 up to 1; all where left out.")
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End what is in the shadow of NAME's champion.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Report of NAME@VERSION, which runs or has ended, and begin nothing.")
    ] = False,
    most: Annotated[int, typer.Option("--most", min=0, help="Differing images to list.")] = 20,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would happen; change nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Let a candidate answer beside the champion, to nobody, and report where they differ.

    Every server answers first and asks the candidate afterwards; it ends by --end, or where the candidate is promoted.
    """
    if report and end:
        raise UsageError("--report looks and --end ends; give one of them")
    begins = "@" in model and not end and not report
    if report and (share is not None or dry_run):
        raise UsageError("--report changes nothing; leave --share and --dry-run out")
    if share is not None and not begins:
        raise UsageError(f"--share is for a shadow that begins; name the candidate: {model.partition('@')[0]}@VERSION")
    with open_project(context) as project:
        if begins:
            found = project.begin_shadow(model, share=1.0 if share is None else share, dry_run=dry_run)
        elif end:
            found = project.end_shadow(model.partition("@")[0], dry_run=dry_run)
        else:
            figures = project.shadow_report(model, most=most)
    if not begins and not end:
        _show(figures, json=json)
    elif json:
        print_json({**plain(found), "dry_run": dry_run})
    else:
        put(_told(found, begins=begins, dry_run=dry_run))
        if begins and not dry_run:
            say(context, f"next: pellucid models shadow {found.name} shows where the two differ")


def _told(found: Shadow, *, begins: bool, dry_run: bool) -> str:
    if begins:
        verb = "would be" if dry_run else "is now"
        return f"{found.ref} {verb} in the shadow of {found.name}'s champion, on {_part(found.share)}"
    return f"{found.ref} {'would leave' if dry_run else 'has left'} the shadow of {found.name}'s champion"


def _show(report: ShadowReport, *, json: bool) -> None:
    if json:
        print_json(report)
        return
    found = report.shadow
    beside = ", ".join(report.champions) or f"the champion of {found.name}"
    ended = f", ended {found.ended_at.astimezone():%Y-%m-%d %H:%M}" if found.ended_at is not None else ""
    put(
        f"{found.ref} in the shadow of {beside}, on {_part(found.share)}, "
        f"since {found.started_at.astimezone():%Y-%m-%d %H:%M}{ended}"
    )
    if found.trouble is not None:
        put(f"trouble     {one_line(found.trouble)}")
    if found.dropped:
        put(f"dropped     {found.dropped} images: servers were busy, or the candidate failed")
    if report.agreement is None:
        put("images      none yet")
        return
    low, high = report.agreement.low, report.agreement.high
    put(f"images      {report.images}")
    put(f"agreement   {report.agreement.value:.1%}  (95 % interval {low:.1%} to {high:.1%})")
    put(f"confidence  champion {report.champion_confidence:.3f}, candidate {report.confidence:.3f} on average")
    put(f"votes       {_judged(report.voted)}")
    put(f"of trusted  {_judged(report.trusted)}")
    if report.labelled_before:
        put(f"not judged  {report.labelled_before} differing images that somebody had labelled before")
    if report.confusion:
        put("")
        print_table(
            ("champion", "candidate", "images"),
            [(row.champion_label, row.label, row.images) for row in report.confusion],
        )
    if report.differing:
        put("")
        print_table(
            ("when", "image", "champion", "sure", "candidate", "sure", "votes"),
            [
                (
                    row.at,
                    row.sample[:12],
                    row.champion_label,
                    row.champion_confidence,
                    row.label,
                    row.confidence,
                    row.said,
                )
                for row in report.differing
            ],
            optional=("when",),
        )


def _part(share: float) -> str:
    return "all images" if share == 1 else f"{100 * share:g} % of the images"


def _judged(found: Judged) -> str:
    if not found.images:
        return "none on images where the two differ"
    return (
        f"champion right {found.champion}, candidate right {found.candidate}, neither {found.neither} "
        f"of {found.images} where they differ (McNemar p {found.p_value:.3g})"
    )
