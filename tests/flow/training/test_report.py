from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import IntegrityError
from pellucid.flow.training import job


@pytest.fixture
def pets(
    make_project: Callable[..., Project],
    trained_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    """pets@1 and pets@2 of one dataset version."""
    project = make_project(of=trained_folder)
    with monkeypatch.context() as patch:
        patch.setattr(job, "_try_to_complete", lambda workspace, model: False)
        project.train("pets", settings={"lambda": [1000.0]})
    return project


def test_a_page_that_opens_offline_with_rivals(pets: Project) -> None:
    folder = pets.report("pets@2")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "pets@2" in page
    assert "pets@1 kernel" in page
    assert "<script src" not in page
    assert json.loads((folder / "evaluation.json").read_text())["n_train"] == 18


def test_another_models_damage_keeps_no_model_from_its_report(pets: Project) -> None:
    rival = pets.workspace.artifacts.fetch_folder("models", pets.model("pets@1").id, Path())
    (rival / "head.json").write_text("{}")
    folder = pets.report("pets@2")
    assert "pets@1 ridge" not in (folder / "report.html").read_text(encoding="utf-8")
    with pytest.raises(IntegrityError):
        pets.report("pets@2", against=["pets@1"])
