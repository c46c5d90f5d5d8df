"""An ingest that is stopped in the middle leaves the dataset as it was, and the next one goes on."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.errors import StorageError
from pellucid.features.decode import decode
from pellucid.flow.data import ingest as module
from pellucid.store import blobs
from pellucid.store.blobs import write_whole
from pellucid.store.schema import ingest as ingest_table
from pellucid.store.schema import sample, vote


@pytest.fixture
def source(class_folders: Callable[..., Path], tmp_path: Path) -> Path:
    return class_folders(tmp_path / "pets", {"cat": 30, "dog": 30})


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records go into the database after every 8 files."""
    monkeypatch.setattr(module, "_CHUNK", 8)
    monkeypatch.setattr(module, "_BATCH", 2)


def count(project: Project, table: sa.Table) -> int:
    with project.workspace.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def decoded_in(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> int:
    calls: list[int] = []
    real = decode

    def counted(data: bytes, *args: Any, **options: Any) -> object:
        calls.append(len(data))
        return real(data, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "decode", counted)
        act()
    return len(calls)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
@pytest.mark.usefixtures("small_steps")
def test_stopped_while_reading(
    project: Project, source: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def tell(what: str, done: int, total: int | None) -> None:
        if done >= 30:
            raise stop

    with pytest.raises(stop):
        module.ingest(project.workspace, source, "pets", progress=tell)
    assert project.datasets() == []
    assert (count(project, vote), count(project, ingest_table)) == (0, 0)
    stored = count(project, sample)
    assert stored >= 24
    assert decoded_in(monkeypatch, lambda: project.ingest(source, "pets")) == 60 - stored
    assert project.inspect("pets").version.counts["images"] == 60


def test_stopped_while_committing(project: Project, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.flow.data.version.commit_version", killed)
        with pytest.raises(KeyboardInterrupt):
            project.ingest(source, "pets")
    assert project.datasets() == []
    assert decoded_in(monkeypatch, lambda: project.ingest(source, "pets")) == 0
    assert project.inspect("pets").version.counts["images"] == 60


# Reads slowly, so that a kill after some files is one in the middle; the kill's exact place is up to the machine.
_SLOW_INGEST = """
import sys, time
from pellucid import Project
from pellucid.features.decode import decode
from pellucid.flow.data import ingest as module
module._CHUNK, module._BATCH = 4, 2
def tell(what, done, total):
    print(what, done, flush=True)
    time.sleep(0.005)
with Project({folder!r}, progress=tell, settings={{"threads": 2}}) as project:
    project.ingest({source!r}, "pets")
print("end", flush=True)
"""


@pytest.mark.parametrize("line", ["reading 0", "reading 32", "grouping 0"])
def test_kill_9(
    project: Project,
    source: Path,
    kill_after: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    code = _SLOW_INGEST.format(folder=str(project.workspace.root), source=str(source))
    assert kill_after(code, line, then=random.uniform(0, 0.02)) == -9
    versions = project.datasets()
    if versions:  # the kill came just after the commit
        assert [version.counts["images"] for version in versions] == [60]
    stored = count(project, sample)
    assert stored >= {"reading 0": 0, "reading 32": 32, "grouping 0": 60}[line]
    assert decoded_in(monkeypatch, lambda: project.ingest(source, "pets")) == 60 - stored
    (version,) = project.datasets()
    assert version.counts["images"] == 60
    for row in project.inspect("pets").rows:
        assert len(project.impact(row.sample).votes) == 1
        assert project.workspace.images.get(row.sample)


@pytest.mark.usefixtures("small_steps")
def test_full_disk(project: Project, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = write_whole
    written: list[Path] = []

    def full_after_ten(path: Path, data: bytes) -> None:
        if len(written) >= 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, data)
        written.append(path)

    with monkeypatch.context() as patch:
        patch.setattr(blobs, "write_whole", full_after_ten)
        with pytest.raises(StorageError, match=r"No space left.*free some space"):
            project.ingest(source, "pets")
    assert project.datasets() == []
    assert project.ingest(source, "pets").version.counts["images"] == 60


@pytest.mark.usefixtures("small_steps")
def test_full_database(project: Project, source: Path) -> None:
    first = project.ingest(source, "before").version
    engine = project.workspace.database.engine

    def limit(pages: int) -> None:
        engine.dispose()
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA max_page_count = {pages}"))

    with engine.connect() as connection:
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    limit(pages + 4)
    with pytest.raises(StorageError, match=r"full.*free some space"):
        project.ingest(source, "pets", annotator="somebody with a very long name " * 8)
    limit(1_000_000)
    assert [version.content_id for version in project.datasets()] == [first.content_id]
    assert project.ingest(source, "pets").version.counts["images"] == 60
