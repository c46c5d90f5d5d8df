"""``stream``: images and feedback in, predictions out, and a table on the other side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import ending, simulate
from pellucid.cli.context import JsonOption, open_project, say
from pellucid.cli.output import one_line, plain, print_json, print_table, put
from pellucid.cli.progress import progress_bar

if TYPE_CHECKING:
    from pellucid.project import Project
    from pellucid.stream.transport import Transport

app = typer.Typer(help="Answer and learn from events, embedded or on Kafka (`stream_url`).", no_args_is_help=True)
simulate.add_commands(app)


class Capacity(StrEnum):
    """In what capacity feedback is heard."""

    USER = "user"
    ANNOTATOR = "annotator"


ImagesOption = Annotated[str, typer.Option("--images", metavar="TOPIC", help="Where image events are.")]
FeedbackOption = Annotated[str, typer.Option("--feedback", metavar="TOPIC", help="Where feedback events are.")]
PredictionsOption = Annotated[str, typer.Option("--predictions", metavar="TOPIC", help="Where predictions go.")]
DrainOption = Annotated[bool, typer.Option("--drain", "--once", help="End where nothing is left to do.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait for a champion where there is none yet.")]
DryOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done; change nothing.")]


@app.command()
def consume(
    context: typer.Context,
    dataset: Annotated[
        str | None, typer.Argument(help="Whose champion answers and learns; the only one with a model by default.")
    ] = None,
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="The consumer's name; each one gets every event once.")
    ] = "pellucid",
    images: ImagesOption = "images",
    feedback: FeedbackOption = "feedback",
    role: Annotated[Capacity, typer.Option(help="In what capacity feedback is heard.")] = Capacity.USER,
    new_classes: Annotated[
        bool, typer.Option("--new-classes", help="Let labels that nobody has used yet make new classes.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Events that are counted together.")] = 100,
    drain: DrainOption = False,
    wait: WaitOption = False,
    dry_run: DryOption = False,
    json: JsonOption = False,
) -> None:
    """Turn image events into predictions and feedback events into votes, which the champion learns at once.

    Each event counts once, whatever is killed when: run the same command again and it goes on. What cannot be used is
    set aside with its reason; `pellucid stream show NAME` lists it.
    """
    from pellucid.flow.training.predict import wait_for_champion
    from pellucid.stream.consume import consume as consume_events
    from pellucid.stream.effects import Effects
    from pellucid.stream.housekeeping import Housekeeping
    from pellucid.stream.transport import check_topic
    from pellucid.types import Role

    for topic in (images, feedback):
        check_topic(topic)
    with ending.as_service(not drain), _opened(context) as (project, transport, tell):
        if dry_run:
            _tell_lags(project, transport, name, (images, feedback), json=json)
            return
        if wait:
            wait_for_champion(
                project.workspace, dataset, tell=lambda why: say(context, f"{why}; the stream waits for it")
            )
        effects = Effects(project.workspace, name, name=dataset, role=Role(role), new_classes=new_classes)
        with contextlib.closing(effects):
            live = effects.live
            hears = "learns from" if live.learns else "keeps, for the next training,"
            say(context, f"{live.model.ref} answers {images} and {hears} {feedback}; Ctrl-C ends")
            done = consume_events(
                project.workspace.database,
                transport,
                (images, feedback),
                name,
                effects.handle,
                prepare=effects.prepare,
                around=effects.around,
                between=Housekeeping(project.workspace, effects.live.model.name).look,
                batch=batch,
                report=lambda found: tell("events handled", found.handled, found.trouble),
                drain=drain,
            )
    _print(
        done,
        f"{done.handled} events handled, {done.duplicates} had been before, {done.set_aside} set aside",
        json=json,
    )
    if done.set_aside or done.lost:
        say(context, f"next: pellucid stream show {name}")


@app.command()
def publish(
    context: typer.Context,
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="The publisher's name; each one sends every answer once.")
    ] = "pellucid",
    predictions: PredictionsOption = "predictions",
    drain: DrainOption = False,
    dry_run: DryOption = False,
    json: JsonOption = False,
) -> None:
    """Send recorded answers on as prediction events, from where it came to the last time.

    These are the answers to image events and over HTTP. A prediction event's id is the answer's: on Kafka, where an
    event may come twice after a crash, it says which ones are the same.
    """
    from pellucid.stream.outbox import publish_answers, unpublished

    with ending.as_service(not drain), _opened(context) as (project, transport, tell):
        database = project.workspace.database
        if dry_run:
            with database.read() as connection:
                count = unpublished(connection, predictions, name)
            _print({"topic": predictions, "lag": count, "dry_run": True}, f"would publish {count} answers", json=json)
            return
        done = publish_answers(
            database,
            transport,
            predictions,
            name,
            report=lambda found: tell("answers published", found.published, found.trouble),
            drain=drain,
        )
    _print(done, f"{done.published} answers published", json=json)


@app.command()
def bridge(
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="The table with the images: NAME or SCHEMA.NAME.")],
    url: Annotated[
        str,
        typer.Option(
            "--database",
            metavar="URL",
            envvar="PELLUCID_BRIDGE_URL",
            help="Where the table is, as an SQLAlchemy URL; a password belongs into the environment.",
        ),
    ],
    into: Annotated[
        str | None, typer.Option("--into", metavar="TABLE", help="Write predictions into this table; made if missing.")
    ] = None,
    id_: Annotated[str, typer.Option("--id", metavar="COLUMN", help="The column that names a row for good.")] = "id",
    time: Annotated[str, typer.Option("--time", metavar="COLUMN", help="A timestamp or number that grows.")] = "time",
    image: Annotated[str, typer.Option("--image", metavar="COLUMN", help="The image, or its file's path.")] = "image",
    label: Annotated[
        str, typer.Option("--label", metavar="COLUMN", help="What people say it shows; '' for no such column.")
    ] = "label",
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Where paths start, and what no path may lead out of."),
    ] = None,
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="The bridge's name.")] = "bridge",
    voter: Annotated[str, typer.Option(metavar="NAME", help="Whose labels they are.")] = "bridge",
    late: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How late a row may become visible behind others.")
    ] = 60.0,
    images: ImagesOption = "images",
    feedback: FeedbackOption = "feedback",
    predictions: PredictionsOption = "predictions",
    drain: DrainOption = False,
    dry_run: DryOption = False,
    json: JsonOption = False,
) -> None:
    """Carry a table's new rows to the stream: images, labels as feedback; and predictions into another table."""
    from pellucid.store.foreign import Foreign
    from pellucid.stream.bridge import Bridge
    from pellucid.stream.rows import Columns, Rows
    from pellucid.stream.topics import Topics

    with (
        ending.as_service(not drain),
        _opened(context) as (project, transport, tell),
        contextlib.closing(Foreign(url)) as foreign,
    ):
        columns = Columns(id_, time, image, label or None)
        limit = project.workspace.settings.max_image_bytes
        rows = Rows(foreign, table, columns, folder=folder, max_bytes=limit)
        topics = Topics(images, feedback, predictions)
        made = Bridge(project.workspace.database, transport, name, rows, voter=voter, topics=topics, late=late)
        if dry_run:
            count = made.waiting()
            _print({"table": table, "rows": count, "dry_run": True}, f"would carry {count} rows", json=json)
            return
        if into is not None:
            made.write_into(foreign, into)
        done = made.run(report=lambda found: tell("images carried", found.images, found.trouble), drain=drain)
    _print(
        done,
        f"{done.images} images and {done.labels} labels carried, {done.predictions} predictions written, "
        f"{done.set_aside} rows set aside",
        json=json,
    )
    if done.set_aside:
        say(context, f"next: pellucid stream show bridge-{name}")


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A consumer, or bridge-NAME: what it has set aside.")] = None,
    images: ImagesOption = "images",
    feedback: FeedbackOption = "feedback",
    json: JsonOption = False,
) -> None:
    """Show how far everybody has come, and what could not be used."""
    from pellucid.stream.consume import aside_of
    from pellucid.stream.standing import standings, waiting

    with _opened(context) as (project, transport, _):
        database = project.workspace.database
        if name is not None:
            with database.read() as connection:
                found = [{"at": item.at, **item.answer} for item in aside_of(connection, name, limit=1000)]
            if json:
                print_json(found)
                return
            shown = ("at", "topic", "offset", "source", "id", "reason")
            lines = [[item.get(column) for column in shown] for item in found]
            print_table(shown, lines, optional=("source", "topic", "offset"), empty=f"{name} has set nothing aside")
            return
        places, waits = standings(database, transport, (images, feedback)), waiting(database)
    if json:
        print_json({"standings": places, "waiting": waits})
        return
    columns = ("topic", "role", "name", "lag", "set aside")
    print_table(columns, [(item.topic, item.role, item.name, item.lag, item.set_aside) for item in places])
    for dataset, count in waits.items():
        say(context, f"{count} feedback events of {dataset} wait for their image")


