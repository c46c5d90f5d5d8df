"""What methods share: computed once, and held out honestly."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from pellucid.heads.head import build_head
from pellucid.protocol.desk import LAMBDAS, Desk, _folds, held_out, spread

from .conftest import MakeProblem


def test_everything_is_computed_once(make_problem: MakeProblem) -> None:
    desk = Desk(make_problem()[0])
    assert desk.held_out() is desk.held_out()
    assert desk.as_given("ridge", ()) is desk.as_given("ridge", ())
    assert desk.as_given("ridge", ()) is not desk.as_given("ridge", (("lambda", 0.1),))
    assert len(desk.features) == len(desk.y) == len(desk.groups) == 160
    assert desk.is_monday.sum() == 80


def test_held_out_probabilities_are_those_of_scikit_learn(make_problem: MakeProblem) -> None:
    problem, _ = make_problem(n=90)
    desk = Desk(problem)
    found = held_out(desk.features, desk.y, desk.groups, 3, l2=1.0).probabilities
    rows = desk.features / np.linalg.norm(desk.features, axis=1, keepdims=True)
    folds = _folds(desk.groups)
    assert sorted(set(folds.tolist())) == [0, 1, 2, 3, 4]
    for fold in range(5):
        test = folds == fold
        peer = LogisticRegression(C=1.0, tol=1e-8, max_iter=2000).fit(rows[~test], desk.y[~test])
        np.testing.assert_allclose(found[test], peer.predict_proba(rows[test]), atol=2e-3)


def test_the_penalty_is_the_likeliest(make_problem: MakeProblem) -> None:
    problem, _ = make_problem(rate=0.4)
    desk = Desk(problem)
    values = {}
    for l2 in LAMBDAS:
        p = held_out(desk.features, desk.y, desk.groups, 3, l2).probabilities
        values[l2] = np.log(p[np.arange(len(p)), desk.y]).sum()
    assert desk.held_out().l2 == max(values, key=lambda l2: values[l2])


def test_copies_never_vouch_for_each_other() -> None:
    """Each group is one point in space with a label of its own: whoever learns a copy knows the label."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 4)
    X = np.repeat(rng.normal(size=(30, 40)), 4, axis=0)
    y = np.repeat(rng.integers(0, 2, 30), 4)
    found = held_out(X.astype(np.float32), y, groups, 2, 0.1).probabilities
    blind = held_out(X.astype(np.float32), y, np.arange(120), 2, 0.1).probabilities
    assert (blind.argmax(axis=1) == y).all()
    assert (found.argmax(axis=1) == y).mean() < 0.8


def test_a_class_that_a_head_does_not_know_has_no_probability() -> None:
    head = build_head("ridge", {}, seed=0).fit([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]], [0, 2, 0, 2])
    p = spread(head, np.eye(2, dtype=np.float32), 4)
    assert p.argmax(axis=1).tolist() == [0, 2]
    assert (p[:, [1, 3]] == 0).all()


def test_one_class_to_learn_from_is_certain() -> None:
    found = held_out(np.eye(5, dtype=np.float32), np.zeros(5, np.intp), np.arange(5), 2, 1.0)
    assert (found.probabilities == [1.0, 0.0]).all()
