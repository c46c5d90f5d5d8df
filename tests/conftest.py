"""Small pictures and small projects, for all tests."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid import Project

Picture = Callable[..., bytes]
WriteFolders = Callable[..., Path]
MakeProject = Callable[..., Project]

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
