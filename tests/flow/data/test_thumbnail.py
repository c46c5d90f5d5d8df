from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pellucid import Project
from pellucid.flow.data.thumbnail import Thumbnails, thumbnail


@pytest.fixture
def samples(project: Project, picture: Callable[..., bytes], tmp_path: Path) -> list[str]:
    (tmp_path / "in" / "cat").mkdir(parents=True)
    for number in range(6):
        (tmp_path / "in" / "cat" / f"{number}.png").write_bytes(picture("cat", number, size=200))
    project.ingest(tmp_path / "in", "pets")
    return [row.sample for row in project.inspect("pets").rows]


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_thumbnail_is_small_and_kept(project: Project, samples: list[str], tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "kept", 10**6)
    data = thumbnails.get(project.workspace, samples[0], 96)
    assert max(Image.open(io.BytesIO(data)).size) == 96
    assert data == thumbnail(project.workspace, samples[0], 96)
    (file,) = kept(tmp_path / "kept")
    for pack in (project.workspace.root / ".pellucid" / "blobs" / "packs").rglob("*.pack"):
        pack.unlink()  # what is kept needs no image
    assert file.read_bytes() == data == Thumbnails(tmp_path / "kept", 10**6).get(project.workspace, samples[0], 96)


def test_one_that_was_torn_is_made_again(project: Project, samples: list[str], tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "kept", 10**6)
    data = thumbnails.get(project.workspace, samples[0])
    (file,) = kept(tmp_path / "kept")
    for torn in (b"", data[: len(data) // 2]):
        file.write_bytes(torn)
        assert thumbnails.get(project.workspace, samples[0]) == data
        assert file.read_bytes() == data


def test_the_folder_stays_within_its_bound(project: Project, samples: list[str], tmp_path: Path) -> None:
    size = len(thumbnail(project.workspace, samples[0]))
    most = int(3.5 * size)
    thumbnails = Thumbnails(tmp_path / "kept", most)
    for at, name in enumerate(samples):
        thumbnails.get(project.workspace, name)
        for file in kept(tmp_path / "kept"):
            if file.name == name[2:]:
                os.utime(file, (at, at))
        assert sum(file.stat().st_size for file in kept(tmp_path / "kept")) <= most
    assert samples[-1][2:] in {file.name for file in kept(tmp_path / "kept")}
    assert samples[0][2:] not in {file.name for file in kept(tmp_path / "kept")}


def test_a_folder_that_cannot_be_written_to_is_no_harm(project: Project, samples: list[str], tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file in the way")
    assert Thumbnails(tmp_path / "kept", 10**6).get(project.workspace, samples[0])
