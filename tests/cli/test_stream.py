"""``pellucid stream``: events in, predictions out, a table on the other side."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.stream.payload import Feedback, feedback_event, image_event
from pellucid.stream.transport import open_transport

from .conftest import STOP_WORDS, Cli, Start


@pytest.fixture
def shop(cli: Cli, trained: Path) -> Path:
    """A project with a champion, in which we are."""
    assert cli("models", "promote", "pets@1").code == 0
    return trained


@pytest.fixture
def photos(tmp_path: Path, picture: Callable[..., bytes]) -> str:
    """The URL of a table ``photos`` with three images, of which one is labelled."""
    with closing(sqlite3.connect(tmp_path / "photos.db")) as connection, connection:
        connection.execute("CREATE TABLE photos (id INTEGER PRIMARY KEY, time TIMESTAMP, image BLOB, label TEXT)")
        for n in range(3):
            row = (n, f"2026-03-01 12:00:0{n}", picture("dog", 200 + n), "dog" if n == 1 else None)
            connection.execute("INSERT INTO photos VALUES (?, ?, ?, ?)", row)
    return f"sqlite:///{tmp_path / 'photos.db'}"


def publish(shop: Path, picture: Callable[..., bytes], count: int) -> None:
    with Project(shop) as project:
        transport = open_transport("embedded", project.workspace.database)
        images = [image_event(picture("dog", 100 + n), id=str(n), source="/camera") for n in range(count)]
        words = [
            feedback_event(Feedback("dog", "ann", image=image.data), id=image.id, source="/desk") for image in images
        ]
        transport.publish("images", [*images, image_event(b"no image", id="bad", source="/camera")])
        transport.publish("feedback", words)


def test_events_go_in_and_predictions_go_out(cli: Cli, shop: Path, picture: Callable[..., bytes]) -> None:
    publish(shop, picture, 3)
    assert cli("stream", "consume", "-n", "--json").json == {"lag": {"images": 4, "feedback": 3}, "dry_run": True}
    assert cli("stream", "consume", "-n").out == "would handle 4 events of images and 3 events of feedback\n"
    done = cli("stream", "consume", "--drain", "--json")
    assert (done.json["handled"], done.json["set_aside"]) == (6, 1)
    assert "pets@1 answers images and learns from feedback" in done.err
    assert "next: pellucid stream show pellucid" in done.err
    assert cli("stream", "consume", "--once").out == "0 events handled, 0 had been before, 0 set aside\n"
    [bad] = cli("stream", "show", "pellucid", "--json").json
    assert (bad["id"], bad["topic"]) == ("bad", "images")
    assert "bad" in cli("stream", "show", "pellucid").out
    assert "has set nothing aside" in cli("stream", "show", "nobody").err
    assert cli("stream", "publish", "-n", "--json").json == {"topic": "predictions", "lag": 3, "dry_run": True}
    assert cli("stream", "publish", "--drain", "--json").json["published"] == 3
    assert cli("stream", "publish", "--drain").out == "0 answers published\n"
    found = cli("stream", "show", "--json").json
    assert [(item["topic"], item["role"], item["lag"], item["set_aside"]) for item in found["standings"]] == [
        ("feedback", "consumer", 0, 1),
        ("images", "consumer", 0, 1),
        ("predictions", "publisher", 0, 0),
    ]


def test_a_consumer_shows_before_its_first_event(cli: Cli, shop: Path, picture: Callable[..., bytes]) -> None:
    assert cli("stream", "consume", "--drain").out == "0 events handled, 0 had been before, 0 set aside\n"
    shown = [line.split() for line in cli("stream", "show").out.splitlines()[1:]]
    assert shown == [["feedback", "consumer", "pellucid", "0", "0"], ["images", "consumer", "pellucid", "0", "0"]]
    publish(shop, picture, 3)
    lags = {item["topic"]: (item["name"], item["lag"]) for item in cli("stream", "show", "--json").json["standings"]}
    assert lags == {"images": ("pellucid", 4), "feedback": ("pellucid", 3)}
    assert cli("stream", "consume", "--drain", "--json").json["handled"] == 6


def test_a_table_s_images_come_back_as_predictions(cli: Cli, shop: Path, photos: str, tmp_path: Path) -> None:
    words = ("stream", "bridge", "photos", "--database", photos)
    assert cli(*words, "-n").out == "would carry 3 rows\n"
    done = cli(*words, "--into", "answers", "--drain", "--json").json
    assert (done["images"], done["labels"], done["predictions"]) == (3, 1, 0)
    assert cli("stream", "consume", "--drain", "--json").json["handled"] == 4
    assert cli("stream", "publish", "--drain", "--json").json["published"] == 3
    done = cli(*words, "--into", "answers", "--drain", "--json").json
    assert (done["images"], done["labels"], done["predictions"]) == (0, 0, 3)
    with closing(sqlite3.connect(tmp_path / "photos.db")) as connection:
        rows = connection.execute("SELECT id, label, model FROM answers ORDER BY id").fetchall()
    assert rows == [(n, "dog", "pets@1") for n in range(3)]


def test_what_is_wrong_is_said_in_one_line(cli: Cli, shop: Path, photos: str) -> None:
    assert "no table 'nobody'" in cli("stream", "bridge", "nobody", "--database", photos).error
    assert "no column 'when'" in cli("stream", "bridge", "photos", "--database", photos, "--time", "when").error
    assert "wanted is embedded or kafka://" in cli("-c", "stream_url=amqp://x", "stream", "show").error
    assert "no model named 'cars'" in cli("stream", "consume", "cars", "--drain").error
    assert "a consumer cannot be called" in cli("stream", "consume", "--as", "a b", "--drain").error
    assert "a topic cannot be called" in cli("stream", "consume", "--images", "a b", "--drain").error


def test_without_a_champion_nothing_is_consumed(cli: Cli, trained: Path, picture: Callable[..., bytes]) -> None:
    publish(trained, picture, 1)
    assert "pets has no champion" in cli("stream", "consume", "--drain").error
    assert {item["name"] for item in cli("stream", "show", "--json").json["standings"]} == {None}
    assert cli("stream", "consume", "-n", "--json").json["lag"] == {"images": 2, "feedback": 1}


@pytest.mark.parametrize(("how", "code", "words"), [(signal.SIGINT, 130, [STOP_WORDS]), (signal.SIGTERM, 0, [])])
@pytest.mark.parametrize(
    "at",
    [
        "",
        "pellucid.stream.effects:add_answers",
        "pellucid.flow.online.feedback:add_vote",
        "pellucid.stream.consume:_commit",
    ],
)
def test_a_stopped_consumer_goes_on(
    cli: Cli,
    start: Start,
    shop: Path,
    picture: Callable[..., bytes],
    how: signal.Signals,
    code: int,
    words: list[str],
    at: str,
) -> None:
    publish(shop, picture, 3)
    process = start("stream", "consume", "--batch", "2", cwd=shop, at=at)
    end = time.monotonic() + 60.0
    while not (
        (shop / "halted").exists() if at else cli("stream", "consume", "-n", "--json").json["lag"]["images"] == 0
    ):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, how)
    time.sleep(0.05)
    (shop / "released").touch()
    out, err = process.communicate(timeout=60.0)
    assert (process.returncode, out, err.splitlines()[1:]) == (code, "", words), err
    done = cli("stream", "consume", "--drain", "--json").json
    assert done["duplicates"] == 0
    assert cli("stream", "publish", "--drain", "--json").json["published"] == 3
    with closing(sqlite3.connect(shop / ".pellucid" / "pellucid.db")) as database:
        assert database.execute("SELECT count(*) FROM vote WHERE voter = 'ann'").fetchone() == (3,)
        assert database.execute("SELECT count(*) FROM ledger").fetchone() == (3,)
