"""What a form offers, what it comes to, and what it does not take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import UsageError
from pellucid.flow.training.grid import Grid, submit
from pellucid.flow.training.offer import MOST_JOBS, Offer, forecast, form_grid, offer
from pellucid.heads.network import NetworkClassifier
from pellucid.types import JobState


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path) -> Project:
    return make_project(of=trained_folder)


@pytest.fixture
def offered(pets: Project) -> Offer:
    return offer(pets.workspace)


def test_what_is_offered(offered: Offer) -> None:
    assert [version.ref for version in offered.versions] == ["pets@1"]
    assert offered.models["ridge"] == {"lambda": "loo"}
    assert next(iter(offered.models)) == "kernel"
    assert "sklearn" not in offered.models
    assert offered.extractors == ("classical",)
    assert (offered.chosen.datasets, offered.chosen.models) == (("pets@1",), ("kernel",))


def test_the_grid_of_the_settings_comes_first(make_project: Callable[..., Project], trained_folder: Path) -> None:
    pets = make_project(of=trained_folder, train={"datasets": ["pets"], "models": ["slda"]})
    found = offer(pets.workspace)
    assert (found.chosen.datasets, found.chosen.models) == (("pets",), ("slda",))


def test_what_was_used_once_is_offered_again(pets: Project) -> None:
    pets.submit(Grid(("pets",), ("sklearn:sklearn.naive_bayes.GaussianNB",)))
    assert "var_smoothing" in offer(pets.workspace).models["sklearn:sklearn.naive_bayes.GaussianNB"]


def test_a_project_without_data_offers_none(project: Project) -> None:
    found = offer(project.workspace)
    assert (found.versions, found.chosen.datasets) == ((), ())


def test_a_form_becomes_a_grid(offered: Offer) -> None:
    settings = {("ridge", "lambda"): " 0.1, 1 ,loo", ("kernel", "landmarks"): "", ("slda", "shrinkage"): "9"}
    grid = form_grid(offered, ["pets@1"], ["ridge", "kernel"], settings, ["classical"], priority=3, seed=7)
    assert grid.settings == {"ridge.lambda": [0.1, 1, "loo"]}
    assert grid.priorities == {"ridge": 3, "kernel": 3}
    assert grid.seed == 7


def test_nothing_that_was_not_offered_is_taken(offered: Offer) -> None:
    for datasets, models, extractors in (
        (["pets@9"], ["ridge"], ["classical"]),
        (["pets@1"], ["os:system"], ["classical"]),
        (["pets@1"], ["ridge"], ["onnx:/etc/passwd"]),
    ):
        with pytest.raises(UsageError, match="is not offered here"):
            form_grid(offered, datasets, models, {}, extractors)
    with pytest.raises(UsageError, match="no model is chosen"):
        form_grid(offered, ["pets@1"], [], {}, ["classical"])
    with pytest.raises(UsageError, match="the seed is -1"):
        form_grid(offered, ["pets@1"], ["ridge"], {}, ["classical"], seed=-1)


@pytest.mark.usefixtures("no_reports")
def test_the_forecast_is_what_happens(pets: Project, offered: Offer) -> None:
    settings = {("ridge", "lambda"): "0.1,1"}
    grid = form_grid(offered, ["pets@1"], ["kernel", "ridge", "slda"], settings, ["classical"])
    found = forecast(pets.workspace, grid)
    assert (found.jobs, found.new, found.again, found.open, found.done, found.starts) == (4, 3, 0, 0, 1, 3)
    jobs = submit(pets.workspace, grid)
    waiting = [job.id for job in jobs if job.state is JobState.QUEUED]
    assert len(waiting) == found.starts
    pets.cancel(waiting[0])
    found = forecast(pets.workspace, grid)
    assert (found.new, found.again, found.open, found.done) == (0, 1, 2, 1)


def test_a_slip_of_the_hand_is_no_grid(pets: Project, offered: Offer) -> None:
    many = ",".join(map(str, range(1, MOST_JOBS + 2)))
    grid = form_grid(offered, ["pets@1"], ["ridge"], {("ridge", "lambda"): many}, ["classical"])
    with pytest.raises(UsageError, match="too many"):
        forecast(pets.workspace, grid)
    bad = form_grid(offered, ["pets@1"], ["ridge"], {("ridge", "lambda"): "minus one"}, ["classical"])
    with pytest.raises(UsageError, match="lambda"):
        forecast(pets.workspace, bad)


def test_what_lacks_its_extra_is_told_and_not_taken(pets: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NetworkClassifier, "needs", "no_such_package")
    found = offer(pets.workspace)
    assert found.lacking == {"network": "needs the extra 'no_such_package': pip install 'pellucid[no_such_package]'"}
    with pytest.raises(UsageError, match="network needs the extra"):
        form_grid(found, ["pets@1"], ["network"], {}, ["classical"])
