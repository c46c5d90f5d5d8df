"""Small pictures and small projects, for all tests."""

from __future__ import annotations

import io
import os
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid import Project

Picture = Callable[..., bytes]
WriteFolders = Callable[..., Path]
MakeProject = Callable[..., Project]

SOAK = "soak"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long runs of random kills are tests of `make soak` alone; to all others they do not exist."""
    if config.option.markexpr != SOAK:
        items[:] = [item for item in items if item.get_closest_marker(SOAK) is None]


_TINTS = {"cat": (200, 80, 80), "dog": (80, 200, 80), "eel": (80, 80, 200)}


def picture_bytes(label: str, number: int, *, size: int = 24, format: str = "PNG", **options: Any) -> bytes:
    """A noisy picture in its class's colour; no two of different numbers are alike."""
    seed = int.from_bytes(f"{label}-{number}".encode(), "big")
    noise = np.random.default_rng(seed).integers(-60, 60, (size, size, 3))
    pixels = np.clip(np.array(_TINTS.get(label, (128, 128, 128))) + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def picture() -> Picture:
    """picture(label, number, size=24, format="PNG"): an encoded picture, the same for the same arguments."""
    return picture_bytes


@pytest.fixture(scope="session")
def class_folders() -> WriteFolders:
    """class_folders(root, {"cat": 3}, start=0): writes cat/0.png ... below the root, and names the root."""

    def write(root: Path, counts: Mapping[str, int], *, start: int = 0) -> Path:
        for label, count in counts.items():
            (root / label).mkdir(parents=True, exist_ok=True)
            for number in range(start, start + count):
                (root / label / f"{number}.png").write_bytes(picture_bytes(label, number))
        return root

    return write


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[MakeProject]:
    """make_project(name="project", **settings): a new project, or a copy of the folder ``of``; closed at the end."""
    opened: list[Project] = []

    def make(name: str = "project", *, of: Path | None = None, **settings: Any) -> Project:
        folder = tmp_path / name
        if of is not None:
            shutil.copytree(of, folder)
        elif not (folder / "pellucid.toml").exists():
            Project.init(folder).close()
        opened.append(Project(folder, settings={"threads": 2, "poll_seconds": 0.02, **settings}, environ={}))
        return opened[-1]

    yield make
    for project in opened:
        project.close()


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A new project."""
    return make_project()


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory, class_folders: WriteFolders) -> Path:
    """A project with the dataset ``pets`` (12 cats, 12 dogs) and its model ``pets@1``, which is nobody's champion.

    Shared by all: work on a copy, ``make_project(of=trained_folder)``.
    """
    root = tmp_path_factory.mktemp("trained")
    source = class_folders(root / "source", {"cat": 12, "dog": 12})
    with Project.init(root / "project") as made:
        made.ingest(source, "pets", test_fraction=0.25)
        made.train("pets")
    return root / "project"


@pytest.fixture(scope="session")
def child_environ() -> dict[str, str]:
    """The environment for a Python process that imports this checkout."""
    source = Path(__file__).parents[1] / "src"
    return {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}


class KafkaBroker:
    """librdkafka's mock broker behind a door that can be shut: Kafka's own wire protocol, and real outages.

    The door rewrites the port in what the broker says of itself, or clients would go around it.
    """

    def __init__(self) -> None:
        from confluent_kafka import Producer

        self._mock = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._mock.list_topics(timeout=30).brokers.values()
        self._broker = (broker.host, broker.port)
        self._open: set[socket.socket] = set()
        self._deaf = False
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._swap = tuple(broker.host.encode() + struct.pack(">i", port) for port in (broker.port, self.port))

    @property
    def url(self) -> str:
        """What ``open_transport`` takes."""
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def servers(self) -> str:
        """What a client of librdkafka takes."""
        return f"127.0.0.1:{self.port}"

    def down(self) -> None:
        """Breaks all connections and refuses new ones; what was taken is kept."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def up(self) -> None:
        """Takes connections again, at the same address."""
        self._deaf = False
        self._listener = self._listen(self.port)

    def swallow_answers(self) -> None:
        """From now on requests arrive and are done, and no answer ever comes back; until ``down`` and ``up``."""
        self._deaf = True

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                broker = socket.create_connection(self._broker)
                self._open |= {client, broker}
                for source, target, answers in ((client, broker, False), (broker, client, True)):
                    threading.Thread(target=self._carry, args=(source, target, answers), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError), source.makefile("rb") as stream:
            while len(size := stream.read(4)) == 4:
                frame = stream.read(struct.unpack(">i", size)[0])
                if answers:
                    frame = frame.replace(*self._swap)
                if not (answers and self._deaf):
                    target.sendall(size + frame)
        for end in (source, target):
            self._open.discard(end)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture(scope="session")
def _kafka_broker() -> Iterator[KafkaBroker]:
    broker = KafkaBroker()
    yield broker
    broker.down()


@pytest.fixture
def kafka_broker(_kafka_broker: KafkaBroker) -> Iterator[KafkaBroker]:
    """A Kafka broker of this test process's own, up at the beginning and at the end; take a topic of your own."""
    yield _kafka_broker
    _kafka_broker.down()
    _kafka_broker.up()
