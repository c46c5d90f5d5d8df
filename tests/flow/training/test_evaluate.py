from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import DataError, IntegrityError, NotFoundError
from pellucid.flow.training import job
from pellucid.flow.training.evaluate import judge, read_details


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(job, "_try_to_complete", lambda workspace, model: False)
    return make_project(of=trained_folder)


def test_on_its_own_test_images_it_gets_what_training_said(pets: Project) -> None:
    model = pets.model("pets@1")
    metrics = pets.evaluate(model.ref).metrics
    assert {name: model.metrics[name] for name in metrics} == pytest.approx(
        {name: estimate.value for name, estimate in metrics.items()}
    )


def test_on_another_dataset_classes_are_matched_by_name(
    pets: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "other", {"ant": 4, "cat": 4, "dog": 4}, start=80)
    pets.ingest(source, "other", test_fraction=0.5)
    judged = judge(pets.workspace, pets.model("pets@1"), "other")
    assert judged.probabilities.shape == (6, 3)
    assert (judged.probabilities[:, 0] == 0).all()
    recalls = {score.name: score.recall.value for score in pets.evaluate("pets@1", "other").per_class if score.recall}
    assert (recalls["ant"], recalls["cat"], recalls["dog"]) == (0, 1, 1)


def test_a_dataset_of_which_it_knows_nothing_is_refused(
    pets: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    pets.ingest(class_folders(tmp_path / "other", {"ant": 4, "bee": 4}, start=80), "other", test_fraction=0.5)
    with pytest.raises(DataError, match="knows no class of other@1"):
        pets.evaluate("pets@1", "other")
    with pytest.raises(NotFoundError):
        pets.evaluate("pets@1", "birds")


def test_two_models_are_compared_on_the_same_images(pets: Project) -> None:
    pets.train("pets", settings={"lambda": [100.0]})
    comparison = pets.compare("pets@1", "pets@2")
    assert "pets@1" in comparison.verdict
    assert "pets@2" in comparison.verdict


def test_an_edited_evaluation_is_refused(pets: Project) -> None:
    model = pets.model("pets@1")
    path = pets.workspace.artifacts.fetch_folder("models", model.id, Path()) / "evaluation.json"
    assert read_details(pets.workspace, model)["n_train"] == 18
    path.write_text(path.read_text().replace("18", "81"))
    with pytest.raises(IntegrityError, match="damaged or edited"):
        read_details(pets.workspace, model)
