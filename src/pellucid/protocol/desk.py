"""One problem, and what several methods work out of it in common: each such thing is computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pellucid.heads.head import Head, build_head
from pellucid.protocol.problem import Problem

T = TypeVar("T")

FOLDS = 5  # of the held-out logistic regression; cleanlab's recommendation
LAMBDAS = (0.1, 0.3, 1.0, 3.0)  # of the logistic regression, tuned on the given labels; higher suits more wrong ones


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What a cross-validated logistic regression says of all rows, Monday's first."""

    probabilities: NDArray[np.float64]  # (n, K), rows sum to 1
    l2: float  # the penalty, of LAMBDAS, whose held-out log likelihood of the given labels is highest


class Desk:
    """Keeps what was computed for one problem with one memory of Monday.

    >>> from pellucid.protocol.problem import Part
    >>> part = Part(np.zeros((2, 1), np.float32), np.array([0, 1]), np.array([0, 1]))
    >>> desk = Desk(Problem(part, part, n_classes=2, seed=0))
    >>> desk.once("answer", lambda: 42), desk.once("answer", lambda: 43)
    (42, 42)
    """

    def __init__(self, problem: Problem, whole: Problem | None = None) -> None:
        self.problem = problem
        self.whole = whole or problem  # with all of Monday, as the model that was served on Tuesday has seen it
        self._kept: dict[Any, Any] = {}

    def once(self, name: Any, make: Callable[[], T]) -> T:
        """What ``make`` returns, computed the first time only; the name is any hashable value."""
        if name not in self._kept:
            self._kept[name] = make()
        return cast(T, self._kept[name])

    @property
    def features(self) -> NDArray[np.float32]:
        """Features of all rows to learn from, Monday's first, (n, d)."""
        monday, tuesday = self.problem.monday, self.problem.tuesday
        return self.once("features", lambda: np.concatenate([monday.X, tuesday.X]))

    @property
    def wide(self) -> NDArray[np.float32] | None:
        """What an audit may see of the same rows beside, (n, d)."""
        monday, tuesday = self.problem.monday.wide, self.problem.tuesday.wide
        if monday is None or tuesday is None:
            return None
        return self.once("wide", lambda: np.concatenate([monday, tuesday]))

    @property
    def y(self) -> NDArray[np.intp]:
        """Labels of the same rows as given, (n,)."""
        return np.concatenate([self.problem.monday.y, self.problem.tuesday.y])

    @property
    def groups(self) -> NDArray[np.intp]:
        """Groups of the same rows, (n,)."""
        return np.concatenate([self.problem.monday.groups, self.problem.tuesday.groups])

    @property
    def is_monday(self) -> NDArray[np.bool_]:
        """True for Monday's rows, whose labels are known to be right, (n,)."""
        return np.arange(len(self.y)) < len(self.problem.monday.y)

    def held_out(self, *, wide: bool = False) -> HeldOut:
        """The cross-validated logistic regression on the given labels; groups stay whole.

        With ``wide`` it sees what an audit may see, where there is anything beside the features.
        """
        X = self.wide if wide else None
        if X is None:
            wide, X = False, self.features
        return self.once(("held out", wide), lambda: held_out(X, self.y, self.groups, self.problem.n_classes))

    def as_given(self, head: str, settings: tuple[tuple[str, Any], ...]) -> Head:
        """The head fitted on all rows and the labels as given."""

        def fit() -> Head:
            return self.build(head, settings).fit(self.features, self.y)

        return self.once((head, settings), fit)

    def build(self, head: str, settings: tuple[tuple[str, Any], ...]) -> Head:
        """A head to fit; where the lambda is "tuned", it is that of `held_out`."""
        chosen = {name: self.held_out().l2 if value == "tuned" else value for name, value in settings}
        return build_head(head, chosen, seed=self.problem.seed)


def held_out(
    X: NDArray[np.float32], y: NDArray[np.intp], groups: NDArray[np.intp], n_classes: int, l2: float | None = None
) -> HeldOut:
    """Probabilities (n, K) of a logistic regression for rows whose group it has not learnt.

    The penalty is ``l2``, or that of LAMBDAS with the highest held-out log likelihood of ``y``. Where a fold lacks
    a class, its probability is zero; with one class in a fold's training rows, it is certain.
    """
    folds = _folds(groups)
    best: HeldOut | None = None
    best_value = -np.inf
    for value in LAMBDAS if l2 is None else (l2,):
        p = np.zeros((len(y), n_classes))
        for fold in np.unique(folds):
            test = folds == fold
            p[test] = _fitted(X[~test], y[~test], X[test], value, n_classes)
        likelihood = float(np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).sum())
        if best is None or likelihood > best_value:
            best, best_value = HeldOut(p, value), likelihood
    assert best is not None  # noqa: S101 - LAMBDAS is not empty
    return best


def spread(head: Head, X: NDArray[np.float32], n_classes: int) -> NDArray[np.float64]:
    """A head's probabilities (n, K) with a column for every class, zero where it knows none."""
    p = np.zeros((len(X), n_classes))
    p[:, np.asarray(head.classes_, dtype=np.intp)] = head.predict_proba(X)
    return p


def _fitted(
    X: NDArray[np.float32], y: NDArray[np.intp], queries: NDArray[np.float32], l2: float, n_classes: int
) -> NDArray[np.float64]:
    if len(np.unique(y)) < 2:
        return np.tile(np.eye(n_classes)[y[0]], (len(queries), 1))
    return spread(build_head("logistic", {"lambda": l2}, seed=0).fit(X, y), queries, n_classes)


def _folds(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """The fold of each row: groups, in an order without meaning, dealt out one after the other."""
    names, codes = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(names))
    return np.asarray(order[codes] % FOLDS, dtype=np.intp)
