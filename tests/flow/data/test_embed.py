"""Vectors are computed once for all time, whatever stops the computing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pellucid import Project
from pellucid.errors import IntegrityError, StorageError
from pellucid.features.extractor import Extractor
from pellucid.flow.data import embed as module
from pellucid.flow.data.embed import embed_samples
from pellucid.store import vectors
from pellucid.store.blobs import write_whole


class Counting:
    """The classical extractor, counting."""

    def __init__(self, real: Extractor) -> None:
        self._real = real
        self.images = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def embed(self, images: Iterable[Image.Image]) -> NDArray[np.float32]:
        taken = list(images)
        self.images += len(taken)
        return self._real.embed(taken)


@pytest.fixture
def pets(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> Project:
    project.ingest(class_folders(tmp_path / "pets", {"cat": 10, "dog": 10}), "pets")
    return project


@pytest.fixture
def counting(pets: Project) -> Counting:
    return Counting(pets.workspace.extractor())


def ids_of(project: Project) -> list[str]:
    return [row.sample for row in project.inspect("pets").rows]


def test_a_second_run_computes_nothing(pets: Project, counting: Counting) -> None:
    ids = ids_of(pets)
    first = embed_samples(pets.workspace, counting, ids)
    assert (first.shape, counting.images) == ((20, counting.dim), 20)
    again = embed_samples(pets.workspace, counting, ids[::-1])
    assert counting.images == 20
    assert np.array_equal(again[::-1], first)


def test_vectors_are_those_of_their_images(pets: Project) -> None:
    ids = ids_of(pets)
    extractor = pets.workspace.extractor()
    alone = [embed_samples(pets.workspace, extractor, [name])[0] for name in ids[:3]]
    assert np.array_equal(embed_samples(pets.workspace, extractor, ids)[:3], np.stack(alone))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_a_stopped_run_keeps_what_it_has(pets: Project, counting: Counting, stop: type[BaseException]) -> None:
    def tell(what: str, done: int, total: int | None) -> None:
        if done == 12:
            raise stop

    with pytest.raises(stop):
        embed_samples(pets.workspace, counting, ids_of(pets), progress=tell)
    counting.images = 0
    embed_samples(pets.workspace, counting, ids_of(pets))
    assert counting.images == 8


_SLOW_EMBED = """
import time
from pellucid import Project
from pellucid.flow.data import embed as module
module._SHARD = 4
def tell(what, done, total):
    print(what, done, flush=True)
    time.sleep(0.005)
with Project({folder!r}, progress=tell, settings={{"threads": 1}}) as project:
    project.embed("pets")
"""


def test_kill_9(pets: Project, counting: Counting, kill_after: Callable[..., int]) -> None:
    assert kill_after(_SLOW_EMBED.format(folder=str(pets.workspace.root)), "embedding 13") == -9
    embed_samples(pets.workspace, counting, ids_of(pets))
    assert 0 < counting.images <= 8  # three shards of four are kept at least


def test_full_disk(pets: Project, counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def full(path: Path, data: bytes) -> None:
        if len(written) >= 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path)
        write_whole(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_SHARD", 5)
        patch.setattr(vectors, "write_whole", full)
        with pytest.raises(StorageError, match="No space left"):
            embed_samples(pets.workspace, counting, ids_of(pets))
    counting.images = 0
    embed_samples(pets.workspace, counting, ids_of(pets))
    assert counting.images == 10


def test_a_damaged_image_is_found_where_it_is_met(pets: Project, counting: Counting) -> None:
    data = pets.workspace.images.get(ids_of(pets)[0])
    for path in (pets.workspace.root / ".pellucid").rglob("*.pack"):
        path.write_bytes(path.read_bytes().replace(data, data[:-1] + b"x"))
    with pytest.raises(IntegrityError, match="damaged or edited"):
        embed_samples(pets.workspace, counting, ids_of(pets))


def test_limits_that_became_tighter_are_told(pets: Project, make_project: Callable[..., Project]) -> None:
    tighter = make_project(max_image_pixels=100)
    with pytest.raises(IntegrityError, match="tighter than when it was ingested"):
        embed_samples(tighter.workspace, tighter.workspace.extractor(), ids_of(pets))
