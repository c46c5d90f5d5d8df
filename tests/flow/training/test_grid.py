from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.config import Settings
from pellucid.errors import ConfigError, NotFoundError, UsageError
from pellucid.flow.training.grid import Grid, expand, grid_of, parse_settings, submit
from pellucid.types import Job, JobState

BAYES = "sklearn:sklearn.naive_bayes.GaussianNB"


@pytest.fixture
def pets(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> Project:
    project.ingest(class_folders(tmp_path / "pets", {"cat": 3, "dog": 3}), "pets")
    project.ingest(class_folders(tmp_path / "more", {"cat": 3, "dog": 3}, start=10), "pets")
    return project


def combinations(project: Project, grid: Grid) -> list[tuple[str, dict[str, Any]]]:
    return [(spec.model, spec.settings) for spec in expand(project.workspace, grid)]


def test_data_sets_x_models_x_settings_x_extractors(pets: Project, plugins: str) -> None:
    grid = Grid(
        datasets=("pets@1", "pets@2"),
        models=("ridge", "logistic"),
        settings={"lambda": [0.1, 1.0, 10.0]},
        extractors=("classical", f"{plugins}:Brightness"),
    )
    specs = expand(pets.workspace, grid)
    assert len(specs) == 2 * 2 * 3 * 2
    assert len({spec.key for spec in specs}) == len(specs)


def test_a_setting_counts_for_the_models_that_have_it(pets: Project) -> None:
    grid = Grid(("pets",), ("ridge", BAYES), {"lambda": [0.1, 1], "var_smoothing": [1e-9]})
    assert combinations(pets, grid) == [
        ("ridge", {"lambda": 0.1}),
        ("ridge", {"lambda": 1}),
        (BAYES, {"var_smoothing": 1e-9}),
    ]


def test_a_setting_for_one_model_goes_before_one_for_all(pets: Project) -> None:
    grid = Grid(("pets",), ("ridge", "logistic"), {"lambda": [0.1], "logistic.lambda": [1, 2]})
    assert combinations(pets, grid) == [
        ("ridge", {"lambda": 0.1}),
        ("logistic", {"lambda": 1}),
        ("logistic", {"lambda": 2}),
    ]
    dotted = Grid(("pets",), ("ridge", BAYES), {f"{BAYES}.var_smoothing": [0.5]})
    assert combinations(pets, dotted) == [("ridge", {}), (BAYES, {"var_smoothing": 0.5})]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lamda": [1]}, "no model of this grid has the setting 'lamda': ridge has lambda"),
        ({"ridge.lamda": [1]}, "no model of this grid has the setting 'ridge.lamda': ridge has lambda"),
        ({"logistic.lambda": [1]}, "no model of this grid has the setting"),
        ({"lambda": []}, "lambda has no value"),
        ({"lambda": [-1]}, "lambda"),
    ],
)
def test_what_fits_no_model_is_refused(pets: Project, settings: Mapping[str, list[Any]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        submit(pets.workspace, Grid(("pets",), ("ridge",), settings))
    assert pets.jobs() == []


def test_unknown_names_are_refused(pets: Project) -> None:
    with pytest.raises(UsageError, match="no dataset to train on"):
        expand(pets.workspace, Grid(()))
    with pytest.raises(UsageError, match="models has no value"):
        expand(pets.workspace, Grid(("pets",), ()))
    with pytest.raises(NotFoundError, match="no dataset 'pest'"):
        expand(pets.workspace, Grid(("pest",)))
    with pytest.raises(UsageError, match="no head 'rigde'"):
        expand(pets.workspace, Grid(("pets",), ("rigde",)))
    with pytest.raises(NotFoundError):
        expand(pets.workspace, Grid(("pets",), extractors=("onnx:nowhere.onnx",)))


def test_newer_versions_first_then_priority_then_age(pets: Project) -> None:
    submit(pets.workspace, Grid(("pets@1",), ("logistic",), priorities={"logistic": 99}))
    submit(pets.workspace, Grid(("pets@2",), ("ridge",)))
    submit(pets.workspace, Grid(("pets@1", "pets@2"), (BAYES,)))
    submit(pets.workspace, Grid(("pets@2",), ("logistic",), priorities={"logistic": 10}))
    assert [(job.dataset, job.model) for job in pets.jobs()] == [
        ("pets@2", "logistic"),
        ("pets@2", "ridge"),
        ("pets@2", BAYES),
        ("pets@1", "logistic"),
        ("pets@1", BAYES),
    ]


def test_equal_combinations_are_one_job(pets: Project) -> None:
    one = submit(pets.workspace, Grid(("pets", "pets@2"), ("ridge", "ridge"), {"lambda": [1, 1]}))
    two = submit(pets.workspace, Grid(("pets",), ("ridge",), {"lambda": [1.0]}))
    assert [job.id for job in one] == [job.id for job in two]
    other = submit(pets.workspace, Grid(("pets",), ("ridge",), {"lambda": [1]}, seed=1))
    assert other[0].id != one[0].id


def test_failed_jobs_are_tried_again_unless_told_not_to(pets: Project, plugins: str) -> None:
    grid = Grid(("pets",), (f"{plugins}:Raising",))

    def submitted(*, again: bool) -> Job:
        (job,) = submit(pets.workspace, grid, again=again)
        return job

    submitted(again=True)
    pets.work()
    assert submitted(again=False).state is JobState.FAILED
    assert submitted(again=True).state is JobState.QUEUED


def test_parse_settings() -> None:
    assert parse_settings(["lambda=0.1,1", "lambda=loo", "x=true,none, a b ,1e-3"]) == {
        "lambda": [0.1, 1, "loo"],
        "x": [True, None, "a b", 0.001],
    }
    for text in ("lambda", "=1", "lambda=", "lambda= "):
        with pytest.raises(UsageError, match="sets nothing"):
            parse_settings([text])


def test_the_train_table() -> None:
    assert grid_of(Settings()) is None
    table = {"datasets": ["pets"], "settings": {"lambda": 0.1}, "priorities": {"ridge": 3}}
    grid = grid_of(Settings(train=table, seed=7))
    assert grid == Grid(("pets",), ("kernel",), {"lambda": [0.1]}, (), {"ridge": 3}, 7)


@pytest.mark.parametrize(
    "table",
    [
        {"dataset": ["pets"]},
        {"datasets": "pets"},
        {"models": [1]},
        {"priorities": {"ridge": "high"}},
        {"seed": True},
        {"settings": ["lambda"]},
    ],
)
def test_a_wrong_train_table_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"\[train\]"):
        grid_of(Settings(train=table))
