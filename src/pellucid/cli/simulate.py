"""``stream simulate``: two days of traffic with users who err, against a running server, stream or table."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from pellucid.cli.context import JsonOption, open_project, say
from pellucid.cli.output import plain, print_json, print_table, put
from pellucid.cli.progress import progress_bar
from pellucid.errors import DataError, UsageError

if TYPE_CHECKING:
    from pellucid.flow.production.simulate import Play, Traffic
    from pellucid.stream.sender import Sender
    from pellucid.stream.simulation import Played
    from pellucid.stream.tally import DayTally, Tally, Window

TOKEN = "PELLUCID_TOKEN"  # noqa: S105 - the variable's name

_ENOUGH = 100  # images; the accuracy on fewer moves by more than a tenth by chance alone
_HTTP_URL = "http://127.0.0.1:8000"
_LOCAL = {"127.0.0.1", "localhost", "::1"}


class Target(StrEnum):
    """Where the traffic goes."""

    HTTP = "http"
    STREAM = "stream"
    TABLE = "table"


class Noise(StrEnum):
    """What wrong labels are."""

    SYMMETRIC = "symmetric"
    PAIR = "pair"
    INSTANCE = "instance"


class Split(StrEnum):
    """Which images of the dataset come by."""

    UNSEEN = "unseen"
    TEST = "test"
    TRAIN = "train"
    ALL = "all"


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(simulate)


def simulate(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="NAME or NAME@NUMBER; its labels count as true.")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Images by class, as `ingest` takes them, instead of the dataset's; those that it holds are left out.",
        ),
    ] = None,
    split: Annotated[
        Split | None, typer.Option(help="Which of the dataset's images; unseen ones were never in its train split.")
    ] = None,
    days: Annotated[str, typer.Option(metavar="DAY,...", help="monday, tuesday or both.")] = "monday,tuesday",
    images: Annotated[int | None, typer.Option(metavar="N", min=1, help="At most so many, shared by the days.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides all that is drawn.")] = 0,
    user_accuracy: Annotated[
        float, typer.Option(min=0, max=1, help="Share of right labels on Tuesday, the mean of all users but bad ones.")
    ] = 0.7,
    monday_accuracy: Annotated[float, typer.Option(min=0, max=1, help="The same on Monday.")] = 1.0,
    users: Annotated[int, typer.Option(metavar="N", min=1, help="How many, each with an accuracy of his own.")] = 10,
    bad_users: Annotated[int, typer.Option(metavar="K", min=0, help="So many of them never say what is true.")] = 0,
    noise: Annotated[Noise, typer.Option(help="What wrong labels are.")] = Noise.SYMMETRIC,
    to: Annotated[
        str,
        typer.Option(
            metavar="http|stream|table|URL", help="A server's HTTP API, a stream, or rows of a table; or just its URL."
        ),
    ] = Target.HTTP.value,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help=f"http://HOST:PORT ({_HTTP_URL}), embedded or kafka://HOST:PORT, or a database."
        ),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"Holds the server's token; else {TOKEN} does.")
    ] = None,
    table: Annotated[str, typer.Option(metavar="NAME", help="The table that rows go into.")] = "live_images",
    topics: Annotated[
        str, typer.Option(metavar="IMAGES,FEEDBACK,PREDICTIONS", help="The stream's topics.")
    ] = "images,feedback,predictions",
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the stream's next prediction.")
    ] = 10.0,
    rate: Annotated[str, typer.Option(metavar="N/s", help="Images a second, N/m a minute, or max.")] = "10/s",
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after 30s, 5m or 1h.")] = None,
    parallel: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="HTTP requests at once.")] = 4,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long a server may be away, or busy.")
    ] = 60.0,
    new_classes: Annotated[bool, typer.Option(help="Let users name classes that the model does not know.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a line of CSV for every image.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be sent.")] = False,
    json: JsonOption = False,
) -> None:
    """Play two days of live traffic: images come by, the model answers, and users say what they see.

    Monday's images are clean and its labels true. Tuesday's are corrupted, and its users err. The seed decides
    everything, and the same command again says nothing twice; another seed plays another round.

    The images are those that no model was trained on; name DATASET@NUMBER where training goes on meanwhile. A live
    model learns nothing from a dataset's own test images, which is what Monday shows; it does from those of --from.
    """
    from pellucid.flow.production.simulate import Play
    from pellucid.stream.simulation import parse_duration, parse_rate, play
    from pellucid.stream.tally import Report, tally

    target, url = _aimed(to, url)
    named = tuple(day.strip().lower() for day in days.split(",") if day.strip())
    plan = Play(named, user_accuracy, monday_accuracy, users, bad_users, str(noise), images, seed)
    per_second, seconds = parse_rate(rate), parse_duration(duration) if duration else math.inf
    if new_classes and target is not Target.HTTP:
        raise UsageError("--new-classes goes with --to http; leave it out")
    if token_file is not None and target is not Target.HTTP:
        raise UsageError("--token-file goes with --to http; leave it out")
    with _traffic(context, dataset, from_, split, plan) as traffic, ExitStack() as stack:
        if dry_run:
            _print_plan(context, traffic, per_second, target, url, json=json)
            return
        if target is Target.HTTP:
            sender = _http(context, url or _HTTP_URL, token_file, new_classes, parallel, patience)
        elif target is Target.STREAM:
            sender = _events(context, stack, url or "embedded", topics, wait)
        else:
            sender = _rows(url, table)
        stack.callback(sender.close)
        out = stack.enter_context(Report(report)) if report is not None else None
        progress = stack.enter_context(progress_bar(context.obj.quiet))
        played = play(traffic, sender, rate=per_second, duration=seconds, report=out, progress=progress)
    found = tally(played.outcomes, planned=len(traffic.visits), seconds=played.seconds)
    _print(context, played, found, target, json=json)
    if played.stopped is not None:
        raise played.stopped
    if found.errors and found.errors == found.sent:
        raise DataError(
            f"all of the {found.sent} images met with errors; the most frequent: {next(iter(found.reasons))}"
        )


def _aimed(to: str, url: str | None) -> tuple[Target, str | None]:
    """Where the traffic goes, of which kind that is, and its URL.

    >>> _aimed("kafka://broker:9092", None), _aimed("table", "sqlite:///live.db")
    ((<Target.STREAM: 'stream'>, 'kafka://broker:9092'), (<Target.TABLE: 'table'>, 'sqlite:///live.db'))
    """
    if to in list(Target):
        return Target(to), url
    scheme, found, _ = to.partition("://")
    targets = {"http": Target.HTTP, "https": Target.HTTP, "kafka": Target.STREAM}
    targets |= dict.fromkeys(("sqlite", "postgres", "postgresql", "postgresql+psycopg"), Target.TABLE)
    target = Target.STREAM if to == "embedded" else targets.get(scheme.lower()) if found else None
    if target is None:
        raise UsageError(
            f"--to is {to!r}; wanted is http, stream or table, or a URL: http://HOST:PORT, embedded, "
            "kafka://HOST:PORT, sqlite:///FILE or postgresql://HOST/NAME"
        )
    if url is not None:
        raise UsageError("--to and --url both give a URL; give one of them")
    return target, to


@contextmanager
def _traffic(
    context: typer.Context, dataset: str | None, folder: Path | None, split: Split | None, plan: Play
) -> Iterator[Traffic]:
    """The traffic, while what it reads from is open."""
    from pellucid.flow.production.pictures import Pool, dataset_pictures, held_samples, source_pictures
    from pellucid.flow.production.simulate import draw_traffic

    if folder is not None and split is not None:
        raise UsageError("--split chooses from the dataset and --from from a folder; give one of them")
    if folder is None and dataset is None:
        raise UsageError("name a dataset, or a folder of images by class with --from")
    with ExitStack() as stack:
        workspace = None
        if dataset is not None:
            workspace = stack.enter_context(open_project(context, bar=False)).workspace
        with progress_bar(context.obj.quiet) as progress:
            if folder is not None:
                from pellucid.store.sources import open_source

                source = stack.enter_context(open_source(folder))
                held = held_samples(workspace, dataset) if workspace and dataset else frozenset[str]()
                pictures = source_pictures(source, without=held, progress=progress)
            else:
                assert workspace is not None and dataset is not None  # noqa: S101, PT018 - for the type checker
                pictures = dataset_pictures(workspace, dataset, Pool(split or Split.UNSEEN))
            options = {} if workspace is None else {"limits": workspace.limits}
            traffic = draw_traffic(pictures, plan, progress=progress, **options)
        if split in {Split.TRAIN, Split.ALL}:
            say(context, f"the model may have learnt from these images ({split}); it looks better than it is")
        yield traffic


def _http(
    context: typer.Context, url: str, token_file: Path | None, new_classes: bool, parallel: int, patience: float
) -> Sender:
    from pellucid.stream.http_sender import HttpSender

    token = token_file.read_text(encoding="utf-8").strip() if token_file is not None else os.environ.get(TOKEN)
    sender = HttpSender(url, token or None, new_classes=new_classes, parallel=parallel, patience=patience)
    where = urlsplit(url)
    if token and where.scheme == "http" and where.hostname not in _LOCAL:
        say(context, f"the token goes to {where.hostname} unencrypted; use https:// where others share the network")
    return sender


def _events(context: typer.Context, stack: ExitStack, url: str, topics: str, wait: float) -> Sender:
    from pellucid.stream.event_sender import EventSender
    from pellucid.stream.topics import Topics
    from pellucid.stream.transport import open_transport

    names = [name.strip() for name in topics.split(",")]
    if len(names) != 3:
        raise UsageError(f"--topics names {len(names)} topics; wanted are three: IMAGES,FEEDBACK,PREDICTIONS")
    project = stack.enter_context(open_project(context, bar=False))
    return EventSender(open_transport(url, project.workspace.database), Topics(*names), wait=wait)


def _rows(url: str | None, table: str) -> Sender:
    from pellucid.stream.table_sender import TableSender

    if url is None:
        raise UsageError("--to table needs the database's --url, as sqlite:///live.db")
    return TableSender(url, table)


def _print_plan(
    context: typer.Context, traffic: Traffic, per_second: float, to: Target, url: str | None, *, json: bool
) -> None:
    """What would be sent."""
    from pellucid.config import hide_secrets

    days = {}
    for day in traffic.play.days:
        own = [visit for visit in traffic.visits if visit.day == day]
        days[day] = {"images": len(own), "wrong_labels": sum(not visit.right for visit in own)}
    total = len(traffic.visits)
    seconds = None if math.isinf(per_second) else round(total / per_second, 1)
    if json:
        shown = {"to": str(to), "url": hide_secrets(url) if url else None, "images": total, "seconds": seconds}
        print_json({**shown, "days": days, "classes": traffic.classes, "users": traffic.users, "play": traffic.play})
        return
    print_table(("day", "images", "wrong labels"), [(day, *counts.values()) for day, counts in days.items()])
    print_table(("user", "accuracy"), [(user.name, user.accuracy) for user in traffic.users])
    say(context, f"{total} images would be sent" + (f" in {seconds:g} s" if seconds is not None else ""))


def _print(context: typer.Context, played: Played, found: Tally, to: Target, *, json: bool) -> None:
    if json:
        print_json({"to": str(to), "complete": played.stopped is None, **plain(found)})
        return
    rows = [
        (name, day.sent, day.answered, day.accuracy, _interval(day), *_ends(day.windows))
        for name, day in found.days.items()
    ]
    columns = ("day", "sent", "answered", "accuracy", "95 % interval", "first tenth", "last tenth")
    shown = len(columns) if any(row[-1] is not None for row in rows) else len(columns) - 2
    print_table(columns[:shown], [row[:shown] for row in rows])
    if "tuesday" in found.days and found.answered:
        say(context, "Tuesday's images are spoilt on purpose: squares, a mosaic or a bar lie over them")
    if found.right.heard + found.wrong.heard:
        told = [
            (name, votes.heard, votes.believed, votes.doubted, votes.overruled, votes.not_learnt)
            for name, votes in (("right", found.right), ("wrong", found.wrong))
        ]
        print_table(("votes", "heard", "believed", "doubted", "overruled", "not learnt"), told)
        say(
            context,
            "shares of the votes heard: believed were learnt as said, with a trust of 0.5 or more; doubted, with "
            "less; overruled, with another label; not learnt were kept only: the model and all others rather believe "
            "in another class, or it was a near-copy, a test or trusted image, or hurt the trusted ones",
        )
    put(f"{found.sent} of {found.planned} sent, {found.answered} answered, {found.errors} errors, {found.rate:g}/s")
    for name, wait in (("predict", found.predict_ms), ("feedback", found.feedback_ms)):
        if wait.p50 is not None:
            put(f"{name}: p50 {wait.p50:g} ms, p99 {wait.p99:g} ms")
    for reason, count in found.reasons.items():
        put(f"{count} x {reason}")


def _interval(day: DayTally) -> str | None:
    """The accuracy's 95 % interval.

    >>> from pellucid.stream.tally import DayTally
    >>> _interval(DayTally(sent=116, answered=116, accuracy=0.9052, windows=()))
    '0.838 to 0.946'
    """
    from pellucid.evaluate.intervals import wilson

    if day.accuracy is None:
        return None
    found = wilson(round(day.accuracy * day.answered), day.answered)
    return f"{found.low:.3f} to {found.high:.3f}"


def _ends(windows: Sequence[Window]) -> tuple[float | None, float | None]:
    """Accuracy at the day's two ends, where there are images enough for a change to be more than chance."""
    if not windows or windows[0].last < _ENOUGH or windows[-1].last - windows[-1].first + 1 < _ENOUGH:
        return None, None
    return windows[0].accuracy, windows[-1].accuracy
