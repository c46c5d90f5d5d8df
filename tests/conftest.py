"""Small pictures and small projects, for all tests."""

from __future__ import annotations

import io
import os

# Before NumPy reads it: test processes share the cores, and threads of one sum would wait for each other, spinning.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import socket
import struct
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pellucid import Project

Picture = Callable[..., bytes]
WriteFolders = Callable[..., Path]
MakeProject = Callable[..., Project]
MakeOnnx = Callable[..., Path]

SOAK = "soak"
PATIENCE = 90.0  # seconds; a machine may be busy

# A machine that is busy for a moment is no failure.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


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


def shade_bytes(label: str, number: int, *, dark: int = 0) -> bytes:
    """A noisy picture, red or blue as its label says, and how much darker it is than usual."""
    rng = np.random.default_rng([number, label == "red"])
    pixels = rng.integers(0, 120, (24, 24, 3))
    pixels[..., 0 if label == "red" else 2] += 120
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels - dark, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def shade_folders(root: Path, count: int) -> Path:
    """Writes so many of each into class folders, and names the root."""
    for label in ("red", "blue"):
        (root / label).mkdir(parents=True)
        for number in range(count):
            (root / label / f"{number}.png").write_bytes(shade_bytes(label, number))
    return root


def until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    """Waits for what other threads and processes will do, and gives what the condition gave.

    Args:
        process: that is to be alive until then.
    """
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


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


@pytest.fixture(scope="session")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project. Shared by all: work on a copy, as ``make_project`` does."""
    folder = tmp_path_factory.mktemp("new") / "project"
    Project.init(folder).close()
    return folder


@pytest.fixture
def make_project(tmp_path: Path, new_folder: Path) -> Iterator[MakeProject]:
    """make_project(name="project", **settings): a new project, or a copy of the folder ``of``; closed at the end."""
    opened: list[Project] = []

    def make(name: str = "project", *, of: Path | None = None, **settings: Any) -> Project:
        folder = tmp_path / name
        if of is not None or not (folder / "pellucid.toml").exists():
            shutil.copytree(of or new_folder, folder, dirs_exist_ok=True)
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


@pytest.fixture
def make_onnx(tmp_path: Path) -> MakeOnnx:
    """make_onnx(name, ...): a network that gives the mean of each channel, times its weights (3, dim)."""

    def made(
        name: str = "mean.onnx",
        *,
        weights: NDArray[np.float32] | None = None,
        shape: tuple[str | int, ...] = ("n", 3, 8, 8),
        type_: int = 1,  # float32
        rank4: bool = False,
        unpooled: bool = False,
        outputs: int = 1,
    ) -> Path:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        matrix = np.eye(3, dtype=np.float32) if weights is None else weights
        last = "pooled" if rank4 else "features"
        nodes = [helper.make_node("Cast", ["anything"], ["cast"], to=TensorProto.FLOAT)]
        if unpooled:
            nodes.append(helper.make_node("Identity", ["cast"], ["features"]))
        elif rank4:
            nodes.append(helper.make_node("GlobalAveragePool", ["cast"], ["features"]))
        else:
            nodes.append(helper.make_node("GlobalAveragePool", ["cast"], ["pooled"]))
            nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], axis=1))
            nodes.append(helper.make_node("MatMul", ["flat", "W"], [last]))
        outs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, None)]
        if outputs == 2:
            nodes.append(helper.make_node("Identity", ["features"], ["second"]))
            outs.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, None))
        graph = helper.make_graph(
            nodes,
            "mean",
            [helper.make_tensor_value_info("anything", type_, shape)],
            outs,
            [numpy_helper.from_array(matrix, "W")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / name
        onnx.save(model, str(path))
        return path

    return made


@pytest.fixture(scope="session")
def child_environ() -> dict[str, str]:
    """The environment for a Python process that imports this checkout."""
    source = Path(__file__).parents[1] / "src"
    return {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server of this test process's own."""
    from moto.server import ThreadedMotoServer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


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


class LiveServer:
    """A real server of the API that simulations talk to: a model that sees colours, and who hears each vote once.

    What it is told to refuse it refuses first; it can go away and come back at the same address.
    """

    token = "plt_test"

    def __init__(self) -> None:
        self.refusals: list[tuple[str, int, dict[str, str]]] = []  # path, status and headers of the next answers
        self.asked: list[str] = []  # paths of all requests
        self.predictions: dict[str, str] = {}  # label by id
        self.heard: dict[str, dict[str, Any]] = {}  # what was said, by the client's id
        self.trust: Callable[[dict[str, Any]], float] = lambda said: 0.9
        self.before: Callable[[str], None] = lambda path: None  # called with every request's path
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._stop: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> Any:
        from fastapi import FastAPI, Request
        from starlette.responses import JSONResponse, Response

        app = FastAPI()

        def refused(request: Request) -> Response | None:
            path = request.url.path
            self.asked.append(path)
            self.before(path)
            if request.headers.get("authorization") != f"Bearer {self.token}":
                return JSONResponse({"error": "the token is unknown or revoked"}, 401)
            if self.refusals and self.refusals[0][0] == path:
                _, status, headers = self.refusals.pop(0)
                return JSONResponse({"error": "not now"}, status, headers)
            return None

        async def predict(request: Request) -> Response:
            if (answer := refused(request)) is not None:
                return answer
            try:
                pixels = np.array(Image.open(io.BytesIO(await request.body())).convert("RGB"))
            except OSError:
                return JSONResponse({"error": "not an image: unknown"}, 415)
            label = list(_TINTS)[int(pixels.mean(axis=(0, 1)).argmax())]
            uid = f"{len(self.predictions):032x}"
            self.predictions[uid] = label
            found = {"id": uid, "label": label, "confidence": 0.75, "model": "pets@1", "ledger": 0}
            return JSONResponse({"predictions": [found]})

        async def feedback(request: Request) -> Response:
            if (answer := refused(request)) is not None:
                return answer
            said = await request.json()
            if said["prediction"] not in self.predictions:
                return JSONResponse({"error": "no such prediction"}, 422)
            trust = self.trust(said)
            heard = {"vote": 1, "sample": "0" * 64, "label": said["label"], "trust": trust, "weight": trust}
            heard |= {"action": "learnt", "reason": "", "model": "pets@1", "ledger": 1, "before": 0.1, "after": 0.2}
            self.heard.setdefault(said["id"], said)
            return JSONResponse(heard)

        app.add_route("/predict", predict, methods=["POST"])
        app.add_route("/feedback", feedback, methods=["POST"])
        return app

    def up(self) -> None:
        """Takes requests."""
        import uvicorn

        if self._listener.fileno() < 0:
            self._listener = _listen(self.port)
        server = uvicorn.Server(uvicorn.Config(self.app(), ws="none", log_config=None, timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, args=([self._listener],))
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join(30)
            self._listener.close()
            assert not thread.is_alive()

        self._stop = stop

    def down(self) -> None:
        """Ends all connections and refuses new ones."""
        self._stop()
        self._stop = lambda: None


def _listen(port: int) -> socket.socket:
    """Of a named protocol: asyncio sets TCP_NODELAY on no other, and each answer would come 40 ms late."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


@pytest.fixture
def live_server() -> Iterator[LiveServer]:
    """A server that plays Pellucid's, up at the beginning."""
    server = LiveServer()
    server.up()
    yield server
    server.down()
