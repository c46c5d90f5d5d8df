"""Solve: a method learns a problem, and answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.heads.head import learn_trusting
from pellucid.protocol.desk import Desk, spread
from pellucid.protocol.doubts import DOUBTS, margin
from pellucid.protocol.memories import remember
from pellucid.protocol.method import Method
from pellucid.protocol.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What a method has learnt."""

    predict_proba: Callable[[NDArray[np.float32]], NDArray[np.float64]]  # features (m, d) to probabilities (m, K)
    suspicion: NDArray[np.float64] | None  # (n,) of Tuesday's rows to learn from; higher is more probably wrong


class Solver:
    """Solves one problem by several methods, which share what they have in common.

    The truth, Tuesday's true labels (n,), is handed to no method but those that say that they see it.
    """

    def __init__(self, problem: Problem, truth: NDArray[np.intp]) -> None:
        self._problem = problem
        self._truth = truth
        self._desks: dict[tuple[str, float], Desk] = {}

    def solve(self, method: Method) -> Solution:
        """What the method learns; the same problem and method give the same answers.

        Raises:
            UsageError: a part of the method does not exist.
            MissingExtraError: it needs a library that is not installed.
        """
        desk = self._desk(method)
        truth = self._truth if method.sees_truth else None
        K = self._problem.n_classes
        if method.labels == "none":
            monday, tuesday = desk.problem.monday, desk.problem.tuesday
            head = desk.build(method.head, method.settings).fit(monday.X, monday.y)
            return Solution(lambda X: spread(head, X, K), -margin(spread(head, tuesday.X, K), tuesday.y))
        if method.doubt not in DOUBTS:
            raise UsageError(f"there is no doubt {method.doubt!r}; there are {', '.join(DOUBTS)}")
        if method.labels == "given" and method.doubt == "none":
            doubt = DOUBTS["none"](desk, method, None)
            head = desk.as_given(method.head, method.settings)
            return Solution(lambda X: spread(head, X, K), doubt.suspicion)
        doubt = DOUBTS[method.doubt](desk, method, truth)
        labels = truth if method.labels == "truth" and truth is not None else doubt.labels
        y = np.concatenate([desk.problem.monday.y, labels])
        trust = np.concatenate([np.ones(len(desk.problem.monday.y)), doubt.trust])
        head = learn_trusting(desk.build(method.head, method.settings), desk.features, y, trust)
        return Solution(lambda X: spread(head, X, K), doubt.suspicion)

    def _desk(self, method: Method) -> Desk:
        place = (method.memory, method.ratio)
        if place not in self._desks:
            self._desks[place] = Desk(remember(self._problem, *place), self._problem)
        return self._desks[place]
