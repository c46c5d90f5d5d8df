"""What a promotion or a rollback would do, and that nobody overrules another unseen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import ConcurrencyError, UsageError
from pellucid.flow.production.steer import propose_promotion, propose_rollback, see_registry


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path, no_reports: None) -> Project:
    project = make_project(of=trained_folder)
    project.train("pets", models=["ridge", "logistic"])
    return project


def test_the_registry_at_one_moment(pets: Project) -> None:
    registry = see_registry(pets.workspace)
    assert registry is not None
    assert (registry.champion, registry.revision, registry.back, registry.since) == (None, 0, None, None)
    pets.promote("pets@1", actor="ann")
    pets.promote("pets@2", actor="bob")
    registry = see_registry(pets.workspace, "pets")
    assert registry is not None
    assert [model.ref for model in registry.models] == ["pets@3", "pets@2", "pets@1"]
    assert registry.champion == pets.model("pets@2")
    assert (registry.revision, registry.back, registry.names) == (2, 1, ("pets",))
    assert registry.since is not None
    assert registry.since.actor == "bob"
    assert not registry.verdicts[2].judged
    with pytest.raises(UsageError, match="no model is named 'cats'"):
        see_registry(pets.workspace, "cats")


def test_a_project_without_a_model_has_no_registry(project: Project) -> None:
    assert see_registry(project.workspace) is None


def test_a_proposal_changes_and_records_nothing(pets: Project) -> None:
    first = propose_promotion(pets.workspace, "pets@1")
    assert (first.champion, first.verdict, first.revision) == (None, None, 0)
    assert "first champion" in first.consequences[0]
    pets.promote("pets@1")
    found = propose_promotion(pets.workspace, "pets@3")
    assert found.verdict is not None
    assert not found.verdict.judged
    assert not found.refused
    assert found.champion == pets.model("pets@1")
    assert "pets@3 answers in place of pets@1" in found.consequences[0]
    assert "cannot learn while it serves" in found.consequences[1]
    assert pets.verdicts() == []
    assert len(pets.history()) == 1
    with pytest.raises(UsageError, match="is the champion of pets already"):
        propose_promotion(pets.workspace, "pets@1")


def test_the_way_back_is_open_to_those_who_were_champion(pets: Project) -> None:
    with pytest.raises(UsageError, match="no earlier champion"):
        propose_rollback(pets.workspace, "pets")
    pets.promote("pets@1")
    pets.promote("pets@2")
    found = propose_rollback(pets.workspace, "pets")
    assert (found.action, found.model.ref, found.verdict) == ("rollback", "pets@1", None)
    assert propose_rollback(pets.workspace, "pets", to=3).verdict is not None


def test_what_changed_between_two_models_is_said(
    pets: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    pets.promote("pets@1")
    pets.ingest(class_folders(tmp_path / "more", {"eel": 8}), "pets", test_fraction=0.25)
    (model,) = pets.train("pets")
    said = " ".join(propose_promotion(pets.workspace, model.ref).consequences)
    assert "knows in addition: eel." in said
    assert "trained on data pets@2; the champion on data pets@1" in said
    pets.promote(model.ref)
    assert "does not know: eel" in " ".join(propose_rollback(pets.workspace, "pets").consequences)


def test_whoever_saw_another_champion_is_told_who_changed_it(pets: Project) -> None:
    pets.promote("pets@1", actor="ann")
    seen = propose_promotion(pets.workspace, "pets@2").revision
    pets.promote("pets@3", actor="bob", seen=seen)
    with pytest.raises(ConcurrencyError, match=r"bob made pets@3 the champion; nothing was changed"):
        pets.promote("pets@2", actor="ann", seen=seen)
    with pytest.raises(ConcurrencyError, match="changed meanwhile"):
        pets.rollback("pets", actor="ann", seen=seen)
    assert pets.model("pets").ref == "pets@3"
    pets.rollback("pets", seen=2)
    assert pets.model("pets").ref == "pets@1"
