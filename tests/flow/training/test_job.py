"""A job is done exactly once, and what comes after its registration is made up for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import StorageError
from pellucid.flow.training import job as module
from pellucid.flow.training.grid import Grid
from pellucid.flow.training.job import complete, complete_all
from pellucid.store.models import mirror_version, unmirrored
from pellucid.types import JobState


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path) -> Project:
    return make_project(of=trained_folder, lease_seconds=0.1)


def waiting(project: Project) -> list[str]:
    with project.workspace.database.read() as connection:
        return [model.ref for model in unmirrored(connection)]


def in_mlflow(project: Project) -> list[str]:
    """Pellucid's names of the versions that MLflow's own client finds."""
    from mlflow import MlflowClient

    url = project.workspace.tracking._url
    found = MlflowClient(url, url).search_model_versions("name = 'pets'")
    return sorted(version.tags["pellucid.model"] for version in found)


def test_a_job_leaves_a_model_a_report_and_a_mirror(pets: Project) -> None:
    (job,) = pets.submit(Grid(("pets",), ("ridge",), {"lambda": [0.5]}))
    assert pets.work() == 1
    (job,) = pets.jobs([job.id])
    model = pets.model(str(job.result))
    assert (job.state, job.attempt, job.message) == (JobState.DONE, 1, "")
    assert (model.ref, model.dataset, model.head, dict(model.settings)) == (
        "pets@2",
        "pets@1",
        "ridge",
        {"lambda": 0.5},
    )
    assert pets.report_path(model).stat().st_size > 10_000
    assert (pets.report_path(model).parent / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert in_mlflow(pets) == ["pets@1", "pets@2"]
    assert "pets@1" in pets.card(model.ref)
    assert 0 <= model.metrics["accuracy_low"] <= model.metrics["accuracy"] <= model.metrics["accuracy_high"] <= 1


def test_done_combinations_are_not_done_again(pets: Project) -> None:
    (again,) = pets.train("pets")
    assert again.ref == "pets@1"
    assert len(pets.models()) == 1


@pytest.mark.parametrize("step", ["write_report", "write_portable", "set_mirrored"])
def test_stopped_after_registering(pets: Project, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def killed(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    (job,) = pets.submit(Grid(("pets",), ("ridge",), {"lambda": [0.5]}))
    with monkeypatch.context() as patch:
        patch.setattr(module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            pets.work()
    assert pets.jobs([job.id])[0].state is JobState.DONE
    assert waiting(pets) == ["pets@2"]
    threading.Event().wait(0.15)  # until the lease of the worker that died has run out
    assert pets.work() == 0  # the next worker has nothing to do but that
    assert waiting(pets) == []
    assert in_mlflow(pets) == ["pets@1", "pets@2"]
    assert pets.report_path(pets.model("pets@2")).exists()


def test_a_young_model_is_left_to_its_own_worker(pets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "_try_to_complete", lambda workspace, model: False)
        pets.train("pets", settings={"lambda": [0.5]})
    assert complete_all(pets.workspace, min_age=3600) == 0
    assert waiting(pets) == ["pets@2"]


def test_mlflow_out_of_reach_fails_no_job(
    pets: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*args: Any, **options: Any) -> str:
        raise StorageError("MLflow is down")

    with monkeypatch.context() as patch:
        patch.setattr(type(pets.workspace.tracking), "mirror", down)
        models = pets.train("pets", settings={"lambda": [0.5]})
        assert [model.ref for model in models] == ["pets@2"]
        assert "pets@2 is registered, but its report or its copy in MLflow is not complete" in caplog.text
        assert "MLflow is down" in caplog.text
        pets.promote("pets@2")
        assert complete_all(pets.workspace) == 0  # still down, and nothing raised
    assert complete_all(pets.workspace) == 1
    assert in_mlflow(pets) == ["pets@1", "pets@2"]
    from mlflow import MlflowClient

    url = pets.workspace.tracking._url
    champion = MlflowClient(url, url).get_model_version_by_alias("pets", "champion")
    assert champion.tags["pellucid.model"] == "pets@2"


def test_completed_by_many_at_once_stands_in_mlflow_once(pets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "_try_to_complete", lambda workspace, model: False)
        (model,) = pets.train("pets", settings={"lambda": [0.5]})
    calls: list[str] = []
    real = type(pets.workspace.tracking).mirror

    def counted(*args: Any, **options: Any) -> str:
        calls.append(args[1].ref)
        return real(*args, **options)

    monkeypatch.setattr(type(pets.workspace.tracking), "mirror", counted)
    threads = [threading.Thread(target=complete, args=(pets.workspace, model)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["pets@2"]
    with pets.workspace.database.read() as connection:
        assert mirror_version(connection, model) == "2"


def test_a_users_own_head_and_extractor(pets: Project, plugins: str) -> None:
    (model,) = pets.train(
        "pets", models=[f"{plugins}:NearestMean"], settings={"scale": [0.01]}, extractors=[f"{plugins}:Brightness"]
    )
    assert dict(model.settings) == {"scale": 0.01}
    assert model.metrics["accuracy"] == 1
    assert waiting(pets) == []
    sample = pets.inspect("pets").rows[0]
    image = pets.workspace.root / "image"
    image.write_bytes(pets.workspace.images.get(sample.sample))
    assert pets.predict(image, model=model.ref)[0].label == sample.label


def test_a_classifier_of_scikit_learn(pets: Project) -> None:
    (model,) = pets.train("pets", models=["sklearn:sklearn.naive_bayes.GaussianNB"], settings={"var_smoothing": [1e-3]})
    assert model.head == "sklearn:sklearn.naive_bayes.GaussianNB"
    assert waiting(pets) == []


_TRAIN = """
from pellucid import Project
from pellucid.flow.training.grid import Grid
def tell(what, done, total):
    print(what, flush=True)
with Project({folder!r}, progress=tell, settings={{"lease_seconds": 0.5}}) as project:
    project.train("pets", settings={{"lambda": [0.5]}})
"""


def test_kill_9_while_registering(pets: Project, kill_after: Callable[..., int]) -> None:
    assert kill_after(_TRAIN.format(folder=str(pets.workspace.root)), "registering and reporting", then=0.05) == -9
    (model,) = pets.train("pets", settings={"lambda": [0.5]})  # waits for the lease to end, if it must
    threading.Event().wait(0.15)
    pets.work()
    assert [item.ref for item in pets.models()] == ["pets@2", "pets@1"]
    assert model.ref == "pets@2"
    assert waiting(pets) == []
    assert in_mlflow(pets) == ["pets@1", "pets@2"]
