"""How fast the server answers, learns from feedback and changes its model, against what is bare and what is plain.

    python benchmarks/serving.py            MobileNetV2, trashnet: some minutes on two cores
    python benchmarks/serving.py --quick    short turns, a small database

LitServe and BentoML run beside them where ``PELLUCID_PEERS`` names the python of an environment that has them.

`pellucid serve`, its rivals and the bare loops have the first core, one at a time; the load has the second. Uploads
are JPEGs of 224 px, each one new to the server, which keeps image, vector and answer before it answers. Where speeds
are compared, turns take a quarter of a second, and a speed is that of all its turns: a machine that is now fast and now
slow is so for everybody.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import peers
from archive import fill
from bench import Figure, program, say
from load import distinct
from material import backbone, photographs
from pellucid.errors import PellucidError
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.tokens import create_token
from pellucid.flow.training.predict import open_predictor
from pellucid.project import Project
from pellucid.store.manifests import read_manifest
from processes import Turns, Worker, check_pinned, cpu_seconds, family, on_turn, pin, rotate, tell

HERE = Path(__file__).resolve().parent
NAME, CONNECTIONS, SWAP_IMAGES = "trashnet", 16, 40
OTHERS = {"OpenVINO, f32": "openvino:{}", "OpenVINO, bf16": "openvino:{}?precision=bf16"}  # extractors by name
PLAIN = {"endpoint": "plain FastAPI endpoint", "tuned": "plain FastAPI endpoint, the bare loops' pixels"}
LOOPS = {"batch 1": (1, 0), "batch 1, decoding ahead": (1, 1), "batch 4, decoding ahead": (4, 1)}
MANY, FEW = (1_000_000, 200_000), (1_000, 200)  # predictions and votes


@dataclass(frozen=True, slots=True)
class Load:
    """What one turn of load gave."""

    speed: float  # answers a second
    p50: float  # ms
    p99: float  # ms
    failed: int
    mixed: int
    models: dict[str, int]
    cpu: float  # processor ms of the server for each answer


@dataclass(frozen=True, slots=True)
class Result:
    """What short turns gave."""

    speed: float  # images a second
    cpu: float  # processor ms for each
    failed: list[str]

    @classmethod
    def of(cls, turns: Turns) -> Result:
        """Of a bare loop, which says how many it has done, or of a load."""
        done = turns.report.get("done") or len(turns.report["milliseconds"])
        return cls(done / turns.seconds, turns.cpu * 1000 / max(1, done), turns.report.get("failed", []))


@dataclass(frozen=True, slots=True)
class Served:
    """A server under way."""

    process: subprocess.Popen[str]
    url: str
    token: str

    @property
    def family(self) -> list[int]:
        """The process and all that descend from it."""
        return family(self.process.pid)

    def press(self, seconds: float, folder: Path, connections: int = CONNECTIONS) -> Load:
        """Load from another process on the other core."""
        before = cpu_seconds(self.process.pid)
        words = ("load.py", self.url, "/predict", seconds, connections, folder, self.token)
        found = child(words, core=1)
        cpu = cpu_seconds(self.process.pid) - before
        check_pinned(self.process.pid)
        times = found["milliseconds"]
        if found["failed"]:
            say(f"failed: {found['failed'][:3]}")
        p50, p99 = np.percentile(times, [50, 99]).tolist() if times else (float("nan"), float("nan"))
        speed = len(times) / found["seconds"]
        cost = cpu * 1000 / max(1, len(times))
        return Load(speed, p50, p99, len(found["failed"]), found["mixed"], found["models"], cost)

    def load(self, folder: Path) -> subprocess.Popen[str]:
        """The same until it gets SIGTERM."""
        words = ("load.py", self.url, "/predict", 3600, CONNECTIONS, folder, self.token)
        return begun(words, core=1)

    def post(self, path: str, body: bytes, media_type: str = "application/json") -> dict[str, Any]:
        """One request of a client that does nothing else."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": media_type}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers), timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def begun(words: Sequence[object], core: int) -> subprocess.Popen[str]:
    """A program of this folder on that core, once it has said that it is ready."""
    command = [sys.executable, str(HERE / str(words[0])), *map(str, words[1:])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: pin(core))
    assert process.stdout is not None
    process.stdout.readline()
    return process


