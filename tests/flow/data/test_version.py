"""What a version makes of duplicates, conflicts, groups and given splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import ConcurrencyError, UsageError
from pellucid.flow.data import version as module
from pellucid.flow.training.learn import gather
from pellucid.store.manifests import content_id, write_manifest
from pellucid.types import Row, Split, Status

Burst = Callable[[int, int], list[bytes]]
Manifest = Callable[..., Path]
Picture = Callable[..., bytes]


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def by_status(project: Project, ref: str) -> dict[Status, list[Row]]:
    found = defaultdict(list)
    for row in project.inspect(ref).rows:
        found[row.status].append(row)
    return found


def details(project: Project, ref: str, kind: str) -> list[str]:
    return [item.detail for item in project.inspect(ref).findings if item.kind == kind]


def test_exact_duplicates_are_stored_once(project: Project, picture: Picture, tmp_path: Path) -> None:
    files = {"cat/a.png": picture("cat", 0), "cat/b.png": picture("cat", 0), "dog/c.png": picture("dog", 1)}
    report = project.ingest(write(tmp_path / "pets", files), "pets")
    assert (report.files, report.duplicates, report.version.counts["images"]) == (3, 1, 2)
    assert not report.findings
    sample = next(row.sample for row in project.inspect("pets").rows if row.label == "cat")
    assert [item.path for item in project.impact(sample).files["pets"]] == ["cat/a.png", "cat/b.png"]


def test_one_image_under_two_labels_is_a_conflict_until_settled(
    project: Project, class_folders: Callable[..., Path], picture: Picture, tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 5, "dog": 5})
    write(source, {"cat/same.png": picture("eel", 0), "dog/same too.png": picture("eel", 0)})
    report = project.ingest(source, "pets")
    assert dict(report.findings) == {"conflict": 1}
    (row,) = by_status(project, "pets")[Status.CONFLICT]
    assert row.label is None
    assert details(project, "pets", "conflict") == ["cat (pets) against dog (pets): cat/same.png, dog/same too.png"]
    material = gather(project.workspace, report.version, project.workspace.extractor())
    assert row.sample not in {*material.train.ids, *material.test.ids}
    project.settle("pets", [row.sample[:8]], "dog")
    settled = next(item for item in project.inspect("pets").rows if item.sample == row.sample)
    assert (settled.label, settled.status, settled.trust) == ("dog", Status.OK, 1000)
    assert details(project, "pets", "conflict") == []
    assert len(details(project, "pets@1", "conflict")) == 1


def test_near_identical_images_share_a_group_and_their_labels_are_compared(
    project: Project, burst: Burst, picture: Picture, tmp_path: Path
) -> None:
    a, b, c = burst(1, 3)
    files = {"cat/a.png": a, "cat/b.png": b, "dog/c.png": c, "dog/d.png": picture("dog", 0)}
    report = project.ingest(write(tmp_path / "pets", files), "pets")
    assert dict(report.findings) == {"near_duplicate": 1, "near_conflict": 1}
    (told,) = details(project, "pets", "near_conflict")
    assert told.startswith("near-identical images are labelled cat and dog: ")
    assert {"cat/a.png", "cat/b.png", "dog/c.png"} == set(told.split(": ")[1].split(", "))
    groups = [row.group for row in project.inspect("pets").rows]
    assert sorted(map(groups.count, set(groups))) == [1, 3]


@pytest.mark.parametrize("seed", range(4))
def test_drawn_splits_never_tear_near_duplicates(project: Project, burst: Burst, tmp_path: Path, seed: int) -> None:
    files = {f"{'cat' if n % 2 else 'dog'}/{n}-{k}.png": shot for n in range(8) for k, shot in enumerate(burst(n, 2))}
    project.ingest(write(tmp_path / "pets", files), "pets", test_fraction=0.5, seed=seed)
    splits = defaultdict(set)
    for row in project.inspect("pets").rows:
        splits[row.group].add(row.split)
    assert len(splits) == 8
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {Split.TRAIN, Split.TEST}


def test_a_later_near_duplicate_follows_its_group(project: Project, burst: Burst, tmp_path: Path) -> None:
    shots = [burst(n, 2) for n in range(8)]
    first = {f"{'cat' if n % 2 else 'dog'}/{n}.png": pair[0] for n, pair in enumerate(shots)}
    second = {f"{'cat' if n % 2 else 'dog'}/{n}.png": pair[1] for n, pair in enumerate(shots)}
    project.ingest(write(tmp_path / "one", first), "pets", test_fraction=0.5)
    project.ingest(write(tmp_path / "two", second), "pets")
    splits = defaultdict(set)
    for row in project.inspect("pets").rows:
        splits[row.group].add(row.split)
    assert len(splits) == 8
    assert all(len(found) == 1 for found in splits.values())


def test_given_splits_win_and_training_copies_are_set_aside(
    project: Project, burst: Burst, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets" / "train", {"cat": 3, "dog": 3}).parent
    class_folders(source / "test", {"cat": 1, "dog": 1}, start=9)
    a, b = burst(1, 2)
    write(source, {"train/cat/a.png": a, "test/cat/b.png": b})
    report = project.ingest(source, "pets", test_fraction=0.5)
    assert dict(report.findings) == {"near_duplicate": 1, "torn_group": 1}
    assert dict(report.version.counts) == {"images": 10, "set_aside": 1, "test": 3, "train": 6}
    (row,) = by_status(project, "pets")[Status.SET_ASIDE]
    assert (row.split, row.reason) == (Split.TRAIN, "its group is in the test split too")
    (told,) = details(project, "pets", "torn_group")
    assert told.startswith("one group lies in test and train; 1 training copy is set aside: ")
    assert {"train/cat/a.png", "test/cat/b.png"} == set(told.rsplit(": ")[1].split(", "))
    assert dict(project.inspect("pets").set_aside) == {row.reason: 1}
    # A sample keeps its split for ever: models have been judged on it.
    again = project.ingest(write(tmp_path / "again", {"train/cat/b.png": b}), "pets")
    assert dict(again.version.counts) == dict(report.version.counts)
    assert any("1 images stay in the split that they have had" in warning for warning in again.warnings)


def test_no_feedback_touches_a_trusted_sample(
    project: Project, class_folders: Callable[..., Path], manifest: Manifest, picture: Picture, tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 8, "dog": 8})
    project.ingest(source, "pets", trusted_fraction=0.25, test_fraction=0.25)
    before = {row.sample: row for row in project.inspect("pets").rows}
    for user in ("ann", "bob"):
        rows = [{"file_name": f"{n}.png", "label": "dog", "annotator": user} for n in range(8)]
        files = {f"{n}.png": picture("cat", n) for n in range(8)}
        report = project.ingest(manifest(files, rows, name=f"{user}.csv"), "pets", role="user")
    after = {row.sample: row for row in project.inspect("pets").rows}
    trusted = [name for name, row in before.items() if row.split is Split.TRUSTED]
    assert trusted
    assert all(after[name] == before[name] for name in trusted)
    relabelled = [name for name in before if after[name].label != before[name].label]
    assert relabelled
    said = next(warning for warning in report.warnings if "another label now" in warning)
    held = sum(before[name].split is Split.TEST for name in relabelled)
    assert said.startswith(f"{len(relabelled)} images")
    assert f"{held} of them test" in said
    # ground truth is another matter
    project.settle("pets", [trusted[0]], "dog" if before[trusted[0]].label == "cat" else "cat", voter="eve")
    assert {row.sample: row for row in project.inspect("pets").rows}[trusted[0]].label != before[trusted[0]].label


def test_votes_that_came_without_a_version_in_between_are_not_lost(
    project: Project, manifest: Manifest, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob repeats what the row says, so there is no new version; Carol, who began before him, contradicts."""
    files = {f"{n}.png": picture("cat", n) for n in range(6)}

    def say(name: str, rows: list[tuple[int, str]]) -> Path:
        lines = [{"file_name": f"{n}.png", "label": label, "annotator": name} for n, label in rows]
        return manifest(files, lines, name=f"{name}.csv")

    project.ingest(say("ann", [(n, "cat" if n % 2 else "dog") for n in range(6)]), "pets")
    bob, carol = say("bob", [(1, "cat")]), say("carol", [(1, "dog")])
    real, waiting = write_manifest, [True]

    def slow(*args: Any) -> str:
        if waiting:
            waiting.clear()
            assert not project.ingest(bob, "pets").created
        return real(*args)

    monkeypatch.setattr(module, "write_manifest", slow)
    project.ingest(carol, "pets")
    (row,) = [row for row in project.inspect("pets").rows if row.trust == 667]
    assert (row.label, row.status) == ("cat", Status.OK)


