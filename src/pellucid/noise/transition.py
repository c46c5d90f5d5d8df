"""The rule for wrong labels whose rate depends on the class: a transition matrix and the posterior under it.

A sample of class t gets the label y with probability T[t, y], whatever it looks like (Natarajan et al. 2013).
With q(t) the model's belief in the true class,

    P(y) = sum_t q(t) T[t, y]        P(t | y) = q(t) T[t, y] / P(y)

Two things stand between q and the probabilities p of a model that learnt the wrong labels too. It says what the
*labels* are like, p = q T, and is deconvolved first (Richardson 1972, Lucy 1974: the expectation-maximisation of
q under a known T, which keeps it positive). And it is not as sure as it could be, because the wrong labels have
flattened it: q is sharpened by a temperature. T, by expectation-maximisation, and the temperature together
maximise the likelihood of the given labels. That is what tells a model's own errors from the labels': a model
that errs is unsure, and where it is sure and yet contradicted, the label is wrong.

References: N. Natarajan et al. (2013), "Learning with noisy labels", NIPS; G. Patrini et al. (2017), "Making deep
neural networks robust to label noise", CVPR; W. H. Richardson (1972), "Bayesian-based iterative method of image
restoration", JOSA 62; L. B. Lucy (1974), Astronomical Journal 79.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from pellucid.noise.evidence import DOUBT, Evidence, Verdict, by_trust, logs_of, tempered, worth

FIT_ROWS = 10_000  # more than these are represented by these when T and the temperature are fitted
_COLDEST, _HOTTEST = 0.05, 5.0
_ROUNDS, _STEPS, _RESTORATIONS = 30, 5, 30  # of fitting; of T within a round; of a deconvolution
_CACHED = 2**15  # numbers at a time, a quarter of a megabyte: they stay in the cache
_CONVERGED = 0.5  # units of log likelihood between two rounds, of rows that weigh 1
# Pseudo-counts of T: each class has kept one label beyond those seen, and has sent a fiftieth to each other. The
# first keeps a class of one or two members from being explained away.
_KEPT, _SENT = 1.0, 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Transition:
    """A fitted transition matrix, ready to judge."""

    matrix: NDArray[np.float64]  # T (K, K), P(given = column | true = row)
    mixing: NDArray[np.float64] | None  # (K, K) what p is to be freed from; None where nothing
    temperature: float
    moved: int  # cells off the diagonal of T with at least one label: what T has learnt

    def beliefs(self, evidence: Evidence) -> NDArray[np.float64]:
        """q (n, K): the model's belief in each true class, before the given label is looked at."""
        logs = logs_of(evidence.p if self.mixing is None else deconvolve(evidence.p, self.mixing))
        return tempered(logs, self.temperature)

    def joint(self, evidence: Evidence, q: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """P(true class, given label) of each row, (n, K); ``q`` are the `beliefs`, where they are at hand."""
        return np.asarray((self.beliefs(evidence) if q is None else q) * emission_of(self.matrix, evidence))

    def verdict(self, evidence: Evidence) -> Verdict:
        """The posterior that this matrix gives."""
        q = self.beliefs(evidence)
        joint = self.joint(evidence, q)
        posterior = joint / joint.sum(axis=1, keepdims=True)
        sent = 1 - float(np.diag(self.matrix).mean())
        why = f"what a label is depends on the true class alone, of which it loses {sent:.1%} on average"
        value = worth(joint, q, evidence, self.moved + 1)
        return Verdict("transition", posterior, by_trust(posterior, evidence.index), why, value)


def transition(evidence: Evidence) -> Verdict:
    """Judge by the posterior under the most likely transition matrix."""
    return fit_transition(evidence).verdict(evidence)


def fit_transition(evidence: Evidence) -> Transition:
    """T and the temperature of the largest likelihood, from several starts.

    One start takes four labels of five for right, the others what the model confuses with what, once and twice
    over: a matrix that mixes too much finds its way back, and one that mixes too little does not, since p, taken
    for q, explains the labels well enough. Each round goes on from the last round's T.
    """
    sample = evidence.thinned(FIT_ROWS)
    K = sample.p.shape[1]
    given = np.eye(K)[sample.index]
    counted = np.where(sample.trusted, 0.0, sample.weight)[:, None]
    confused = (sample.p * counted).T @ given + np.eye(K)
    confused /= confused.sum(axis=1, keepdims=True)
    starts = (0.8 * np.eye(K) + 0.2 / K, confused, confused @ confused)
    fits = [_climb(sample, T, given, counted) for T in starts]
    best = max(fits, key=lambda fit: fit[0])[1]
    share = best.joint(sample)
    share *= counted / share.sum(axis=1, keepdims=True)
    return replace(best, moved=moved(share, given))


def matrix_of(share: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.float64]:
    """T (K, K) of rows that are each true class by ``share`` (n, K) and have the labels ``given`` (n, K), one-hot."""
    counts = share.T @ given + _KEPT * np.eye(share.shape[1]) + _SENT
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def moved(share: NDArray[np.float64], given: NDArray[np.float64]) -> int:
    """How many cells off the diagonal of T have at least one label."""
    return int(((share.T @ given) * (1 - np.eye(share.shape[1])) >= 1).sum())


def _climb(
    sample: Evidence, T: NDArray[np.float64], given: NDArray[np.float64], counted: NDArray[np.float64]
) -> tuple[float, Transition]:
    best, last = (-np.inf, Transition(T, None, 1.0, 0)), -np.inf
    for number in range(_ROUNDS):
        # the first round takes p as it is: the T it starts from is a guess, and no reason to change p
        mixing = T if number and sample.learnt_given else None
        logs = logs_of(sample.p if mixing is None else deconvolve(sample.p, mixing))
        emission = emission_of(T, sample)
        temperature, value = _sharpest(logs, emission, sample.weight)
        if value > best[0]:
            best = value, Transition(T, mixing, temperature, 0)
        if number > 3 and value - last < _CONVERGED * sample.weight.sum() / max(1, np.count_nonzero(sample.weight)):
            break
        last = value
        q = tempered(logs, temperature)
        for _ in range(_STEPS):
            share = q * emission_of(T, sample)
            share *= counted / share.sum(axis=1, keepdims=True)
            T = matrix_of(share, given)
    return best


def deconvolve(p: NDArray[np.float64], T: NDArray[np.float64]) -> NDArray[np.float64]:
    """The q (n, K), rows that sum to 1, with q T nearest to p in relative entropy.

    >>> deconvolve(np.array([[0.6, 0.4]]), np.array([[0.6, 0.4], [0.1, 0.9]])).round(2)
    array([[0.97, 0.03]])
    """
    q = np.empty_like(p)
    step = max(1, _CACHED // p.shape[1])
    for start in range(0, len(p), step):
        wanted = np.ascontiguousarray(p[start : start + step].T)  # products with long rows are faster
        found = np.full_like(wanted, 1 / len(wanted))
        ratio = np.empty_like(wanted)
        for _ in range(_RESTORATIONS):
            np.matmul(T.T, found, out=ratio)
            np.maximum(ratio, 1e-300, out=ratio)
            np.divide(wanted, ratio, out=ratio)
            found *= T @ ratio
        q[start : start + step] = (found / found.sum(axis=0)).T
    return q


def emission_of(T: NDArray[np.float64], evidence: Evidence) -> NDArray[np.float64]:
    """P(given label | each true class), (n, K); of trusted rows the label is the class."""
    emission = T.T[evidence.index]
    emission[evidence.trusted] = np.eye(len(T))[evidence.index[evidence.trusted]]
    return np.asarray(emission)


def _sharpest(
    logs: NDArray[np.float64], emission: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """The temperature of the largest log likelihood less the price of doubt, and that value."""

    scaled, shares, ones = np.empty_like(logs), np.empty_like(logs), np.ones(logs.shape[1])

    def loss(log_temperature: float) -> float:
        np.multiply(logs, np.exp(-log_temperature), out=scaled)
        np.exp(scaled, out=shares)
        size = shares @ ones  # q is shares / size, and its entropy log(size) less the mean of scaled under it
        likelihood = np.einsum("ij,ij->i", shares, emission) / size
        doubt = np.log(size) - np.einsum("ij,ij->i", shares, scaled) / size
        return -float(weight @ (np.log(np.maximum(likelihood, 1e-300)) - DOUBT * doubt))

    found = minimize_scalar(
        loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded", options={"xatol": 0.02}
    )
    return float(np.exp(found.x)), -float(found.fun)
