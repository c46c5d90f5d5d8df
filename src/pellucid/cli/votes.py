"""``forget`` and ``voters``: take back what somebody said, and see who said how much."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import MORE, JsonOption, open_project, say
from pellucid.cli.output import one_line, print_json, print_table, put
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.flow.online.effect import Shift
    from pellucid.flow.online.forget import Forgotten

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel=MORE)(forget)
    app.command(rich_help_panel=MORE)(voters)


def forget(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The dataset that was spoken of.")],
    voter: Annotated[str | None, typer.Option(help="Whose votes.")] = None,
    sample: Annotated[
        str | None, typer.Option(metavar="ID", help="Votes on this image only; its id, or the beginning.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Votes from then on: 2026-03-01, 2026-03-01T14:00, or 30m, 2h, 7d."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept with the retraction.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would happen; change nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Take back what somebody said: the champion unlearns it exactly, with its accuracy before and after.

    Options combine: a vote has to fit all of them. Every server that runs the champion follows within a moment.
    """
    start = None if since is None else parse_time(since)
    with open_project(context) as project:
        found = project.forget(dataset, voter=voter, sample=sample, since=start, reason=reason, dry_run=dry_run)
    if json:
        print_json(found)
        return
    _tell(found)
    if found.dry_run:
        say(context, "nothing was changed; the same command without --dry-run does it")


def voters(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The dataset that was spoken of.")],
    json: JsonOption = False,
) -> None:
    """List who has said how much, how reliable each is, and with what weight the champion has learnt it."""
    with open_project(context) as project:
        found = project.voters(dataset)
    if json:
        print_json(found)
        return
    rows = [
        (
            v.name,
            v.votes,
            v.retracted,
            v.reliability and f"{v.reliability.value:.2f} ({v.reliability.low:.2f}-{v.reliability.high:.2f})",
            v.weight,
            v.agreement,
            " ".join(v.roles),
        )
        for v in found
    ]
    columns = ("voter", "votes", "retracted", "reliability", "weight", "agrees", "as")
    print_table(columns, rows, optional=("as", "agrees"), empty=f"nobody has said anything of {dataset} yet")


def parse_time(text: str, now: datetime | None = None) -> datetime:
    """A moment: a date or time in ISO 8601, of this machine's zone where it names none, or so long ago.

    >>> parse_time("2h", datetime(2026, 3, 1, 14, tzinfo=UTC)).isoformat()
    '2026-03-01T12:00:00+00:00'
    >>> parse_time("2026-03-01T14:00+01:00").isoformat()
    '2026-03-01T14:00:00+01:00'

    Raises:
        UsageError: it is neither.
    """
    ago = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if ago:
        return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time; wanted is 2026-03-01, 2026-03-01T14:00, or 30m, 2h, 7d ago") from None
    return found if found.tzinfo is not None else found.astimezone()


def _tell(found: Forgotten) -> None:
    would = "would be " if found.dry_run else ""
    votes = "1 vote" if found.votes == 1 else f"{found.votes} votes"
    who = ", ".join(found.voters[:3]) + (f" and {len(found.voters) - 3} others" if len(found.voters) > 3 else "")
    put(one_line(f"{votes} of {who} on {_images(found.samples)} {would}taken back"))
    if found.note:
        put(f"  {found.note}")
        return
    put(f"  {found.model}    {would}unlearnt {_images(found.unlearnt)}, learnt otherwise {found.changed}")
    for name, shift in (("trusted", found.guard), ("test", found.test)):
        if shift is not None:
            put(f"  {name:<10} {_shift(shift)}")
    if found.answers:
        put(f"  answers    {_answers(found)}")


def _answers(found: Forgotten) -> str:
    newest = "the newest answer" if found.answers == 1 else f"the newest {found.answers} answers"
    would = "would be" if found.dry_run else "is" if found.answers == 1 else "are"
    if not found.answers_changed:
        return f"{newest} {would} the same when given again"
    return f"{found.answers_changed} of {newest} {would} another label when given again"


def _shift(shift: Shift) -> str:
    gain = shift.comparison.difference
    return (
        f"accuracy {shift.before:.3f} before, {shift.after:.3f} after on {_images(shift.n)}: {gain.value:+.3f} "
        f"(95 % interval {gain.low:+.3f} to {gain.high:+.3f})"
    )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