def child(words: Sequence[object], core: int) -> Any:
    """The JSON that a program of this folder prints last."""
    command = [sys.executable, str(HERE / str(words[0])), *map(str, words[1:])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=lambda: pin(core))
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Served]:
    """`pellucid serve` of a project on the first core, with one thread, as long as the block lasts."""
    with Project(folder) as project:
        token = create_token(project.workspace, secrets.token_hex(4), ["predict", "feedback"]).secret
    words = ("-m", "pellucid", "-c", "threads=1", "--project", folder, "serve", NAME, "--port", 0)
    with started([sys.executable, *map(str, words)]) as process:
        assert process.stdout is not None
        served = Served(process, process.stdout.readline().strip(), token)
        until_ready(f"{served.url}/health/ready")
        yield served


@contextlib.contextmanager
def endpoint(kind: str) -> Iterator[Served]:
    """A plain endpoint on the first core: ``endpoint``, or ``tuned`` with the bare loops' pixels."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with started([sys.executable, str(HERE / "rivals.py"), kind, str(port)]) as process:
        served = Served(process, f"http://127.0.0.1:{port}", "")
        until_ready(f"{served.url}/openapi.json")
        yield served


@contextlib.contextmanager
def peer(name: str) -> Iterator[Served]:
    """LitServe or BentoML on the first core."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with started(peers.command(name, port), {peers.MODEL: str(backbone())}, stdout=False) as process:
        served = Served(process, f"http://127.0.0.1:{port}", "")
        until_ready(f"{served.url}/{'readyz' if name == 'bentoml' else 'health'}")
        yield served


