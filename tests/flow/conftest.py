"""Sources to ingest, and ways to break off in the middle."""

from __future__ import annotations

import csv
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pellucid import Project
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.feedback import Heard, Said, hear
from pellucid.flow.online.live import LiveModel
from pellucid.heads.statistic import design
from pellucid.types import Answer, Row, Split

from ..conftest import picture_bytes

Manifest = Callable[..., Path]
KillAfter = Callable[..., int]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """manifest(files, rows, name="list.csv"): writes the files, and a CSV of the rows beside them."""

    def write(files: Mapping[str, bytes], rows: Sequence[Mapping[str, Any]], *, name: str = "list.csv") -> Path:
        root = tmp_path / name.partition(".")[0]
        for file, data in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(data)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        root.mkdir(exist_ok=True)
        with (root / name).open("w", newline="", encoding="utf-8") as table:
            writer = csv.DictWriter(table, columns)
            writer.writeheader()
            writer.writerows(rows)
        return root / name

    return write


@pytest.fixture(scope="session")
def burst() -> Callable[[int, int], list[bytes]]:
    """burst(seed, n): n near-identical pictures of one scene, byte-wise different."""

    def shoot(seed: int, n: int) -> list[bytes]:
        rng = np.random.default_rng(seed)
        scene = rng.integers(20, 220, (32, 32, 3)).astype(np.int16)
        shots = []
        for shot in range(n):
            pixels = np.clip(scene + shot + rng.integers(-2, 3, scene.shape), 0, 255).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            shots.append(buffer.getvalue())
        return shots

    return shoot


@pytest.fixture
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains without reports and without a mirror in MLflow, which take most of the time."""
    monkeypatch.setattr("pellucid.flow.training.job._try_to_complete", lambda workspace, model: False)
    monkeypatch.setattr("pellucid.flow.training.worker.complete_all", lambda workspace, **options: 0)


@pytest.fixture
def kill_after(child_environ: dict[str, str]) -> KillAfter:
    """kill_after(code, line, then=0.0): runs Python code, and kill -9s it so long after it printed the line.

    Returns the exit code; -9 where it was killed in time.
    """

    def run(code: str, line: str, *, then: float = 0.0) -> int:
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environ) as process:
            assert process.stdout is not None
            for said in process.stdout:
                if said.strip() == line:
                    break
            time.sleep(then)
            process.send_signal(signal.SIGKILL)
        return process.returncode

    return run


_PLUGINS = """
import numpy as np

from pellucid.features.weightless import Weightless


class Brightness(Weightless):
    version, dim, input_size = 1, 3, 8
    description = "mean colour"

    def describe(self, image):
        return np.asarray(image).mean(axis=(0, 1))


class Pixels(Weightless):
    version, dim, input_size = 1, 192, 8
    description = "a thumbnail"

    def describe(self, image):
        return np.asarray(image.resize((8, 8))).reshape(-1) - 128.0


class NearestMean:
    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.means = np.stack([np.asarray(X, float)[y == label].mean(axis=0) for label in self.classes_])
        return self

    def predict_proba(self, X):
        distance = ((np.asarray(X, float)[:, None] - self.means) ** 2).sum(axis=2)
        closeness = np.exp(-self.scale * (distance - distance.min(axis=1, keepdims=True)))
        return closeness / closeness.sum(axis=1, keepdims=True)

    def to_arrays(self):
        return {"means": self.means, "classes": self.classes_.astype(np.int64)}, {"scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays, meta):
        head = cls(meta["scale"])
        head.means, head.classes_ = arrays["means"], arrays["classes"]
        return head


class Raising(NearestMean):
    def fit(self, X, y, sample_weight=None):
        raise RuntimeError("no luck\\ntoday")
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a user's own module: the extractors Brightness and Pixels, the heads NearestMean and Raising."""
    name = "a_users_own_parts"
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / f"{name}.py").write_text(_PLUGINS)
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    yield name
    sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def live_folder(tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path]) -> Path:
    """40 cats and 40 dogs, some for testing and some trusted; the ridge pets@1 is the champion. Work on a copy."""
    root = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch, Project.init(root / "project") as made:
        patch.setattr("pellucid.flow.training.job._try_to_complete", lambda workspace, model: False)
        source = class_folders(root / "source", {"cat": 40, "dog": 40})
        made.ingest(source, "pets", test_fraction=0.2, trusted_fraction=0.3)
        made.train("pets", models="ridge")
        made.promote("pets@1")
    return root / "project"


@dataclass
class Pets:
    """A project with a live model, and the doors to it."""

    project: Project
    live: LiveModel

    def show(self, label: str, *numbers: int) -> list[str]:
        """Pictures of the class's colour that nobody has seen, answered; their sample ids."""
        asked = [Asked(picture_bytes(label, 1000 + number)) for number in numbers]
        found = answer(self.project.workspace, self.live.answerer, asked)
        return [item.sample for item in found if isinstance(item, Answer)]

    def say(self, sample: str, label: str, voter: str = "ann", **more: Any) -> Heard:
        """One vote."""
        return hear(self.live, Said(sample, label, voter, **more))

    def again(self) -> LiveModel:
        """The same model as another process has it."""
        other = LiveModel(self.project.workspace, self.live.model)
        with self.project.workspace.database.read() as connection:
            other.follow(connection)
        return other

    def weights(self) -> NDArray[np.float64]:
        """W as it is now."""
        snapshot = self.live.newest().snapshot
        assert snapshot is not None
        return snapshot.weights

    def rows(self, split: Split) -> list[Row]:
        """The dataset's rows of that split."""
        return [row for row in self.project.inspect("pets").rows if row.split is split]


@pytest.fixture
def pets(make_project: Callable[..., Project], live_folder: Path) -> Pets:
    """A copy of `live_folder`, with its champion live."""
    project = make_project(of=live_folder)
    return Pets(project, LiveModel(project.workspace, project.model("pets")))


@pytest.fixture
def seen_otherwise(pets: Pets, plugins: str) -> Callable[[], LiveModel]:
    """seen_otherwise(): the champion pets@2, which looks through another extractor, as it is loaded."""
    pets.project.train("pets", models="ridge", extractors=f"{plugins}:Pixels")
    pets.project.promote("pets@2", force=True)
    return lambda: LiveModel(pets.project.workspace, pets.project.model("pets"))


def refit(live: LiveModel) -> NDArray[np.float64]:
    """W of a batch fit, by the normal equations, of all that stands in the live model."""
    names = list(live.learnt())
    with live.workspace.database.read() as connection:
        views = live.look_up(connection, names)
    y, w, strengths = live.taught(names)
    columns = np.unique(y)
    x = design(views.rows)
    targets = (y[:, None] == columns) * strengths[:, None]
    l2 = live.online._running.l2
    return np.asarray(np.linalg.solve(x.T @ (w[:, None] * x) + l2 * np.eye(x.shape[1]), x.T @ (w[:, None] * targets)))