@pytest.mark.parametrize("seed", range(3))
def test_group_by_keeps_a_patient_whole(project: Project, manifest: Manifest, picture: Picture, seed: int) -> None:
    rows = [{"file_name": f"{n}.png", "label": "cat" if n % 2 else "dog", "patient": n % 10} for n in range(30)]
    path = manifest({f"{n}.png": picture("cat", n) for n in range(30)}, rows)
    version = project.ingest(path, "pets", group_by="patient", test_fraction=0.4, seed=seed).version
    splits = defaultdict(set)
    for row in project.inspect("pets").rows:
        splits[project.impact(row.sample).files["pets"][0].metadata["patient"]].add(row.split)
    assert len(splits) == 10
    assert all(len(found) == 1 for found in splits.values())
    assert version.counts["test"] >= 9


def test_group_by_holds_over_ingests_and_spellings(
    project: Project, manifest: Manifest, picture: Picture, tmp_path: Path
) -> None:
    csv = manifest(
        {f"{n}.png": picture("cat", n) for n in range(10)},
        [{"file_name": f"{n}.png", "label": "cat", "patient": n} for n in range(10)],
    )
    project.ingest(csv, "pets", group_by="patient", test_fraction=0.5)
    lines = [f'{{"file_name": "{n}.png", "label": "cat", "patient": {n}}}' for n in range(10)]
    later = write(tmp_path / "later", {f"{n}.png": picture("cat", n + 10) for n in range(10)})
    (later / "list.jsonl").write_text("\n".join(lines))
    project.ingest(later / "list.jsonl", "pets")
    splits = defaultdict(set)
    for row in project.inspect("pets").rows:
        splits[str(project.impact(row.sample).files["pets"][0].metadata["patient"])].add(row.split)
    assert len(splits) == 10
    assert all(len(found) == 1 for found in splits.values())


