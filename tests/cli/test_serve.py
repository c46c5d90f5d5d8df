"""`pellucid serve` and `pellucid up` as processes: they answer, they end as asked, and kill -9 loses nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from pellucid import Project
from pellucid.flow.online.answer import Seen, look_at
from pellucid.flow.online.live import LiveModel
from pellucid.types import Right

from ..conftest import PATIENCE, until
from .conftest import STOP_WORDS, Cli, Start

KILL, INT, TERM = signal.SIGKILL, signal.SIGINT, signal.SIGTERM


@pytest.fixture
def champion(tmp_path: Path, trained_folder: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Path:
    """A project whose champion is ``pets@1``; the folder that we are in."""
    folder = tmp_path / "champion"
    shutil.copytree(trained_folder, folder)
    monkeypatch.chdir(folder)
    assert cli("models", "promote", "pets@1").code == 0
    return folder


def address(process: subprocess.Popen[str]) -> str:
    """What a server prints once its port is open."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line.startswith("http://"), (line, process.communicate())
    return line


def ask(url: str, image: bytes) -> dict[str, Any]:
    """What the server says of the image."""
    got = httpx.post(f"{url}/predict", content=image, headers={"content-type": "image/png"}, timeout=PATIENCE)
    assert got.status_code == 200, got.text
    return dict(got.json()["predictions"][0])


def status(url: str) -> int | None:
    """The status of the answer; None where nobody answers."""
    try:
        return httpx.get(url, timeout=PATIENCE).status_code
    except httpx.TransportError:
        return None


def ready(url: str) -> bool:
    return status(f"{url}/health/ready") == 200


@pytest.mark.parametrize(("how", "code", "words"), [(INT, 130, [STOP_WORDS]), (TERM, 0, [])])
def test_it_serves_until_it_is_told_to_end(
    start: Start, champion: Path, picture: Any, how: signal.Signals, code: int, words: list[str]
) -> None:
    process = start("serve", "--port", "0", "--open", cwd=champion)
    url = address(process)
    assert ask(url, picture("cat", 50))["model"] == "pets@1"
    assert httpx.get(f"{url}/docs").status_code == 200
    process.send_signal(how)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines() == [f"{url}/docs shows every route; Ctrl-C ends", *words]


def test_what_is_under_way_is_answered_before_it_ends(start: Start, champion: Path, picture: Any) -> None:
    process = start("serve", "--port", "0", "--open", cwd=champion, at="pellucid.flow.online.answer:add_answers")
    url = address(process)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, url, picture("cat", 51))
        until((champion / "halted").exists)
        process.send_signal(TERM)
        time.sleep(0.3)
        (champion / "released").touch()
        answer = asked.result(PATIENCE)
    process.communicate(timeout=PATIENCE)
    with closing(sqlite3.connect(champion / ".pellucid" / "pellucid.db")) as database:
        assert database.execute("SELECT count(*) FROM prediction WHERE uid = ?", [answer["id"]]).fetchone() == (1,)


