"""How good a method was: accuracy on both days, and how well it found the wrong labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.protocol.problem import Key, Part, Problem
from pellucid.protocol.solve import Solution

METRICS = ("mean", "monday", "tuesday", "auroc", "average_precision")  # fields of Score; higher is better


@dataclass(frozen=True, slots=True)
class Score:
    """What one method reached on one problem; all in 0..1, higher is better."""

    monday: float  # accuracy on Monday's test images
    tuesday: float  # accuracy on Tuesday's test images
    mean: float  # of the two days
    auroc: float | None  # of finding Tuesday's wrong labels; None without a ranking, or without both kinds
    average_precision: float | None  # the same


def score(solution: Solution, problem: Problem, key: Key) -> Score:
    """Judge a solution by what its method has not seen."""
    monday, tuesday = (_accuracy(solution, part) for part in (key.monday, key.tuesday))
    auroc = precision = None
    wrong = key.wrong(problem)
    if solution.suspicion is not None and 0 < wrong.sum() < len(wrong):
        from sklearn.metrics import average_precision_score, roc_auc_score

        auroc = float(roc_auc_score(wrong, solution.suspicion))
        precision = float(average_precision_score(wrong, solution.suspicion))
    return Score(monday, tuesday, (monday + tuesday) / 2, auroc, precision)


def _accuracy(solution: Solution, part: Part) -> float:
    answers: NDArray[np.intp] = solution.predict_proba(part.X).argmax(axis=1)
    return float(np.mean(answers == part.y))
