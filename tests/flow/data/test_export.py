"""An export can be read by others, and by Pellucid itself."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Project
from pellucid.errors import NotFoundError, StorageError, UsageError
from pellucid.flow.data import export as module
from pellucid.flow.data.export import class_folders
from pellucid.types import Status

Content = set[tuple[str, str | None, str, int]]


@pytest.fixture
def pets(project: Project, manifest: Callable[..., Path], picture: Callable[..., bytes]) -> Project:
    """Odd names and metadata, a conflict, an image without a label, and a trusted split."""
    rows: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    labels = ["cat", "a/b: dog?", 'eel, "quoted"\nand broken']
    for n in range(18):
        name = f"{n}.{'jpg' if n % 2 else 'png'}"
        files[name] = picture("cat", n, format="JPEG" if n % 2 else "PNG")
        split = "trusted" if n < 3 else ""
        rows.append(
            {"file_name": name, "label": labels[n % 3], "split": split, "site": f"ward {n % 4}", "taken at": "2026"}
        )
    rows += [{"file_name": "4.png", "label": "cat", "annotator": "eve", "site": "ward 0"}]
    files["18.png"] = picture("cat", 18)
    rows += [{"file_name": "18.png", "label": "", "site": ""}]
    project.ingest(manifest(files, rows), "pets", test_fraction=0.3)
    return project


def content(project: Project, ref: str, *, status: Status = Status.OK) -> Content:
    rows = project.inspect(ref).rows
    return {(row.sample, row.label, str(row.split), row.trust) for row in rows if row.status is status}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_class_folders_and_a_manifest(pets: Project, tmp_path: Path) -> None:
    report = pets.export("pets", tmp_path / "out")
    rows = table(tmp_path / "out")
    assert report.images == len(rows) == 17
    assert {row["sample"] for row in rows} == {name for name, *_ in content(pets, "pets")}
    for row in rows:
        path = tmp_path / "out" / row["file_name"]
        assert pets.workspace.images.get(row["sample"]) == path.read_bytes()
        assert row["file_name"].startswith(f"{row['split']}/")
        assert path.suffix == (".jpg" if path.read_bytes().startswith(b"\xff\xd8") else ".png")
    assert {row["label"] for row in rows} == {"cat", "a/b: dog?", 'eel, "quoted"\nand broken'}
    assert {row["site"] for row in rows} == {f"ward {n}" for n in range(4)}


def test_it_ingests_again_to_the_same_content(pets: Project, tmp_path: Path) -> None:
    pets.export("pets", tmp_path / "out")
    report = pets.ingest(tmp_path / "out", "again")
    assert "metadata" in report.source
    assert content(pets, "again") == content(pets, "pets")
    pets.export("again", tmp_path / "twice")
    assert [(row["sample"], row["label"], row["split"], row["site"]) for row in table(tmp_path / "twice")] == [
        (row["sample"], row["label"], row["split"], row["site"]) for row in table(tmp_path / "out")
    ]


def test_so_do_its_class_folders_alone(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> None:
    project.ingest(class_folders(tmp_path / "pets", {"cat": 5, "dog": 5}), "pets")
    project.export("pets", tmp_path / "out")
    for name in ("metadata.csv", "croissant.json"):
        (tmp_path / "out" / name).unlink()
    project.ingest(tmp_path / "out", "again")
    assert content(project, "again") == content(project, "pets")


def test_the_unusable_on_request(pets: Project, tmp_path: Path) -> None:
    report = pets.export("pets", tmp_path / "out", include_unusable=True)
    assert report.images == 19
    rows = {row["sample"]: row for row in table(tmp_path / "out")}
    for status in (Status.CONFLICT, Status.UNLABELLED):
        ((name, *_),) = content(pets, "pets", status=status)
        assert rows[name]["file_name"].startswith(f"_{status}/")
        assert rows[name]["label"] == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib", "ignore::DeprecationWarning:mlcroissant")
def test_mlcroissant_reads_it(pets: Project, tmp_path: Path) -> None:
    import mlcroissant as mlc

    pets.export("pets", tmp_path / "out")
    dataset = mlc.Dataset(jsonld=tmp_path / "out" / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    rows = {row["sample"]: row for row in table(tmp_path / "out")}
    records = list(dataset.records("images"))
    assert len(records) == len(rows)
    for record in records:
        row = rows[record["images/sample"].decode()]
        assert record["images/file_name"].decode() == Path(row["file_name"]).name
        assert record["images/label"].decode() == row["label"]
        assert record["images/split"].decode() == row["split"]
        assert record["images/trust"] == float(row["trust"])
        assert record["images/site"].decode() == row["site"]
        assert record["images/taken-20at"].decode() == row["taken at"] == "2026"
        assert record["images/image"].size == (24, 24)
    described = json.loads((tmp_path / "out" / "croissant.json").read_text())
    assert described["conformsTo"].endswith("croissant/1.1")
    assert described["identifier"] == pets.inspect("pets").version.content_id


def test_a_stopped_export_goes_on(pets: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        module.export(pets.workspace, "pets", tmp_path / "out", progress=stop)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*g")}
    assert len(before) == 5
    assert pets.export("pets", tmp_path / "out").images == 17
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_is_others_is_left_alone(pets: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    for name in ("file", "full"):
        with pytest.raises(UsageError):
            pets.export("pets", tmp_path / name)
    pets.export("pets", tmp_path / "out")
    pets.settle("pets", [pets.inspect("pets").rows[0].sample], "cat")
    pets.settle("pets", [pets.inspect("pets").rows[0].sample], "newt")
    with pytest.raises(UsageError, match="name a new or an empty folder"):
        pets.export("pets", tmp_path / "out")
    with pytest.raises(NotFoundError):
        pets.export("birds", tmp_path / "birds")
    assert not (tmp_path / "birds").exists()


def test_a_full_disk_is_told(pets: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_whole", full)
        with pytest.raises(StorageError, match="No space left on device; make room"):
            pets.export("pets", tmp_path / "out")
    assert pets.export("pets", tmp_path / "out").images == 17


@given(
    st.lists(st.text(max_size=60) | st.sampled_from(["a/b", "0_a_b", "1_a_b", "A/B", "..", "CAT", "cat"]), unique=True)
)
def test_folders_are_safe_and_distinct(classes: list[str]) -> None:
    folders = class_folders(classes)
    assert list(folders) == classes
    assert len({folder.casefold() for folder in folders.values()}) == len(classes)
    for folder in folders.values():
        assert folder
        assert folder == Path(folder).name
        assert not folder.startswith((".", "_"))
        assert len(folder.encode("utf-8", "surrogatepass")) <= 255
