from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import NotFoundError, StorageError, UsageError
from pellucid.flow.data import version as module
from pellucid.types import Role


@pytest.fixture
def pets(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> Project:
    project.ingest(class_folders(tmp_path / "pets", {"cat": 3, "dog": 3}), "pets")
    return project


def test_a_correction_makes_a_version_and_keeps_the_vote(pets: Project) -> None:
    row = pets.inspect("pets").rows[0]
    other = "dog" if row.label == "cat" else "cat"
    version = pets.settle("pets", [row.sample[:6]], other, voter="eve")
    assert (version.ref, version.recipe["verb"], version.recipe["voter"]) == ("pets@2", "settle", "eve")
    after = next(item for item in pets.inspect("pets").rows if item.sample == row.sample)
    assert (after.label, after.split) == (other, row.split)
    assert [(vote.role, vote.label) for vote in pets.impact(row.sample).votes] == [
        (Role.ANNOTATOR, row.label),
        (Role.GROUND_TRUTH, other),
    ]
    assert (
        pets.diff("pets@1", "pets@2").differences[0].why == f"label changed by settle: eve (ground_truth) said {other}"
    )


def test_repeating_it_makes_no_version_and_no_vote(pets: Project) -> None:
    name = pets.inspect("pets").rows[0].sample
    first = pets.settle("pets", [name], "eel", voter="eve")
    again = pets.settle("pets", [name, name], "eel", voter="eve")
    assert again.ref == first.ref
    assert len(pets.impact(name).votes) == 2


def test_confirming_a_label_is_kept_as_ground_truth(pets: Project) -> None:
    row = pets.inspect("pets").rows[0]
    assert pets.settle("pets", [row.sample], str(row.label), voter="eve").ref == "pets@1"
    assert pets.impact(row.sample).votes[-1].role is Role.GROUND_TRUTH


def test_what_is_broken_off_leaves_neither_vote_nor_version(pets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    name = pets.inspect("pets").rows[0].sample

    def full(*args: object, **options: object) -> None:
        raise StorageError("full")

    with monkeypatch.context() as patch:
        patch.setattr(module, "commit_version", full)
        with pytest.raises(StorageError):
            pets.settle("pets", [name], "eel")
    assert len(pets.impact(name).votes) == 1
    assert len(pets.datasets()) == 1


def test_wrong_samples_and_labels_are_refused(
    pets: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    pets.ingest(class_folders(tmp_path / "others", {"cat": 1, "dog": 1}, start=50), "others")
    foreign = pets.inspect("others").rows[0].sample
    for prefix in ("abc", "zzzz", foreign):
        with pytest.raises(NotFoundError, match="no sample that begins"):
            pets.settle("pets", [prefix], "cat")
    with pytest.raises(UsageError, match="is no label"):
        pets.settle("pets", [pets.inspect("pets").rows[0].sample], "  ")
    with pytest.raises(NotFoundError, match="no dataset"):
        pets.settle("birds", ["abcd"], "cat")
