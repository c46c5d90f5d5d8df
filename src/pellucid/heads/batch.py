"""Ridge on all rows at once: the choice of lambda, the weights, and what every row's others say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.heads import statistic
from pellucid.heads.inputs import HeadInputError, LearningSet
from pellucid.heads.running import Running


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A solution and its held-out scores."""

    spectrum: statistic.Spectrum
    l2: float  # of the lambdas that were tried, the one with the least error
    errors: NDArray[np.float64]  # (L,) mean squared held-out error at each lambda
    weights: NDArray[np.float64]  # W (d + 1, K)
    left_out: NDArray[np.float64]  # (n, K) scores without the row, or its group
    held_out: NDArray[np.float64]  # (n, K) the same for calibration: of a row that stands for copies one is left out
    counts: NDArray[np.intp]  # (K,) rows of positive weight


def learn_batch(data: LearningSet, lambdas: NDArray[np.float64], groups: NDArray[np.intp] | None) -> Batch:
    """Solve at every lambda and keep the best; by leave-one-out, or leave-group-out where groups (n,) are given.

    Raises HeadInputError where all rows that count are of one group.
    """
    X, y, weight, strength = data.X, data.y, data.weight, data.strength
    if groups is not None and len(np.unique(groups[weight > 0])) < 2:
        raise HeadInputError("all rows are of one group, and nobody is left to judge them; give none, or more")
    spectrum = statistic.decompose(X, y, weight, len(data.classes), strength)
    counts = np.bincount(y[weight > 0], minlength=len(data.classes))
    if groups is not None:
        errors = statistic.leave_group_out_errors(X, y, weight, groups, spectrum, lambdas, strength)
        l2 = float(lambdas[errors.argmin()])
        scores = statistic.leave_group_out_scores(X, y, weight, groups, spectrum, l2, strength)
        return Batch(spectrum, l2, errors, spectrum.weights(l2), scores, scores, counts)
    errors, leverages = statistic.leave_one_out_errors(X, y, weight, spectrum, lambdas, strength)
    chosen = int(errors.argmin())
    l2 = float(lambdas[chosen])
    W, leverage = spectrum.weights(l2), leverages[:, chosen]
    fitted = statistic.predict_scores(X, W)
    left_out = statistic.leave_one_out(fitted, y, leverage, strength)
    held_out = statistic.leave_one_out(fitted, y, _of_one_copy(leverage, weight), strength)
    return Batch(spectrum, l2, errors, W, left_out, held_out, counts)


def hold_out(
    running: Running,
    X: NDArray[np.floating],
    y: NDArray[np.intp],
    weight: NDArray[np.float64],
    strength: NDArray[np.float64],
    groups: NDArray[np.intp] | None,
) -> NDArray[np.float64]:
    """What all others, or all other groups, say of learnt rows, (n, K), for calibration.

    Raises NeverLearntError where rows cannot be among the learnt.
    """
    running.check_learnt(X, y, weight, strength)
    if groups is None:
        fitted = statistic.predict_scores(X, running.W)
        leverage = np.minimum(weight * running.leverage(X), 1 - np.finfo(np.float64).eps)
        return statistic.leave_one_out(fitted, y, _of_one_copy(leverage, weight), strength)
    spectrum = statistic.spectrum_of(running.A, running.B)
    return statistic.leave_group_out_scores(X, y, weight, groups, spectrum, running.l2, strength)


def _of_one_copy(leverage: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """A weight above 1 stands for copies: leaving one of them out makes whole weights and repeated rows the same."""
    return leverage / np.maximum(weight, 1)
