"""Methods on a small problem: each learns what it may, and nobody else sees the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pellucid.errors import DataError, UsageError
from pellucid.heads.head import Head
from pellucid.heads.kernel import KernelClassifier
from pellucid.heads.ridge import RidgeClassifier
from pellucid.protocol.desk import Desk
from pellucid.protocol.doubts import DOUBTS, margin
from pellucid.protocol.method import Method
from pellucid.protocol.methods import METHODS, find_method, missing_library
from pellucid.protocol.problem import Part
from pellucid.protocol.score import score
from pellucid.protocol.solve import Solver

from .conftest import MakeProblem

NAMES = [*METHODS, "noisy@none", "pellucid@none", "pellucid@random"]


def test_every_library_is_installed_here() -> None:
    assert [name for name, method in METHODS.items() if missing_library(method)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_method_answers_and_is_the_same_again(make_problem: MakeProblem, name: str) -> None:
    problem, key = make_problem()
    method = find_method(name)
    first, again = (Solver(problem, key.truth).solve(method) for _ in range(2))
    p = first.predict_proba(key.tuesday.X)
    assert p.shape == (20, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(p, again.predict_proba(key.tuesday.X))
    found = score(first, problem, key)
    assert found.mean > 0.6
    assert found.mean == pytest.approx((found.monday + found.tuesday) / 2)
    if first.suspicion is not None:
        assert first.suspicion.shape == problem.tuesday.y.shape
        assert found.auroc is not None
        if method.doubt != "uncertainty":  # that one asks how odd a picture is, whatever its label
            assert found.auroc > 0.8


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.sees_truth])
def test_who_does_not_see_the_truth_does_not_depend_on_it(make_problem: MakeProblem, name: str) -> None:
    problem, key = make_problem(n=120)
    honest = Solver(problem, key.truth).solve(METHODS[name]).predict_proba(key.monday.X)
    misled = Solver(problem, np.roll(key.truth, 1)).solve(METHODS[name]).predict_proba(key.monday.X)
    np.testing.assert_array_equal(honest, misled)


@pytest.mark.parametrize(("wide", "plain"), [("pellucid", "pellucid-plain"), ("cleanlab-wide", "cleanlab")])
def test_who_sees_more_doubts_better(make_problem: MakeProblem, wide: str, plain: str) -> None:
    """Where the features that are learnt tell next to nothing, and what may be seen beside them does."""
    problem, key = make_problem()
    rng = np.random.default_rng(0)

    def blind(part: Part) -> Part:
        return replace(part, X=rng.normal(size=(len(part.y), 8)).astype(np.float32), wide=part.X)

    problem = replace(problem, monday=blind(problem.monday), tuesday=blind(problem.tuesday))
    solver, wrong = Solver(problem, key.truth), key.wrong(problem)
    assert (METHODS[wide].sees_wide, METHODS[plain].sees_wide) == (True, False)
    for name, low, high in ((wide, 0.85, 1.0), (plain, 0.3, 0.7)):
        suspicion = solver.solve(METHODS[name]).suspicion
        assert suspicion is not None
        assert low < roc_auc_score(wrong, suspicion) <= high


def test_the_plain_rows_are_their_head_on_the_right_rows(make_problem: MakeProblem) -> None:
    problem, key = make_problem()
    X = np.concatenate([problem.monday.X, problem.tuesday.X])
    right = np.flatnonzero(~key.wrong(problem)) + len(problem.monday.y)
    right = np.concatenate([np.arange(len(problem.monday.y)), right])
    given = np.concatenate([problem.monday.y, problem.tuesday.y])
    true = np.concatenate([problem.monday.y, key.truth])
    expected: dict[str, Head] = {
        "monday-only": KernelClassifier().fit(problem.monday.X, problem.monday.y),
        "noisy": KernelClassifier().fit(X, given),
        "noisy-ridge": RidgeClassifier().fit(X, given),
        "truth": KernelClassifier().fit(X, true),
        "truth-ridge": RidgeClassifier().fit(X, true),
        "oracle-filter": KernelClassifier().fit(X[right], true[right]),
    }
    solver = Solver(problem, key.truth)
    for name, head in expected.items():
        found = solver.solve(METHODS[name]).predict_proba(key.monday.X)
        np.testing.assert_allclose(found, head.predict_proba(key.monday.X), atol=1e-6, err_msg=name)


def test_without_noise_no_method_has_anything_to_find(make_problem: MakeProblem) -> None:
    problem, key = make_problem(rate=0.0)
    found = score(Solver(problem, key.truth).solve(METHODS["noisy"]), problem, key)
    assert (found.auroc, found.average_precision) == (None, None)


def test_monday_only_ranks_by_what_monday_says(make_problem: MakeProblem) -> None:
    problem, key = make_problem()
    suspicion = Solver(problem, key.truth).solve(METHODS["monday-only"]).suspicion
    assert suspicion is not None
    wrong = key.wrong(problem)
    assert suspicion[wrong].mean() > suspicion[~wrong].mean()


def test_the_oracle_without_the_truth_is_refused(make_problem: MakeProblem) -> None:
    with pytest.raises(DataError, match="needs the truth"):
        DOUBTS["oracle"](Desk(make_problem()[0]), METHODS["oracle-filter"], None)


def test_an_unknown_doubt_is_refused(make_problem: MakeProblem) -> None:
    problem, key = make_problem()
    with pytest.raises(UsageError, match="no doubt 'worry'"):
        Solver(problem, key.truth).solve(replace(METHODS["noisy"], doubt="worry"))


def test_a_margin_by_hand() -> None:
    scores = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    assert margin(scores, np.array([0, 1])).tolist() == pytest.approx([0.2, -0.7])


def test_a_head_of_ones_own(make_problem: MakeProblem) -> None:
    problem, key = make_problem()
    own = Method("nb", "", head="sklearn:sklearn.naive_bayes.GaussianNB")
    assert score(Solver(problem, key.truth).solve(own), problem, key).mean > 0.6
