from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import ConcurrencyError, NotFoundError, StorageError, UsageError
from pellucid.flow.production import promote as module
from pellucid.flow.training import job
from pellucid.flow.training.predict import open_predictor


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """pets@1, @2 and @3; only the first stands in MLflow."""
    project = make_project(of=trained_folder)
    with monkeypatch.context() as patch:
        patch.setattr(job, "_try_to_complete", lambda workspace, model: False)
        project.train("pets", settings={"lambda": [0.5, 0.7]})
    return project


def champion(project: Project) -> str:
    return project.model("pets").ref


def test_promote_and_its_history(pets: Project) -> None:
    change = pets.promote("pets@2", reason="better", actor="ann")
    assert (change.version, change.previous, change.revision) == (2, None, 1)
    assert champion(pets) == "pets@2"
    pets.promote("pets@1", actor="bob")
    assert [(item.action, item.version, item.previous, item.actor, item.reason) for item in pets.history("pets")] == [
        ("promote", 2, None, "ann", "better"),
        ("promote", 1, 2, "bob", ""),
    ]
    assert pets.history()[0].at <= pets.history()[1].at


def test_candidate_and_champion_are_apart(pets: Project) -> None:
    pets.promote("pets@1")
    pets.promote("pets@2", alias="candidate")
    assert pets.model("pets@2").aliases == ("candidate",)
    pets.promote("pets@2")
    assert pets.model("pets@2").aliases == ("candidate", "champion")
    with pytest.raises(UsageError, match="no alias; wanted is champion or candidate"):
        pets.promote("pets@2", alias="king")


def test_rollback_goes_down_the_stack(pets: Project) -> None:
    for version in (1, 2, 3):
        pets.promote(f"pets@{version}")
    assert pets.rollback("pets", reason="worse").version == 2
    assert pets.rollback("pets").version == 1
    with pytest.raises(UsageError, match="no earlier champion"):
        pets.rollback("pets")
    pets.promote("pets@3")
    assert pets.rollback("pets").version == 1
    assert pets.rollback("pets", to=2).version == 2
    assert [item.action for item in pets.history()] == ["promote"] * 3 + ["rollback"] * 2 + ["promote"] + [
        "rollback"
    ] * 2


def test_a_dry_run_changes_nothing(pets: Project) -> None:
    pets.promote("pets@1")
    pets.promote("pets@2")
    assert pets.promote("pets@3", dry_run=True).version == 3
    assert pets.rollback("pets", dry_run=True).version == 1
    assert champion(pets) == "pets@2"
    assert len(pets.history()) == 2


def test_what_is_so_already_or_not_there_is_refused(pets: Project) -> None:
    pets.promote("pets@1")
    with pytest.raises(UsageError, match="is the champion of pets already"):
        pets.promote("pets@1")
    with pytest.raises(UsageError, match="is the champion of pets already"):
        pets.rollback("pets", to=1)
    with pytest.raises(NotFoundError):
        pets.promote("pets@9")
    with pytest.raises(NotFoundError):
        pets.rollback("birds", to=1)
    assert len(pets.history()) == 1


def test_of_two_at_once_one_wins_and_the_other_is_told(pets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(2)
    told: list[str] = []

    def together(*args: Any) -> object:
        found = open_predictor(*args)
        barrier.wait(10)
        return found

    def run(ref: str) -> None:
        try:
            pets.promote(ref)
        except ConcurrencyError as error:
            told.append(str(error))

    monkeypatch.setattr(module, "open_predictor", together)
    threads = [threading.Thread(target=run, args=(f"pets@{version}",)) for version in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1
    assert "look again and retry" in told[0]
    (change,) = pets.history()
    assert champion(pets) == f"pets@{change.version}"


def test_the_decision_stands_without_mlflow(
    pets: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*args: Any) -> None:
        raise StorageError("MLflow is down")

    monkeypatch.setattr(type(pets.workspace.tracking), "set_alias", down)
    pets.promote("pets@1")
    assert champion(pets) == "pets@1"
    assert "in MLflow not yet: MLflow is down" in caplog.text


def test_mlflow_follows(pets: Project) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(pets.workspace.tracking._url, pets.workspace.tracking._url)
    pets.promote("pets@2")  # not mirrored yet
    pets.promote("pets@1", alias="candidate")
    assert client.get_model_version_by_alias("pets", "candidate").tags["pellucid.model"] == "pets@1"
    job.complete(pets.workspace, pets.model("pets@2"))
    assert client.get_model_version_by_alias("pets", "champion").tags["pellucid.model"] == "pets@2"
