"""What learners see, and what they do not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pellucid.errors import UsageError
from pellucid.protocol.days import draw_days
from pellucid.protocol.problem import Problem, set_problem

from .conftest import MakeProblem


@pytest.mark.parametrize("noise", ["symmetric", "pair", "instance"])
def test_only_tuesdays_labels_are_wrong_and_about_as_many_as_asked(make_problem: MakeProblem, noise: str) -> None:
    problem, key = make_problem(noise, rate=0.4, n=1000)
    assert key.wrong(problem).mean() == pytest.approx(0.4, abs=0.07)
    assert problem.n_classes == 3
    if noise == "pair":
        wrong = key.wrong(problem)
        assert ((key.truth[wrong] + 1) % 3 == problem.tuesday.y[wrong]).all()


def test_rows_stand_where_the_days_put_them() -> None:
    X = np.arange(40, dtype=np.float32)[:, None]
    y, groups = np.arange(40) % 2, np.arange(40)[::-1]
    days = draw_days(y, groups, 5)
    problem, key = set_problem(X, X[days.tuesday] + 100, y, groups, days, noise="symmetric", rate=0, seed=5)
    assert problem.monday.X.ravel().tolist() == days.monday_train.tolist()
    assert key.monday.X.ravel().tolist() == days.monday_test.tolist()
    assert (problem.tuesday.X.ravel() - 100).tolist() == days.tuesday_train.tolist()
    assert (key.tuesday.X.ravel() - 100).tolist() == days.tuesday_test.tolist()
    assert (problem.tuesday.y == key.truth).all()
    assert (key.truth == y[days.tuesday_train]).all()
    assert (problem.tuesday.groups == groups[days.tuesday_train]).all()


def test_what_audits_may_see_beside_stands_there_too() -> None:
    X = np.arange(40, dtype=np.float32)[:, None]
    y, groups = np.arange(40) % 2, np.arange(40)
    days = draw_days(y, groups, 5)
    seen = np.hstack([X, X])
    problem, key = set_problem(
        X, X[days.tuesday] + 100, y, groups, days,
        noise="symmetric", rate=0, seed=5, wide=(seen + 1000, seen[days.tuesday] + 2000),
    )  # fmt: skip
    assert key.monday.wide is key.tuesday.wide is None
    for part, less in ((problem.monday, 1000), (problem.tuesday, 1900)):
        assert part.wide is not None
        np.testing.assert_array_equal(part.wide - less, np.hstack([part.X, part.X]))
    some = problem.tuesday.take(np.array([3, 1]))
    assert some.wide is not None
    np.testing.assert_array_equal(some.wide - 1900, np.hstack([some.X, some.X]))


def test_the_noise_is_drawn_once_by_the_seed(make_problem: MakeProblem) -> None:
    (first, _), (again, _), (other, _) = (make_problem(seed=seed) for seed in (1, 1, 2))
    assert (first.tuesday.y == again.tuesday.y).all()
    assert (first.tuesday.y != other.tuesday.y).any()


def test_a_problem_does_not_hold_the_truth(make_problem: MakeProblem) -> None:
    assert {field.name for field in dataclasses.fields(Problem)} == {"monday", "tuesday", "n_classes", "seed"}


def test_instance_noise_needs_probabilities() -> None:
    y = np.arange(40) % 2
    days = draw_days(y, np.arange(40), 0)
    X = np.zeros((40, 2))
    with pytest.raises(UsageError, match="pred_probs"):
        set_problem(X, X[days.tuesday], y, np.arange(40), days, noise="instance", rate=0.3, seed=0)
