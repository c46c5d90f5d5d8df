"""What a voter's record says of the voter's votes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PRIOR_VOTES = 10.0  # a voter's record counts as much as everybody's after this many votes
_ROUNDS, _CONVERGED = 100, 1e-9


def with_records(
    posterior: NDArray[np.float64], index: NDArray[np.intp], voter: NDArray[np.intp], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """P(true class) (n, K) once each vote has its voter's record for a prior, in place of everybody's.

    With pi the share of right labels, and pi_v voter v's, the odds that a label of v's is right are multiplied
    by odds(pi_v) / odds(pi). Both shares are the means of the trust that results (expectation-maximisation, as
    in Dawid and Skene 1979), a voter's with ten votes of everybody's added (empirical Bayes), so that nobody is
    judged by one vote.
    """
    rows = np.arange(len(index))
    base = posterior[rows, index]
    voters = int(voter.max()) + 1
    votes = np.bincount(voter, weight, voters)
    trust = base
    for _ in range(_ROUNDS):
        overall = _inside(weight @ trust / weight.sum())
        record = np.bincount(voter, weight * trust, voters)
        own = _inside((record + _PRIOR_VOTES * overall) / (votes + _PRIOR_VOTES))
        factor = (own / (1 - own) / (overall / (1 - overall)))[voter]
        # a trust of 1 stays one: nothing speaks against it
        moved = base * factor / (base * factor + 1 - base)
        done = np.abs(moved - trust).max() < _CONVERGED
        trust = moved
        if done:
            break
    result = posterior.copy()
    others = 1 - base
    result *= ((1 - trust) / np.where(others > 0, others, 1))[:, None]
    result[rows, index] = trust
    return result


def credence(
    wrong: NDArray[np.float64], contradicted: NDArray[np.float64], voter: NDArray[np.intp] | None
) -> NDArray[np.float64]:
    """How far doubts of each label are to be acted on, (n,), 0..1: (2 wrong / contradicted)^2 of its voter, at most 1.

    Held-out scores contradict labels that are wrong, and some that are right, because the learner errs. Where these are
    most of what they contradict, little is to be gained from the doubts and as much to be lost: of 600 photographs with
    right labels, acting on them cost up to a point of accuracy. A voter's share has ten contradicted labels of
    everybody's added, so that nobody is judged by one.

    Parameters
    ----------
    wrong : (n,) weight of each label times the probability that it is wrong.
    contradicted : (n,) weight of each label that the scores contradict, 0 for others.
    voter : (n,) who gave the label, from 0; all are one where None.

    >>> credence(np.array([0.1, 0.1, 0.9, 0.0]), np.array([1.0, 0.0, 1.0, 0.0]), None).round(2).tolist()
    [1.0, 1.0, 1.0, 1.0]
    >>> credence(np.array([0.1, 0.1, 0.2, 0.0]), np.array([1.0, 0.0, 1.0, 0.0]), None).round(2).tolist()
    [0.16, 0.16, 0.16, 0.16]
    """
    if contradicted.sum() <= 0:
        return np.ones(len(wrong))
    overall = wrong.sum() / contradicted.sum()
    who = np.zeros(len(wrong), np.intp) if voter is None else voter
    found, seen = np.bincount(who, wrong), np.bincount(who, contradicted)
    share = (found + _PRIOR_VOTES * overall) / (seen + _PRIOR_VOTES)
    return np.asarray(np.minimum(1.0, (2 * share) ** 2)[who])


def _inside(share: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.clip(share, 1e-6, 1 - 1e-6)