def test_a_key_that_no_image_has_is_refused_and_one_that_some_lack_is_told(
    project: Project, manifest: Manifest, picture: Picture
) -> None:
    rows = [{"file_name": f"{n}.png", "label": "cat", "patient": n or ""} for n in range(3)]
    path = manifest({f"{n}.png": picture("cat", n) for n in range(3)}, rows)
    with pytest.raises(UsageError, match=r"no image of .* has the metadata 'pateint' to group by; there is: patient"):
        project.ingest(path, "pets", group_by="pateint")
    assert project.datasets() == []
    report = project.ingest(path, "pets", group_by="patient")
    assert "1 of 3 images have no 'patient' and are each a group of their own" in report.warnings


def test_images_that_get_their_label_later_are_divided_then(
    project: Project, manifest: Manifest, picture: Picture
) -> None:
    files = {f"{n}.png": picture("cat", n) for n in range(20)}
    bare = [{"file_name": name, "label": "", "split": ""} for name in files]
    bare[0]["split"] = "test"
    first = project.ingest(manifest(files, bare, name="bare.csv"), "pets").version
    assert dict(first.counts) == {"images": 20, "unlabelled": 20}
    rows = [{"file_name": name, "label": "cat" if n % 2 else "dog"} for n, name in enumerate(files)]
    second = project.ingest(manifest(files, rows, name="full.csv"), "pets", test_fraction=0.5).version
    assert dict(second.counts) == {"images": 20, "test": 10, "train": 10}
    sample = next(row for row in project.inspect("pets").rows if project.impact(row.sample).files["pets"][0].split)
    assert sample.split is Split.TEST


def test_overtaken_again_and_again_gives_up_and_changes_nothing(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 3, "dog": 3})

    def always_overtaken(*args: object, **options: object) -> None:
        raise ConcurrencyError("somebody was faster")

    with monkeypatch.context() as patch:
        patch.setattr(module, "commit_version", always_overtaken)
        with pytest.raises(ConcurrencyError, match="changed all the time"):
            project.ingest(source, "pets")
    assert project.datasets() == []
    assert project.ingest(source, "pets").version.counts["images"] == 6


def test_a_version_committed_in_between_is_built_upon(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = class_folders(tmp_path / "one", {"cat": 3, "dog": 3})
    two = class_folders(tmp_path / "two", {"cat": 3, "dog": 3}, start=10)
    real = write_manifest
    waiting = [True]

    def slow(*args: Any) -> str:
        if waiting:
            waiting.clear()
            project.ingest(two, "pets")
        return real(*args)

    monkeypatch.setattr(module, "write_manifest", slow)
    version = project.ingest(one, "pets").version
    assert (version.ref, version.parents, version.counts["images"]) == ("pets@2", ("pets@1",), 12)


def test_votes_that_change_nothing_yet_still_count_when_overtaken(
    project: Project, class_folders: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = class_folders(tmp_path / "pets", {"cat": 2, "dog": 2})
    project.ingest(source, "pets", annotator="ann")
    first = project.inspect("pets").rows[0]
    other = "dog" if first.label == "cat" else "cat"
    real = content_id
    waiting = [True]

    def slow(rows: Any) -> str:
        if waiting:  # while Bob's agreement is being looked at, Eve disagrees
            waiting.clear()
            project.settle("pets", [first.sample], other, voter="eve")
        return real(rows)

    monkeypatch.setattr(module, "content_id", slow)
    assert not project.ingest(source, "pets", annotator="bob").created
    assert {vote.voter for vote in project.impact(first.sample).votes} == {"ann", "bob", "eve"}
    assert len(project.datasets()) == 2
