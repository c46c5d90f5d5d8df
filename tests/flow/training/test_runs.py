"""Runs beside each other, and what a model gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pellucid import Project
from pellucid.errors import NotFoundError
from pellucid.flow.training import evaluate
from pellucid.flow.training.runs import Difference, compare_runs, mistakes_of, read_run, worst_mistakes


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path, no_reports: None) -> Project:
    project = make_project(of=trained_folder)
    project.train("pets", models="logistic", settings={"epochs": 3}, seed=5)
    return project


def test_a_run_is_read_as_it_was_judged(pets: Project) -> None:
    run = read_run(pets.workspace, "pets@2")
    assert run.evaluation.metrics["accuracy"].value == run.model.metrics["accuracy"]
    assert [point.epoch for point in run.epochs] == [1, 2, 3]
    assert run.sizes[-1].n == run.n_train == 18
    assert read_run(pets.workspace, "pets@1").epochs == ()


def test_two_runs_are_tested_on_the_same_images(pets: Project) -> None:
    pair = compare_runs(pets.workspace, "pets@1", "pets@2")
    plain = pets.compare("pets@1", "pets@2")
    assert replace(pair.comparison, verdict=plain.verdict) == plain
    assert "model pets@1" in pair.comparison.verdict  # versions of the data have such names too
    assert pair.differences == (
        Difference("head", "kernel", "logistic"),
        Difference("setting lambda", "loo", "0.03"),
        Difference("setting landmarks", "2000", "–"),
        Difference("setting epochs", "–", "3"),
    )
    assert compare_runs(pets.workspace, "pets@2", "pets@2").differences == ()
    with pytest.raises(NotFoundError):
        compare_runs(pets.workspace, "pets@1", "pets@9")


def test_mistakes_come_most_confident_first_with_what_lies_near(pets: Project) -> None:
    judged = evaluate.judge(pets.workspace, pets.model("pets@1"))
    n = len(judged.material.test.y)
    wrong = np.linspace(0.6, 0.9, n)  # all are wrong, the last one most surely
    shares = np.stack(
        [
            np.where(judged.material.test.y == 0, 1 - wrong, wrong),
            np.where(judged.material.test.y == 0, wrong, 1 - wrong),
        ],
        1,
    )
    fooled = evaluate.Judgement(judged.model, judged.material, judged.predictor, shares)
    found = mistakes_of(pets.workspace, fooled, 4)
    assert [item.sample for item in found] == judged.material.test.ids[::-1][:4]
    assert [round(item.confidence, 6) for item in found] == [round(float(value), 6) for value in wrong[::-1][:4]]
    trained = {row.sample: row.label for row in judged.material.train.rows}
    for item in found:
        assert {item.given, item.predicted} == {"cat", "dog"}
        assert item.path.startswith(item.given)
        assert [trained[near.sample] for near in item.nearest] == [near.label for near in item.nearest]
        alike = [near.similarity for near in item.nearest]
        assert alike == sorted(alike, reverse=True)
        assert item.nearest[0].label == item.given  # pictures of one colour lie together


def test_who_makes_no_mistake_has_none_to_show(pets: Project) -> None:
    assert pets.model("pets@1").metrics["accuracy"] == 1.0
    assert worst_mistakes(pets.workspace, "pets@1") == ()