@contextlib.contextmanager
def started(
    command: Sequence[str], more: Mapping[str, str] | None = None, *, stdout: bool = True
) -> Iterator[subprocess.Popen[str]]:
    """A process on the first core, ended with the block.

    Args:
        more: of its environment.
        stdout: it is read; else it is thrown away, so that who prints much is not held up.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=HERE,
        env={**os.environ, **(more or {})},
        preexec_fn=lambda: pin(0),
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:  # LitServe, after it had been stopped for a while
            tell(family(process.pid), signal.SIGKILL)


def stopped(stack: contextlib.ExitStack, served: Served, images: Path) -> Worker:
    """The server, warm, stopped until its turns come or the stack ends, and the load that waits for it."""
    served.press(1.0, images)
    stack.callback(tell, served.family, signal.SIGCONT)
    tell(served.family, signal.SIGSTOP)
    return Worker(served.process.pid, served.load(images))


def until_ready(url: str) -> None:
    """Returns once the address answers; raises SystemExit where it does not within a minute."""
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def spent(speed: float, cpu: float) -> str:
    """What it cost, and how much of the core it was given: on a busy machine not everybody gets the same.

    >>> spent(50.0, 6.0)
    'processor 6.00 ms each, 30 % of the core'
    """
    return f"processor {cpu:.2f} ms each, {speed * cpu / 10:.0f} % of the core"


def speeds(project: Path, others: Mapping[str, Path], images: Path, seconds: float) -> Iterator[Figure]:
    """Bare loops, plain endpoints, and the servers of the project and of others with another runtime in turn."""
    versions = peers.versions()
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(server(project))
        contenders = {"ours": ours} | {name: stack.enter_context(endpoint(name)) for name in PLAIN}
        contenders |= {name: stack.enter_context(peer(name)) for name in versions}
        contenders |= {name: stack.enter_context(server(folder)) for name, folder in others.items()}
        workers = {name: stopped(stack, served, images) for name, served in contenders.items()}
        for name, (size, ahead) in LOOPS.items():
            loop = begun(("rivals.py", "bare", size, ahead, images), core=0)
            tell([loop.pid], signal.SIGSTOP)
            workers[name] = Worker(loop.pid, loop)
        found = {name: Result.of(turns) for name, turns in rotate(workers, seconds).items()}
        for name, item in found.items():
            say(f"{name}: {item.speed:.1f} images/s, {item.cpu:.2f} ms, failed: {item.failed[:3]}")
        with on_turn(ours.family):
            mine, alone = (ours.press(seconds / 4, images, connections=number) for number in (CONNECTIONS, 1))
    fastest = max(LOOPS, key=lambda name: found[name].speed)
    bare, least = found[fastest].speed, min(found[name].cpu for name in LOOPS)
    best = {name: item.speed for name, item in found.items()}
    cost = {name: item.cpu for name, item in found.items()}
    for name in LOOPS:
        yield Figure(f"bare loop, {name}", best[name], "images/s", remark=spent(best[name], cost[name]))
    for name, title in PLAIN.items():
        yield Figure(title, best[name], "images/s", remark=spent(best[name], cost[name]))
    for name, number in versions.items():
        remark = f"{spent(best[name], cost[name])}; failed: {len(found[name].failed)}"
        yield Figure(f"{peers.PEERS[name]} {number}", best[name], "images/s", remark=remark)
    absent = [peers.PEERS[name] for name in peers.PEERS if name not in versions]
    missing = f"; not measured: {', '.join(absent)}" if absent else ""
    for name in ("ours", *others):
        title = "pellucid serve" if name == "ours" else f"pellucid serve, {name}"
        yield Figure(title, best[name], "images/s", remark=spent(best[name], cost[name]) + missing)
        yield Figure("... / best bare loop", best[name] / bare, at_least=0.9, remark=f"bare, onnxruntime: {fastest}")
        yield Figure("... by processor time", least / cost[name], at_least=0.9, remark="the cheapest loop's for each")
        for other, title in PLAIN.items():
            yield Figure(f"... / {title}", best[name] / best[other], at_least=1.2)
            yield Figure("... by processor time", cost[other] / cost[name], at_least=1.2)
        if name != "ours":
            continue
        for other in versions:
            yield Figure(f"... / {peers.PEERS[other]}", best[name] / best[other])
            yield Figure("... by processor time", cost[other] / cost[name])
        yield Figure("p50 under load", mine.p50, "ms", remark=f"{CONNECTIONS} connections; alone {alone.p50:.1f} ms")
        yield Figure("p99 under load", mine.p99, "ms", remark=f"alone {alone.p99:.1f} ms")
        share = 1 - least / cost[name]
        remark = "processor time beyond the cheapest loop's"
        yield Figure("head and bookkeeping, of a request", share, at_most=0.1, remark=remark)
    yield Figure("failed requests", sum(len(found[name].failed) for name in ("ours", *others)), at_most=0)


def train_others(trained: Path) -> dict[str, Path]:
    """Copies of the project, each with a champion of another runtime that this machine has."""
    made: dict[str, Path] = {}
    with Project(trained) as project:
        first = project.choose_model(NAME)
    for name, spec in OTHERS.items():
        folder = Path(shutil.copytree(trained, trained.with_name(f"other-{len(made)}")))
        with Project(folder) as project:
            try:
                (model,) = project.train(first.dataset, extractors=spec.format(backbone()))
            except PellucidError as error:
                say(f"{name} is not measured: {error}")
                continue
            project.promote(model.ref, force=True)
        made[name] = folder
    return made


def confirm(served: Served, images: Sequence[bytes]) -> tuple[list[float], list[float]]:
    """ms of /predict and /feedback, one after the other; each feedback confirms the answer, so it is learnt."""
    asking, telling = [], []
    for data in images:
        began = time.perf_counter()
        (answer,) = served.post("/predict", distinct(data), "image/jpeg")["predictions"]
        asked = time.perf_counter()
        heard = served.post("/feedback", json.dumps({"prediction": answer["id"], "label": answer["label"]}).encode())
        telling.append((time.perf_counter() - asked) * 1000)
        asking.append((asked - began) * 1000)
        if heard["action"] not in ("learnt", "undone") or heard["ledger"] <= answer["ledger"]:
            raise SystemExit(f"feedback was not learnt: {heard}")
    return asking, telling


def feedback(folder: Path, images: Path, number: int) -> Iterator[Figure]:
    """From a label to a changed live prediction, and what the published kind does instead."""
    files = sorted(images.rglob("*.jpg"))[:number]
    with Project(folder) as project:
        model = project.choose_model(NAME)
        predictor = open_predictor(project.workspace, model)
        (version,) = project.datasets(NAME)
        rows = [row for row in read_manifest(project.workspace.blobs, version.content_id) if row.label is not None]
        X = embed_samples(project.workspace, predictor.extractor, [row.sample for row in rows])
        y = np.array([model.classes.index(str(row.label)) for row in rows])
    with server(folder) as served:
        _, times = confirm(served, [file.read_bytes() for file in files])
    with tempfile.TemporaryDirectory() as scratch:
        np.savez(Path(scratch) / "rows.npz", X=X, y=y)
        whole = child(("rivals.py", "refit", Path(scratch) / "rows.npz"), core=0)
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    yield Figure("feedback, p50", p50, "ms", at_most=20, remark=f"{len(times)} labels, each changes the live model")
    yield Figure("feedback, p99", p99, "ms", at_most=100, remark=f"slowest {max(times):.1f}")
    yield Figure("a refit of the published kind", whole, "s", remark=f"linear layer by Adam, {len(X):,} x {X.shape[1]}")
    yield Figure("refit / feedback", whole * 1000 / p50)


def swap(folder: Path, images: Path, seconds: float) -> Iterator[Figure]:
    """The champion changes under full load, several times."""
    with tempfile.TemporaryDirectory() as scratch:
        for file in sorted(images.rglob("*.jpg"))[:SWAP_IMAGES]:
            shutil.copy(file, scratch)
        with Project(folder) as project, server(folder) as served:
            first, second = project.choose_model(NAME), project.train(NAME, models="ridge")[0]
            command = [sys.executable, str(HERE / "load.py"), served.url, "/predict", str(seconds)]
            command += [str(CONNECTIONS), scratch, served.token]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: pin(1)) as load:
                for turn in range(4):
                    time.sleep(seconds / 5)
                    project.promote((second, first)[turn % 2].ref, force=True)
                found = json.loads(load.communicate()[0].splitlines()[-1])
    times = found["milliseconds"]
    models = ", ".join(f"{name} {count:,}" for name, count in sorted(found["models"].items()))
    yield Figure("four champion swaps: answers", len(times), remark=models)
    yield Figure("... failed requests", len(found["failed"]), at_most=0, remark="; ".join(found["failed"][:1]))
    yield Figure("... answers of mixed versions", found["mixed"], at_most=0)
    yield Figure("... models that answered", len(found["models"]), at_least=2)
    yield Figure("... p99", float(np.percentile(times, 99)), "ms", remark="the new model is loaded on the same core")


def sizes(folder: Path, images: Path, seconds: float, rounds: int, many: tuple[int, int]) -> Iterator[Figure]:
    """The same on a full database."""
    big = folder.with_name("big")
    shutil.copytree(folder, big)
    for place, number in ((folder, FEW), (big, many)):
        fill(place, NAME, *number)
    data = [file.read_bytes() for file in sorted(images.rglob("*.jpg"))]
    told: dict[str, list[float]] = {"few": [], "many": []}
    with contextlib.ExitStack() as stack:
        both = {name: stack.enter_context(server(place)) for name, place in (("few", folder), ("many", big))}
        workers = {name: stopped(stack, served, images) for name, served in both.items()}
        found = {name: Result.of(turns) for name, turns in rotate(workers, seconds * rounds).items()}
        for turn in range(rounds):
            for name, served in list(both.items())[:: 1 if turn % 2 else -1]:
                with on_turn(served.family):
                    told[name].append(statistics.median(confirm(served, data[turn * 20 :][:20])[1]))
    few, full = found["few"], found["many"]
    shown = f"{many[0]:,} predictions, {many[1]:,} votes"
    yield Figure(f"/predict, {FEW[0]:,} predictions", few.speed, "images/s", remark=f"{FEW[1]} votes")
    yield Figure("... full database", full.speed, "images/s", remark=shown)
    yield Figure("... as fast as before", full.speed / few.speed, at_least=0.95)
    yield Figure("... by processor time", few.cpu / full.cpu, at_least=0.95)
    yield Figure(f"/feedback, {FEW[0]:,} predictions, p50", min(told["few"]), "ms")
    yield Figure("... full database, p50", min(told["many"]), "ms", remark=shown)
    yield Figure("... times as long as before", min(told["many"]) / min(told["few"]), at_most=1.1)


def measure(quick: bool) -> list[Figure]:
    """Each part on a project of its own, all with the same trained model."""
    seconds, rounds, many = (1.5, 1, (20_000, 4_000)) if quick else (2.0, 6, MANY)
    with (
        tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch,
        photographs(400 if quick else 2_000) as images,
    ):
        trained = Path(scratch) / "trained"
        with Project.init(trained) as project:
            project.ingest(images, NAME)
            model = project.train(NAME, extractors=f"onnx:{backbone()}")[0]
            project.promote(model.ref, force=True)
            say(f"trained {model.ref}")

        def fresh(name: str) -> Path:
            return Path(shutil.copytree(trained, Path(scratch) / name))

        return [
            *speeds(fresh("speeds"), train_others(trained), images, seconds * rounds),
            *feedback(fresh("feedback"), images, 20 if quick else 200),
            *swap(fresh("swap"), images, 12 * seconds),  # between two of them a model has to be loaded
            *sizes(fresh("sizes"), images, seconds, rounds, many),
        ]


if __name__ == "__main__":
    program(__doc__, measure)
