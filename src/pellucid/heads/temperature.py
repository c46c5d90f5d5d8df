"""Scores to probabilities: softmax(scores / T), with the temperature T that held-out scores ask for.

Labels may be wrong: then a T that suits them makes the model as unsure as they are. `fit_noisy_temperature` finds
the T that suits the true ones, together with the share of wrong ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

COLDEST, HOTTEST = 1e-3, 1e3  # bounds of T, in units of the scores
BLOCK = 2**16  # scores at a time, half a megabyte: they stay in the cache
MOST_NOISE = 0.9  # of (K - 1) / K, where labels say nothing; no higher share of wrong labels is looked for
EVIDENCE = 3.3  # of log likelihood that wrong labels must gain to be believed: one error in a hundred (Wilks 1938)
_COLDER = np.logspace(0, 2, 13)  # how many times colder than for right labels is tried first


def fit_temperature(
    scores: NDArray[np.floating], y: NDArray[np.intp], weight: NDArray[np.float64] | None = None
) -> float:
    """The T in [0.001, 1000] that minimises the weighted negative log likelihood of softmax(scores / T).

    ``scores`` (n, K) must not have seen their own labels ``y`` (n,), class indices. The likelihood is that of
    labels softened by the rule of succession, 1 -> (N + 1) / (N + K) with N the total weight (Platt 1999,
    "Probabilistic outputs for support vector machines", section 2.2): scores that separate the classes
    perfectly then have a finite optimum, and no sample is claimed with more certainty than N samples can
    support. A higher T is less confident; the order of the classes does not depend on it.

    >>> separable = np.array([[1.0, 0.0], [0.0, 1.0]])  # softened: 3/4 against 1/4, log odds log 3
    >>> round(fit_temperature(separable, np.array([0, 1])), 6)  # 1 / log 3
    0.910239
    """
    n, K = scores.shape
    weight = np.ones(n) if weight is None else weight
    total = weight.sum()
    sharp, soft = total / (total + K), 1 / (total + K)  # target = sharp * one-hot + soft

    shifted = scores - scores.max(axis=1, keepdims=True)  # which changes no softmax and keeps its terms finite
    told = float(weight @ (sharp * shifted[np.arange(n), y] + soft * (shifted @ np.ones(K))))

    # The likelihood is convex in the inverse temperature, so its minimum is where the slope crosses zero: Newton's
    # steps in logarithms, and where one leads out of the bracket or is no shorter than half the last, its middle.
    low, high = -np.log(HOTTEST), -np.log(COLDEST)
    if _expected(shifted, weight, 1 / HOTTEST)[0] >= told:
        return HOTTEST
    if _expected(shifted, weight, 1 / COLDEST)[0] <= told:
        return COLDEST
    at, step = (low + high) / 2, high - low
    while abs(step) > 1e-10 and high - low > 1e-10:
        inverse = float(np.exp(at))
        mean, variance = _expected(shifted, weight, inverse)
        low, high = (at, high) if mean < told else (low, at)
        last, step = step, (mean - told) / max(inverse * variance, 1e-300)
        if not low <= at - step <= high or abs(step) > abs(last) / 2:
            step = at - (low + high) / 2
        at -= step
    return float(np.exp(-at))


def fit_noisy_temperature(
    scores: NDArray[np.floating], y: NDArray[np.intp], weight: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """The temperature for the true labels, and the share of wrong labels in [0, 0.9 (K - 1) / K].

    A label is taken to be right with probability 1 - e and else drawn evenly from the other classes, so that it
    has the probability (1 - e) p + e (1 - p) / (K - 1) under p = softmax(scores / T); e and T are those of the
    highest likelihood (the noise model of Mnih and Hinton 2012, "Learning to label aerial images from noisy
    data"). Where e = 0 explains the labels about as well, it is 0 and T that of `fit_temperature`.

    Measured on leave-one-out scores of ridge on trashnet, sugarcane, malaria and digits with 0, 5, 30 and 50 %
    wrong labels: e was .00, .04-.05, .30-.31 and .49-.50 (of malaria's two classes at 50 % 0), and at 30 % the
    calibration error on right labels fell from .25-.36 to .03-.05. Wrong labels that all fall on one other class, or
    on the runner-up, are not seen (e = 0 at 28 % of either): T is then that of `fit_temperature`, too unsure.

    >>> rng = np.random.default_rng(0)
    >>> scores = rng.normal(size=(4000, 4))
    >>> truth = (scores + 0.2 * rng.gumbel(size=(4000, 4))).argmax(axis=1)  # drawn from softmax(scores / 0.2)
    >>> T, e = fit_noisy_temperature(scores, np.where(rng.random(4000) < 0.3, (truth + 1) % 4, truth))
    >>> round(T, 1), round(e, 1)
    (0.2, 0.3)
    """
    K = scores.shape[1]
    weight = np.ones(len(scores)) if weight is None else weight
    plain = fit_temperature(scores, y, weight)
    if K == 1:
        return plain, 0.0
    tried = np.minimum(_COLDER / plain, 1 / COLDEST)
    likelihoods, rates = [], []
    for inverse in tried:
        p, _ = _label_terms(scores, y, inverse, 1.0, 0.0)
        rates.append(_noise_rate(p, weight, K))
        likelihoods.append(float(weight @ np.log(_mixed(p, rates[-1], K))))
        if len(likelihoods) == 1:
            clean = float(weight @ np.log(_mixed(p, 0.0, K)))
    best = int(np.argmax(likelihoods))
    if likelihoods[best] - clean < EVIDENCE or rates[best] == 0:
        return plain, 0.0
    total = weight.sum()
    # Softened as in fit_temperature, but by one label in all and not by one of each class: wrong labels keep T from
    # falling to nothing too, and of 600 rows the stronger softening made e 10 % and 1 / T 30 % too small.
    sharp, soft = total / (total + 1), 1 / (total + 1) / K

    # At the maximum this is the slope of fit_temperature with each row weighted by P(its label is right).
    def slope(inverse: float) -> float:
        p, gap = _label_terms(scores, y, inverse, sharp, soft)
        rate = _noise_rate(p, weight, K)
        right = (1 - rate) * p / _mixed(p, rate, K)
        return float((weight * right) @ gap)

    low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
    inverse = float(brentq(slope, low, high, rtol=1e-10)) if slope(low) < 0 < slope(high) else float(tried[best])
    return 1 / inverse, _noise_rate(_label_terms(scores, y, inverse, 1.0, 0.0)[0], weight, K)


def _label_terms(
    scores: NDArray[np.floating], y: NDArray[np.intp], inverse: float, sharp: float, soft: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probability of each label at an inverse temperature, (n,), and expected less (softened) given score."""
    n, K = scores.shape
    p, gap = np.empty(n), np.empty(n)
    step = max(1, BLOCK // K)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        # a shift of a row changes neither its softmax nor the gap, and keeps both finite
        block = scores[rows] - scores[rows].max(axis=1, keepdims=True)
        shares = block * inverse
        np.exp(shares, out=shares)
        size = shares.sum(axis=1)
        label = y[rows, None]
        given = np.take_along_axis(block, label, axis=1)[:, 0]
        p[rows] = np.take_along_axis(shares, label, axis=1)[:, 0] / size
        gap[rows] = np.einsum("ij,ij->i", shares, block) / size - sharp * given - soft * block.sum(axis=1)
    return p, gap


def _expected(shifted: NDArray[np.floating], weight: NDArray[np.float64], inverse: float) -> tuple[float, float]:
    """The weighted sums of the mean and of the variance of each row's scores under its softmax; no score is above 0."""
    n, K = shifted.shape
    total, spread, step, ones = 0.0, 0.0, max(1, BLOCK // K), np.ones(K)
    for start in range(0, n, step):
        block, w = shifted[start : start + step], weight[start : start + step]
        shares = block * inverse
        np.exp(shares, out=shares)
        size = shares @ ones  # a sum over few columns is several times slower
        shares *= block
        mean = shares @ ones / size
        total += float(w @ mean)
        spread += float(w @ (np.einsum("ij,ij->i", shares, block) / size - np.square(mean)))
    return total, spread


def _mixed(p: NDArray[np.float64], rate: float, K: int) -> NDArray[np.float64]:
    """The probability of a label as given, of which p is that of the true label being it."""
    return np.maximum((1 - rate) * p + rate * (1 - p) / (K - 1), 1e-100)


def _noise_rate(p: NDArray[np.float64], weight: NDArray[np.float64], K: int) -> float:
    """The share of wrong labels that makes labels of probability p likeliest; the likelihood is concave in it."""
    change = (1 - p) / (K - 1) - p

    def slope(rate: float) -> float:
        return float(weight @ (change / _mixed(p, rate, K)))

    most = MOST_NOISE * (K - 1) / K
    if slope(0.0) <= 0:
        return 0.0
    return most if slope(most) >= 0 else float(brentq(slope, 0.0, most, xtol=1e-12))


def probabilities(scores: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """softmax(scores / temperature), rows (n, K) that sum to 1.

    >>> probabilities(np.array([[0.0, np.log(3)]]), 1.0)
    array([[0.25, 0.75]])
    """
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(softmax(shifted / temperature, axis=1), dtype=np.float64)
