from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import NotFoundError, UsageError


def test_classes_splits_and_references(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> None:
    project.ingest(class_folders(tmp_path / "pets", {"cat": 10, "dog": 5}), "pets")
    seen = project.inspect("pets")
    assert {name: dict(counts) for name, counts in seen.by_class.items()} == {
        "cat": {"test": 2, "train": 8},
        "dog": {"test": 1, "train": 4},
    }
    assert [row.sample for row in seen.rows] == sorted(row.sample for row in seen.rows)
    assert project.inspect("pets@1") == project.inspect("pets@latest") == seen
    with pytest.raises(NotFoundError, match="pets has the versions 1 to 1"):
        project.inspect("pets@2")
    with pytest.raises(NotFoundError, match="the project has: pets"):
        project.inspect("pest")
    with pytest.raises(UsageError):
        project.inspect("pets@newest")