def test_tokens_are_asked_for_unless_it_is_open_and_open_is_for_this_machine(
    cli: Cli, start: Start, champion: Path
) -> None:
    assert "without tokens the server may listen on this machine only" in cli("serve", "--open", "--host", "::").error
    assert "without tokens" in cli("up", "--open", "--host", "0.0.0.0").error
    secret = cli("tokens", "create", "phone", "--role", "predict", "--json").json["token"]
    url = address(start("serve", "--port", "0", cwd=champion))
    assert httpx.get(f"{url}/history").status_code == 401
    assert httpx.get(f"{url}/history", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    refused = httpx.post(f"{url}/feedback", json={}, headers={"Authorization": f"Bearer {secret}"})
    assert refused.status_code == 403
    assert Right.FEEDBACK in refused.json()["error"]


def test_a_taken_port_is_said_in_one_line(cli: Cli, champion: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for verb in ("serve", "up"):
            assert f"nobody can listen on 127.0.0.1:{port}" in cli(verb, "--open", "--port", port).error


def test_paths_as_they_come_over_the_wire_lead_nowhere(start: Start, champion: Path) -> None:
    url = address(start("serve", "--port", "0", "--open", cwd=champion))
    host, port = url.removeprefix("http://").split(":")
    for target in (
        "/../../../../etc/passwd",
        "/predictions/../../pellucid.toml",
        "/v2/models/pets/versions/../../../../pellucid.toml",
        "//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/docs/..%5c..%5cpellucid.toml",
        "http://evil.example/etc/passwd",
    ):
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 422 ", b"HTTP/1.1 400 ")), (target, answer)
        assert b"root:" not in answer
        assert b"database_url" not in answer
    assert ready(url)


class Clients:
    """Phones that send pictures and say what they show, each under an id of its own, and note what they were told."""

    def __init__(self, picture: Callable[..., bytes]) -> None:
        self._picture = picture
        self._lock = threading.Lock()
        self._next = 0
        self.sent: dict[str, int] = {}  # the number of the picture of every id that was ever sent
        self.heard: dict[str, dict[str, Any]] = {}  # what was answered to it
        self.answers: dict[str, dict[str, Any]] = {}  # every prediction that was answered, by its id
        self.failed: list[str] = []

    def run(self, url: str) -> None:
        """Until the server is gone."""
        while True:
            with self._lock:
                number, self._next = self._next, self._next + 1
                self.sent[f"k{number}"] = number
            if not self.send(url, f"k{number}"):
                return

    def send(self, url: str, key: str) -> bool:
        """One picture with its label; False where the server is gone."""
        label = "cat" if self.sent[key] % 2 else "dog"
        files = {"image": ("x.png", self._picture(label, 1000 + self.sent[key]), "image/png")}
        try:
            got = httpx.post(f"{url}/samples", data={"label": label, "id": key}, files=files, timeout=PATIENCE)
        except httpx.TransportError:
            return False
        if got.status_code != 200:
            self.failed.append(got.text)
            return False
        with self._lock:
            told = got.json()
            assert self.heard.setdefault(key, told["heard"]) == told["heard"], "the same id, the same answer"
            self.answers[told["prediction"]["id"]] = told["prediction"]
        return True


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_killed_at_any_moment_it_loses_nothing_and_counts_nothing_twice(
    start: Start, champion: Path, picture: Callable[..., bytes], kills: int
) -> None:
    clients, chance = Clients(picture), random.Random(kills)
    for _ in range(kills):
        process = start("serve", "--port", "0", "--open", cwd=champion)
        url = address(process)
        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(clients.run, url) for _ in range(4)]
            before = len(clients.heard)
            until(lambda before=before: len(clients.heard) > before or clients.failed)  # type: ignore[misc]
            time.sleep(chance.random())
            process.send_signal(KILL)
            for item in asking:
                item.result(PATIENCE)
        assert clients.failed == []
        assert process.wait() == -KILL
    lost = len(clients.sent) - len(clients.heard)
    process = start("serve", "--port", "0", "--open", cwd=champion)
    url = address(process)
    for key in clients.sent:  # phones that heard nothing ask again, and so do those that did
        assert clients.send(url, key)
    assert set(clients.heard) == set(clients.sent)
    for uid, answer in clients.answers.items():
        found = httpx.get(f"{url}/predictions/{uid}", timeout=PATIENCE).json()["answer"]
        assert (found["probabilities"], found["model"], found["ledger"]) == (
            answer["probabilities"],
            answer["model"],
            answer["ledger"],
        )
    process.send_signal(TERM)
    process.communicate(timeout=PATIENCE)
    process = start("serve", "--port", "0", "--open", cwd=champion)  # hears nothing, so its ledger stays as it is
    shares = ask(address(process), picture("cat", 5000))["probabilities"]
    process.send_signal(TERM)
    process.communicate(timeout=PATIENCE)
    assert lost <= 4 * kills, "one a phone and kill at most was under way"
    check(champion, clients, shares, picture("cat", 5000))


def check(folder: Path, clients: Clients, shares: dict[str, float], image: bytes) -> None:
    """One vote an id, every reference leads somewhere, and a fresh model that reads the ledger answers the same."""
    with closing(sqlite3.connect(folder / ".pellucid" / "pellucid.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        votes = Counter(row[0] for row in database.execute("SELECT sample_id FROM vote WHERE ingest_id IS NULL"))
        kept = {row[0] for row in database.execute("SELECT id FROM sample")}
    assert set(votes.values()) == {1}
    assert set(votes) == {heard["sample"] for heard in clients.heard.values()}
    assert len(votes) == len(clients.sent)
    assert set(votes) <= kept
    with Project(folder, environ={}) as project:
        for sample in votes:
            assert project.workspace.images.get(sample)
        live = LiveModel(project.workspace, project.model("pets"))
        with project.workspace.database.read() as connection:
            live.follow(connection)
        (seen,) = look_at(project.workspace, live.predictor.extractor, [image])
        assert isinstance(seen, Seen)
        own = live.answerer.reply(seen.vector[None])[0][0]
    assert list(shares.values()) == pytest.approx(list(own), abs=1e-6)


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def running(start: Start, champion: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`pellucid up` with a worker, and its address; nothing of it is left at the end."""
    process = start("up", "--port", port, "--open", "--workers", "1", "--no-stream", cwd=champion)
    yield process, f"http://127.0.0.1:{port}"
    for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ():
        os.kill(child.pid, KILL)


def test_up_starts_again_what_dies_and_ends_everything(running: tuple[subprocess.Popen[str], str]) -> None:
    process, url = running
    until(lambda: ready(url))
    parent = psutil.Process(process.pid)
    assert len(parent.children()) == 2
    server = next(child for child in parent.children() if "serve" in child.cmdline())
    server.kill()
    until(lambda: not server.is_running())
    until(lambda: ready(url))
    children = parent.children()
    assert len(children) == 2
    process.send_signal(TERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert not any(child.is_running() for child in children)
    lines = err.splitlines()
    assert lines[0] == "starting server, worker 1; Ctrl-C ends them"
    assert "server ended with -9; it is started again in 1 s" in lines
    assert "Traceback" not in err
    assert "stopped" not in err


def test_up_waits_for_a_champion_and_says_so_once(start: Start, trained: Path, cli: Cli, port: int) -> None:
    options = ("--port", port, "--open", "--workers", "0")
    process = start("up", *options, cwd=trained, PELLUCID_POLL_SECONDS="0.05")
    url = f"http://127.0.0.1:{port}"
    assert until(lambda: status(f"{url}/health/ready")) == 503
    parts = psutil.Process(process.pid).children()
    time.sleep(1.0)  # in which a part that died of it would have been started again
    assert cli("models", "promote", "pets@1").code == 0
    until(lambda: ready(url))
    assert psutil.Process(process.pid).children() == parts, "nothing died"
    time.sleep(1.0)  # until the consumer has seen it, too
    process.send_signal(INT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.count("pets has no champion yet") == 1, err
    assert err.count("the stream waits for it") == 1
    assert "pets@1 answers images and learns from feedback; Ctrl-C ends" in err
    assert "started again" not in err
    assert err.splitlines()[-1] == STOP_WORDS
    assert err.count("stopped") == 1, "the parts end quietly"


def test_up_asks_which_one_is_meant_before_it_starts_anything(
    cli: Cli, champion: Path, class_folders: Callable[..., Path]
) -> None:
    assert cli("ingest", class_folders(champion / "cars", {"cat": 6, "dog": 6}), "-d", "cars").code == 0
    assert cli("train", "-d", "cars", "-m", "kernel").code == 0
    assert "several models could be meant: cars, pets" in cli("up", "--open").error
