"""How accurate answers are, by the votes of people who err themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from pellucid.errors import DataError
from pellucid.evaluate.evaluation import Estimate

_GRID = 2001  # accuracies that are weighed against each other: steps of a twentieth of a point
_SURE = 1e-3  # nobody is taken to be right, or wrong, more surely than this


def voted_accuracy(answers: ArrayLike, row: ArrayLike, labels: ArrayLike, rates: ArrayLike, n_classes: int) -> Estimate:
    """The share of answers that are right, 0..1 (higher is better), with the interval that holds it 19 times in 20.

    The model is one more voter, of an unknown rate a, as in A. Dawid, A. Skene (1979), "Maximum likelihood estimation
    of observer error-rates using the EM algorithm", JRSS C 28. With r the rate of whoever voted, a vote for class k has
    the likelihood r where k is true and (1 - r) / (K - 1) where another class is; an answer's true class is the
    answered one with probability a and each other one with (1 - a) / (K - 1). The posterior of a under a flat prior is
    computed on a grid, so that a voter who tosses a coin moves nothing and one who always lies tells as much as one who
    never does. The value is the posterior's mean: (right + 1) / (n + 2) where the voters never err.

    Args:
        answers: (n,) the class number that was answered.
        row: (v,) the answer that each vote is on.
        labels: (v,) the class number that was said.
        rates: (v,) how often each vote's voter is right, 0..1.
        n_classes: K, at least 2.

    Raises:
        DataError: fewer than two classes, or arrays that do not fit.

    >>> nine_of_ten = voted_accuracy([0] * 10, range(10), [0] * 9 + [1], [1.0] * 10, 2)
    >>> round(nine_of_ten.value, 2), round(nine_of_ten.low, 2), round(nine_of_ten.high, 2)
    (0.83, 0.59, 0.98)
    >>> coins = voted_accuracy([0] * 10, range(10), [0] * 9 + [1], [0.5] * 10, 2)
    >>> round(coins.value, 2), round(coins.low, 3), round(coins.high, 3)
    (0.5, 0.025, 0.975)
    """
    answered, rows = np.asarray(answers, np.intp), np.asarray(row, np.intp)
    said, r = np.asarray(labels, np.intp), np.clip(np.asarray(rates, np.float64), _SURE, 1 - _SURE)
    if n_classes < 2:
        raise DataError(f"answers among {n_classes} class were offered; wanted are at least 2")
    if not rows.shape == said.shape == r.shape or (len(rows) and rows.max(initial=-1) >= len(answered)):
        raise DataError("wanted are one row, label and rate a vote, and rows of the answers that there are")
    wrong = np.log((1 - r) / (n_classes - 1))
    together = np.bincount(rows, wrong, minlength=len(answered)).astype(np.float64)
    likely = np.tile(together[:, None], (1, n_classes))
    np.add.at(likely, (rows, said), np.log(r) - wrong)  # (n, K) log P(votes | true class)
    if_right = likely[np.arange(len(answered)), answered]
    others = likely.copy()
    others[np.arange(len(answered)), answered] = -np.inf
    if_wrong = logsumexp(others, axis=1) - np.log(n_classes - 1) if len(answered) else np.empty(0)
    a = (np.arange(_GRID) + 0.5) / _GRID
    log_p = np.logaddexp(np.log(a)[:, None] + if_right, np.log1p(-a)[:, None] + if_wrong).sum(axis=1)
    p = np.exp(log_p - logsumexp(log_p))
    low, high = np.interp([0.025, 0.975], np.cumsum(p), a)
    return Estimate(float(p @ a), float(low), float(high))