@contextlib.contextmanager
def _opened(context: typer.Context) -> Iterator[tuple[Project, Transport, Callable[[str, int, str], None]]]:
    """The project, its stream, and what tells on stderr how far something is and what is wrong."""
    from pellucid.stream.transport import open_transport

    trouble = ""
    with open_project(context, bar=False) as project, progress_bar(context.obj.quiet) as progress:
        settings = project.workspace.settings
        transport = open_transport(
            settings.stream_url, project.workspace.database, max_bytes=2 * settings.max_image_bytes
        )

        def tell(what: str, count: int, wrong: str) -> None:
            nonlocal trouble
            progress(what, count, None)
            if wrong != trouble:
                say(context, one_line(f"pellucid: {wrong}; trying again" if wrong else "pellucid: it goes on"))
            trouble = wrong

        with contextlib.closing(transport):
            yield project, transport, tell


def _tell_lags(project: Project, transport: Transport, name: str, topics: tuple[str, ...], *, json: bool) -> None:
    from pellucid.store.offsets import next_offsets

    with project.workspace.database.read() as connection:
        starts = {topic: next_offsets(connection, name, topic) for topic in topics}
    lags = {topic: transport.lag(topic, start) for topic, start in starts.items()}
    text = "would handle " + " and ".join(f"{lag} events of {topic}" for topic, lag in lags.items())
    _print({"lag": lags, "dry_run": True}, text, json=json)


def _print(value: Any, text: str, *, json: bool) -> None:
    if json:
        print_json(plain(value))
    else:
        put(text)
