"""How often a voter is right, and what the votes on one sample say of it together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError

# A new voter counts for as much as four votes of which half were right: cautious, and soon overruled by the record.
PRIOR = (2.0, 2.0)
FLOOR = 0.02  # of the probability is spread evenly, so that no class, not even a new one, is out of the question
_ROUNDS, _CONVERGED = 200, 1e-9


def reliability(support: ArrayLike, n_classes: int, prior: tuple[float, float] = PRIOR) -> float:
    """The share of a voter's labels that are right, 0..1 (higher is better), by expectation-maximisation.

    With p_i the probability that all others gave the voter's i-th label, and r the share that is looked for, the
    label is right with probability q_i = r p_i / (r p_i + (1 - r) (1 - p_i) / (K - 1)), and r = (a + sum q) / (a + b +
    n) under the prior Beta(a, b). A. Dawid, A. Skene (1979), "Maximum likelihood estimation of observer error-rates
    using the EM algorithm", JRSS C 28, with one error rate a voter.

    Parameters
    ----------
    support : (n,) the p_i, 0..1; none for a new voter.
    n_classes : K, at least 2.
    prior : a and b, above 0.

    Raises DataError for probabilities outside 0..1 and fewer than two classes.

    >>> round(reliability([], 6), 2), round(reliability([0.9] * 40, 6), 2), round(reliability([0.01] * 40, 6), 2)
    (0.5, 0.95, 0.05)
    """
    p = np.asarray(support, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise DataError("support is to be one probability a vote, 0 to 1")
    if n_classes < 2:
        raise DataError(f"a voter chooses among {n_classes} class; wanted are at least 2")
    a, b = prior
    r = a / (a + b)
    for _ in range(_ROUNDS):
        right = r * p
        wrong = (1 - r) * (1 - p) / (n_classes - 1)
        q = right / np.maximum(right + wrong, np.finfo(np.float64).tiny)
        before, r = r, float((a + q.sum()) / (a + b + len(p)))
        if abs(r - before) < _CONVERGED:
            break
    return r


def weigh_votes(others: ArrayLike, labels: ArrayLike, rates: ArrayLike) -> NDArray[np.float64]:
    """P(true class) of one sample, (K,), from what the model says without it and from its votes.

    P(k) is in proportion to others[k] times, for each vote, its voter's r where the vote is for k and
    (1 - r) / (K - 1) where it is not.

    Parameters
    ----------
    others : (K,) probabilities of a model that has not learnt the sample.
    labels : (v,) the class number of each vote.
    rates : (v,) how often each voter is right, 0..1.

    >>> weigh_votes([0.5, 0.5], [1], [0.8]).round(2)
    array([0.2, 0.8])
    >>> weigh_votes([0.99, 0.01], [1], [0.5]).round(2)  # a coin says nothing
    array([0.98, 0.02])
    """
    p = np.asarray(others, dtype=np.float64)
    K = len(p)
    log_p = np.log((1 - FLOOR) * p / p.sum() + FLOOR / K)
    for label, rate in zip(np.asarray(labels, dtype=np.intp), np.asarray(rates, dtype=np.float64), strict=True):
        r = float(np.clip(rate, 1e-3, 1 - 1e-3))
        said = np.full(K, np.log((1 - r) / (K - 1)))
        said[label] = np.log(r)
        log_p += said
    share = np.exp(log_p - log_p.max())
    return np.asarray(share / share.sum())
