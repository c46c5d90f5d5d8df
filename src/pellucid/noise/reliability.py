"""How often a voter is right, and what the votes on one sample say of it together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from scipy.stats import beta

from pellucid.errors import DataError

# A new voter counts for as much as four votes of which half were right: cautious, and soon overruled by the record.
PRIOR = (2.0, 2.0)
FLOOR = 0.02  # of the probability is spread evenly, so that no class, not even a new one, is out of the question
_ROUNDS, _CONVERGED = 200, 1e-9
_SETTLED = 1e-6  # change of a rate, 0..1, below which voters are judged


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
    said = np.asarray(labels, dtype=np.intp)
    posterior, _ = weigh_many(np.asarray(others, np.float64)[None], np.zeros(len(said), np.intp), said, rates)
    return np.asarray(posterior[0])


def weigh_many(
    others: ArrayLike, sample: ArrayLike, labels: ArrayLike, rates: ArrayLike, *, n_classes: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`weigh_votes` of many samples at once, and what each vote's label has without that vote.

    Parameters
    ----------
    others : (n, K) probabilities of a model that has not learnt the sample.
    sample : (v,) the row of ``others`` that each vote is on.
    labels : (v,) the class number of each vote.
    rates : (v,) how often each vote's voter is right, 0..1.
    n_classes : over how many classes a wrong vote is spread, K where None. Whoever can add classes could else make
        every vote weigh more: what is hardly ever said by mistake must be right.

    Returns P(true class) (n, K), and the support (v,): P(the vote's label is right) by model and other votes.

    >>> posterior, support = weigh_many([[0.5, 0.5]], [0, 0], [1, 1], [0.8, 0.9])
    >>> posterior.round(2).tolist(), support.round(2).tolist()
    ([[0.03, 0.97]], [0.9, 0.8])
    """
    p, rows, said = np.asarray(others, np.float64), np.asarray(sample, np.intp), np.asarray(labels, np.intp)
    K = p.shape[1]
    log_p = np.log((1 - FLOOR) * p / p.sum(axis=1, keepdims=True) + FLOOR / K)
    r = np.clip(np.asarray(rates, np.float64), 1e-3, 1 - 1e-3)
    wrong = np.log((1 - r) / max(1, (n_classes or K) - 1))  # what a vote gives every other class
    gain = np.log(r) - wrong  # what its own class gets above that
    total = log_p + np.bincount(rows, wrong, minlength=len(p))[:, None]
    np.add.at(total, (rows, said), gain)
    without = total[rows] - wrong[:, None]
    without[np.arange(len(rows)), said] -= gain
    support = np.exp(without[np.arange(len(rows)), said] - logsumexp(without, axis=1)) if len(rows) else np.empty(0)
    return np.exp(total - logsumexp(total, axis=1, keepdims=True)), np.asarray(support)


@dataclass(frozen=True, slots=True, eq=False)
class Jury:
    """What votes and voters say of each other."""

    posterior: NDArray[np.float64]  # (n, K) P(true class) of each sample
    support: NDArray[np.float64]  # (v,) P(the vote's label is right) by model and other votes
    rates: NDArray[np.float64]  # (voters,) how often each is right, 0..1


def hear_all(
    others: ArrayLike,
    sample: ArrayLike,
    labels: ArrayLike,
    voter: ArrayLike,
    priors: ArrayLike,
    *,
    counts: ArrayLike | None = None,
    settled: ArrayLike | None = None,
    least: ArrayLike | None = None,
    n_classes: int | None = None,
) -> Jury:
    """All votes and the records of all voters together, by expectation-maximisation until neither changes.

    As `reliability` and `weigh_votes` in turn (Dawid and Skene 1979, one error rate a voter), with the model as one
    more witness, whose word on a sample is ``others``.

    Parameters
    ----------
    others : (n, K) probabilities of a model that has not learnt the sample.
    sample, labels, voter : (v,) of each vote: the row of ``others``, the class number, the number of the voter.
    priors : (voters, 2) right and wrong votes that each voter begins with, above 0.
    counts : (v,) whether a vote belongs to its voter's record; all do where None.
    settled : (n,) the true class where it is known, else -1.
    least : (voters,) 0..1, below which no voter's rate falls; 0 for all where None.
    n_classes : as `weigh_many` has it.

    >>> even = np.full((30, 3), 1 / 3)  # a model that knows nothing; two voters agree, one contradicts them
    >>> rows = np.arange(90) % 30
    >>> said = np.repeat([0, 0, 1], 30)
    >>> hear_all(even, rows, said, np.repeat([0, 1, 2], 30), [[2, 2]] * 3).rates.round(1).tolist()
    [0.9, 0.9, 0.1]
    """
    p, rows, said = np.asarray(others, np.float64), np.asarray(sample, np.intp), np.asarray(labels, np.intp)
    who, start = np.asarray(voter, np.intp), np.asarray(priors, np.float64)
    record = np.ones(len(rows), np.bool_) if counts is None else np.asarray(counts, np.bool_)
    truth = np.full(len(p), -1) if settled is None else np.asarray(settled, np.intp)
    floor = np.zeros(len(start)) if least is None else np.asarray(least, np.float64)
    known = np.flatnonzero(truth >= 0)
    heard = np.bincount(who[record], minlength=len(start))
    rates = start[:, 0] / start.sum(axis=1)
    for _ in range(_ROUNDS):
        posterior, support = weigh_many(p, rows, said, rates[who], n_classes=n_classes)
        posterior[known] = np.eye(p.shape[1])[truth[known]]
        certain = truth[rows] >= 0
        support[certain] = said[certain] == truth[rows[certain]]
        right = np.bincount(who[record], posterior[rows, said][record], minlength=len(start))
        before, rates = rates, np.maximum(floor, (start[:, 0] + right) / (start.sum(axis=1) + heard))
        if np.abs(rates - before).max(initial=0) < _SETTLED:
            break
    return Jury(posterior, support, rates)


def interval_of(rate: float, n: int, prior: tuple[float, float] = PRIOR, level: float = 0.95) -> tuple[float, float]:
    """Between which values a voter's reliability lies with that probability: the posterior Beta's quantiles.

    ``rate`` is what `reliability` gave for ``n`` votes under the same prior, so that the posterior is
    Beta(rate m, (1 - rate) m) with m = a + b + n.

    >>> [round(end, 2) for end in interval_of(0.5, 0)], [round(end, 2) for end in interval_of(0.95, 40)]
    ([0.09, 0.91], [0.87, 0.99])
    """
    m = prior[0] + prior[1] + n
    low, high = beta.ppf([(1 - level) / 2, (1 + level) / 2], rate * m, (1 - rate) * m)
    return float(low), float(high)
