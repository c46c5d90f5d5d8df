from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import DataError, ImageError, NotFoundError
from pellucid.flow.production.pictures import Pool, dataset_pictures, held_samples, learnt_samples, source_pictures
from pellucid.store.sources import open_source
from pellucid.types import Split


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path) -> Project:
    return make_project(of=trained_folder)


def test_unseen_images_are_those_of_no_version_s_train_split(
    pets: Project, tmp_path: Path, class_folders: Callable[..., Path]
) -> None:
    first = {row.sample: row for row in pets.inspect("pets@1").rows}
    assert learnt_samples(pets.workspace, "pets") == {name for name, row in first.items() if row.split is Split.TRAIN}
    pets.ingest(class_folders(tmp_path / "more", {"cat": 8, "dog": 8}, start=50), "pets", test_fraction=0.25)
    newest = {row.sample: row for row in pets.inspect("pets").rows}
    assert len(newest) == 40
    found = dataset_pictures(pets.workspace, "pets")
    assert {item.sample for item in found} == {name for name, row in newest.items() if row.split is Split.TEST}
    for item in found:
        assert hashlib.sha256(item.read()).hexdigest() == item.sample
        assert item.truth == newest[item.sample].label
    earlier = dataset_pictures(pets.workspace, "pets@1")
    assert {item.sample for item in earlier} == {name for name, row in first.items() if row.split is Split.TEST}
    assert learnt_samples(pets.workspace, "pets@1") < learnt_samples(pets.workspace, "pets")


def test_other_pools_are_the_splits(pets: Project) -> None:
    rows = pets.inspect("pets").rows
    for pool in (Pool.TEST, Pool.TRAIN):
        found = {item.sample for item in dataset_pictures(pets.workspace, "pets", pool)}
        assert found == {row.sample for row in rows if str(row.split) == str(pool)}
    assert len(dataset_pictures(pets.workspace, "pets", Pool.ALL)) == len(rows)


def test_a_dataset_without_such_images_is_refused(project: Project, class_folders: Callable[..., Path]) -> None:
    project.ingest(class_folders(project.workspace.root / "s", {"cat": 4, "dog": 4}), "pets", test_fraction=0.0)
    with pytest.raises(DataError, match="pets@1 has no unseen image; name another --split"):
        dataset_pictures(project.workspace, "pets")
    with pytest.raises(NotFoundError):
        dataset_pictures(project.workspace, "fish")


def test_of_a_folder_the_dataset_s_own_images_are_left_out(
    pets: Project, tmp_path: Path, class_folders: Callable[..., Path]
) -> None:
    folder = class_folders(tmp_path / "all", {"cat": 20, "dog": 20})  # the first 12 of each are in the dataset
    with open_source(folder) as source:
        found = source_pictures(source, without=held_samples(pets.workspace, "pets"))
        names = {item.name for item in found}
        assert names == {f"{label}/{number}.png" for label in ("cat", "dog") for number in range(12, 20)}
        assert all(item.name.startswith(item.truth) for item in found)
        assert all(item.read() == (folder / item.name).read_bytes() for item in found)
        everything = frozenset(item.sample for item in source_pictures(source))
        with pytest.raises(DataError, match="holds 40 images, all of them in the dataset"):
            source_pictures(source, without=everything)


def test_of_a_folder_repeated_files_come_once_and_contradictory_ones_not(
    tmp_path: Path, class_folders: Callable[..., Path]
) -> None:
    folder = class_folders(tmp_path / "s", {"cat": 3, "dog": 3})
    (folder / "cat" / "again.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    (folder / "cat" / "odd.png").write_bytes((folder / "dog" / "1.png").read_bytes())
    with open_source(folder) as source:
        found = source_pictures(source)
    assert sorted(item.name for item in found) == ["cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/2.png"]


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path, class_folders: Callable[..., Path]) -> None:
    folder = class_folders(tmp_path / "s", {"cat": 1, "dog": 1})
    with open_source(folder) as source:
        cat = next(item for item in source_pictures(source) if item.truth == "cat")
        (folder / "cat" / "0.png").write_bytes(b"other")
        with pytest.raises(ImageError, match="changed"):
            cat.read()
