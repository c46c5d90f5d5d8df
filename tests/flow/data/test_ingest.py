"""Files in, versions out."""

from __future__ import annotations

import shutil
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import DataError, SourceError, UsageError
from pellucid.features.decode import decode
from pellucid.flow.data import ingest as module
from pellucid.flow.training.learn import gather
from pellucid.types import Role, Split, Status


def rows_of(project: Project, ref: str) -> dict[str, tuple[str | None, str, str]]:
    return {row.sample: (row.label, str(row.split), str(row.status)) for row in project.inspect(ref).rows}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the files that were decoded since."""
    sizes: list[int] = []
    real = decode

    def count(data: bytes, *args: Any, **options: Any) -> object:
        sizes.append(len(data))
        return real(data, *args, **options)

    monkeypatch.setattr(module, "decode", count)
    return sizes


def test_class_folders(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> None:
    report = project.ingest(class_folders(tmp_path / "pets", {"cat": 10, "dog": 5}), "pets")
    version = report.version
    assert (version.ref, report.created, report.files, report.new, report.duplicates) == ("pets@1", True, 15, 15, 0)
    assert version.class_to_idx == {"cat": 0, "dog": 1}
    assert dict(version.counts) == {"images": 15, "train": 12, "test": 3}
    assert version.recipe["annotator"] == "pets"
    assert not report.warnings
    assert "class folders" in report.source


def test_split_folders_and_a_trusted_split(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    for start, split in enumerate(("train", "test", "trusted")):
        class_folders(tmp_path / "pets" / split, {"cat": 2, "dog": 2}, start=2 * start)
    version = project.ingest(tmp_path / "pets", "pets", test_fraction=0.5).version
    assert dict(version.counts) == {"images": 12, "train": 4, "test": 4, "trusted": 4}
    trusted = [row.sample for row in project.inspect("pets").rows if row.split is Split.TRUSTED]
    assert {vote.role for name in trusted for vote in project.impact(name).votes} == {Role.GROUND_TRUTH}
    learnt = [row.sample for row in project.inspect("pets").rows if row.split is Split.TRAIN]
    assert {vote.role for name in learnt for vote in project.impact(name).votes} == {Role.ANNOTATOR}


def test_trusted_fraction(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 10, "dog": 10})
    version = project.ingest(source, "pets", test_fraction=0.2, trusted_fraction=0.1).version
    assert dict(version.counts) == {"images": 20, "train": 14, "test": 4, "trusted": 2}


def test_archive_holds_what_the_folder_holds(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 4, "dog": 4})
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as archive:
        archive.add(source, "pets")
    one = project.ingest(source, "folder").version
    two = project.ingest(tmp_path / "pets.tar.gz", "archive").version
    assert one.content_id == two.content_id


def test_manifest_with_metadata_and_annotators(
    project: Project, manifest: Callable[..., Path], picture: Callable[..., bytes]
) -> None:
    rows = [
        {"file_name": "0.png", "label": "cat", "annotator": "ann", "site": "north"},
        {"file_name": "0.png", "label": "cat", "annotator": "bob", "site": "north"},
        {"file_name": "0.png", "label": "dog", "annotator": "eve", "site": "north"},
        {"file_name": "1.png", "label": "cat", "annotator": "ann", "site": "south"},
        {"file_name": "1.png", "label": "dog", "annotator": "eve", "site": "south"},
        {"file_name": "2.png", "label": "dog", "annotator": "eve", "site": "south"},
    ]
    report = project.ingest(manifest({f"{n}.png": picture("cat", n) for n in range(3)}, rows), "pets")
    assert (report.files, report.duplicates, report.new) == (3, 0, 3)
    found = sorted((row.label or "", row.trust, row.status) for row in project.inspect("pets").rows)
    assert found == [("", 0, Status.CONFLICT), ("cat", 667, Status.OK), ("dog", 1000, Status.OK)]
    one = next(row for row in project.inspect("pets").rows if row.trust == 667)
    assert one.reason == "cat (ann, bob) against dog (eve)"
    assert project.impact(one.sample).files["pets"][0].metadata == {"site": "north"}


def test_a_file_with_several_annotators_is_read_once(
    project: Project,
    manifest: Callable[..., Path],
    picture: Callable[..., bytes],
    decoded: list[int],
) -> None:
    rows = [{"file_name": "0.png", "label": "cat", "annotator": name} for name in "abcdef"]
    rows += [{"file_name": "1.png", "label": "dog", "annotator": name} for name in "abcdef"]
    report = project.ingest(manifest({f"{n}.png": picture("cat", n) for n in range(2)}, rows), "pets")
    assert len(decoded) == 2
    assert (report.files, report.duplicates) == (2, 0)


def test_second_ingest_makes_a_child_and_shifts_no_class(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    first = project.ingest(class_folders(tmp_path / "one", {"cat": 5, "eel": 5}), "pets").version
    report = project.ingest(class_folders(tmp_path / "two", {"dog": 5, "eel": 5}, start=10), "pets")
    assert report.version.parents == (first.ref,)
    assert report.version.classes == ("cat", "eel", "dog")
    assert report.version.counts["images"] == 20
    before, after = rows_of(project, "pets@1"), rows_of(project, "pets@2")
    assert {name: after[name] for name in before} == before
    assert report.warnings == ("new class 'dog'",)


def test_identical_ingest_makes_no_version_and_decodes_nothing(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path, decoded: list[int]
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 5, "dog": 5})
    project.ingest(source, "pets")
    assert len(decoded) == 10
    again = project.ingest(source, "pets")
    assert (again.created, again.version.ref, again.new, len(decoded)) == (False, "pets@1", 0, 10)
    assert len(project.datasets()) == 1
    sample = project.inspect("pets").rows[0].sample
    assert len(project.impact(sample).votes) == 1  # nobody gains weight by repeating himself


def test_agreeing_votes_of_others_are_kept(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})
    project.ingest(source, "pets", annotator="ann")
    assert not project.ingest(source, "pets", annotator="bob").created
    shutil.copytree(source / "cat", tmp_path / "eve" / "dog")
    project.ingest(tmp_path / "eve", "pets", annotator="eve")
    row = next(row for row in project.inspect("pets").rows if row.reason)
    assert (row.label, row.reason) == ("cat", "cat (ann, bob) against dog (eve)")


def test_a_corrected_source_replaces_what_it_said(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 5, "dog": 5})
    project.ingest(source, "pets")
    (source / "cat" / "0.png").rename(source / "dog" / "wrong.png")
    report = project.ingest(source, "pets")
    assert report.created
    assert sorted(row.label or "" for row in project.inspect("pets").rows) == ["cat"] * 4 + ["dog"] * 6
    (difference,) = project.diff("pets@1", "pets@2").differences
    assert difference.why == "label changed by ingest: pets (annotator) said dog"


def test_one_class_is_a_warning_at_ingest_and_an_error_at_training(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    report = project.ingest(class_folders(tmp_path / "pets", {"cat": 5}), "pets")
    assert any("one class only, 'cat'" in text for text in report.warnings)
    with pytest.raises(DataError, match="at least two classes"):
        gather(project.workspace, report.version, project.workspace.extractor())


def test_no_test_images_are_a_warning_at_ingest_and_an_error_at_training(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    report = project.ingest(class_folders(tmp_path / "pets", {"cat": 5, "dog": 5}), "pets", test_fraction=0.0)
    assert any("no image is kept for testing" in text for text in report.warnings)
    with pytest.raises(DataError, match="no test images"):
        gather(project.workspace, report.version, project.workspace.extractor())


def test_unknown_label_becomes_a_class_with_a_hint_or_is_set_aside(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    project.ingest(class_folders(tmp_path / "one", {"cat": 5, "dog": 5}), "pets")
    later = class_folders(tmp_path / "two", {"cats": 2, "dog": 2}, start=10)
    refused = project.ingest(later, "pets", new_classes=False)
    assert dict(refused.rejected) == {"unknown label": 2}
    assert refused.version.classes == ("cat", "dog")
    assert refused.version.counts["images"] == 12
    assert "'cats'; the dataset has cat, dog" in project.inspect("pets").rejected[0].detail
    taken = project.ingest(later, "pets")
    assert taken.version.classes == ("cat", "dog", "cats")
    assert any("did you mean 'cat'?" in text for text in taken.warnings)


def test_rules_are_inherited_until_others_are_given(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    project.ingest(class_folders(tmp_path / "one", {"cat": 10}), "pets", test_fraction=0.5)
    two = project.ingest(class_folders(tmp_path / "two", {"cat": 10}, start=10), "pets").version
    assert (two.recipe["test_fraction"], two.counts["test"]) == (0.5, 10)
    three = project.ingest(class_folders(tmp_path / "three", {"cat": 20}, start=20), "pets", test_fraction=0.25)
    assert three.version.counts["test"] == 10


@pytest.mark.parametrize("fractions", [(0.6, 0.4), (-0.1, 0.0), (0.0, 1.5), (float("nan"), 0.0)])
def test_fractions_that_leave_nothing_are_refused(
    project: Project, tmp_path: Path, fractions: tuple[float, float]
) -> None:
    with pytest.raises(UsageError, match="add up to at most"):
        project.ingest(tmp_path, "pets", test_fraction=fractions[0], trusted_fraction=fractions[1])


def test_bad_names_and_places(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot name a dataset"):
        project.ingest(tmp_path, "../pets")
    with pytest.raises(SourceError, match="there is no"):
        project.ingest(tmp_path / "nowhere", "pets")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty"):
        project.ingest(tmp_path / "empty", "pets")
    assert project.datasets() == []


def test_two_at_once_both_land(
    make_project: Callable[..., Project], class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    make_project()
    barrier, failed = threading.Barrier(3), list[BaseException]()

    def run(number: int) -> None:
        source = class_folders(tmp_path / f"source{number}", {"cat": 4, "dog": 4}, start=10 * number)
        with Project(tmp_path / "project") as own:
            barrier.wait()
            try:
                own.ingest(source, "pets")
            except BaseException as error:  # noqa: BLE001 - told below
                failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with Project(tmp_path / "project") as project:
        versions = project.datasets("pets")
        assert [version.counts["images"] for version in versions] == [8, 16, 24]
        assert [version.parents for version in versions] == [(), ("pets@1",), ("pets@2",)]
        for row in project.inspect("pets").rows:
            assert project.impact(row.sample).votes[0].label == row.label


def test_images_whose_pack_was_removed_are_stored_again(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})
    project.ingest(source, "pets")
    for pack in (project.workspace.root / ".pellucid").rglob("*.pack"):
        pack.unlink()
    report = project.ingest(source, "pets")
    assert not report.created
    assert report.new == 0
    for row in project.inspect("pets").rows:
        assert project.workspace.images.get(row.sample)


def test_large_images_fill_several_packs(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.flow.data.ingest.PACK_BYTES", 1)
    report = project.ingest(class_folders(tmp_path / "pets", {"cat": 3, "dog": 3}), "pets")
    packs = list((project.workspace.root / ".pellucid").rglob("*.pack"))
    assert len(packs) == report.new > 2
    for row in project.inspect("pets").rows:
        assert project.workspace.images.get(row.sample)
