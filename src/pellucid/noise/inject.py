"""Wrong labels on purpose: which kinds there are, and exactly which labels each has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from pellucid.errors import DataError, UsageError
from pellucid.noise.inputs import check_codes, check_fraction, check_labels, check_probabilities, check_seed

# Every kind, and the argument that it needs beyond y, rate and seed.
KINDS: Mapping[str, str | None] = MappingProxyType(
    {"symmetric": None, "pair": None, "matrix": "matrix", "instance": "pred_probs", "annotator": "annotators"}
)


@dataclass(frozen=True, slots=True, eq=False)
class Injection:
    """The labels after the noise, and the truth about it."""

    labels: NDArray[Any]  # (n,) in the type of y
    changed: NDArray[np.bool_]  # (n,) True where the label is another one than before
    probability: NDArray[np.float64]  # (n,) 0..1, with which each label was to be changed
    classes: NDArray[Any]  # (K,) the order of the matrix
    matrix: NDArray[np.float64]  # (K, K) P(label after = column | label before = row) as used; rows sum to 1


def inject_labels(
    y: ArrayLike,
    kind: str,
    rate: float,
    seed: int,
    *,
    classes: ArrayLike | None = None,
    matrix: ArrayLike | None = None,
    pred_probs: ArrayLike | None = None,
    annotators: ArrayLike | None = None,
) -> Injection:
    """Change each of the labels ``y`` (n,) with some probability whose mean is ``rate``, once, by ``seed``.

    The kinds say with what probability, and to what:

    - ``symmetric``: with probability ``rate``, to any of the other classes evenly;
    - ``pair``: with probability ``rate``, to the next class in their order (the last to the first);
    - ``matrix``: as the off-diagonal numbers of ``matrix`` (K, K) have it, P(after = column | before = row),
      all multiplied by the one factor that makes the mean probability over the samples equal to ``rate``
      (a matrix is thus used as it is where ``rate`` is its own rate);
    - ``instance``: to the class that a model, whose probabilities are ``pred_probs`` (n, K), holds for the
      most likely of the others, with a probability that falls in a straight line with the *rank* of the
      margin p[label] - p[that class]: from min(1, 2 rate) for the least certain sample to max(0, 2 rate - 1)
      for the most certain one. Ranks, so that the model needs no calibration and any rate can be had;
    - ``annotator``: ``annotators`` (n,) says who labelled each sample. Each has an error rate of his own, in
      equal steps between the same two bounds and given out by the seed, and draws evenly from the other
      classes. The mean over annotators is ``rate``.

    ``classes`` (K,) names classes and their order where not all of them occur; without it they are the labels
    that occur, sorted. Each label is drawn on its own, so the share that is changed scatters around ``rate``
    with a standard deviation of at most sqrt(rate (1 - rate) / n). The same arguments give the same labels,
    and with one seed all that a lower rate changes a higher rate changes too.

    Raises:
        UsageError: an unknown kind, a rate outside 0..1, a bad seed, an argument that the kind needs or does
            not take.
        DataError: labels that cannot be used, fewer than two classes, shapes that do not fit, a matrix that
            is no matrix of probabilities, or one that cannot be brought to the rate.

    >>> injection = inject_labels(["cat", "dog", "eel", "cat"], "pair", 1.0, seed=0)
    >>> injection.labels.tolist(), injection.changed.tolist()
    (['dog', 'eel', 'cat', 'dog'], [True, True, True, True])
    """
    rate, seed = check_fraction(rate, "rate"), check_seed(seed)
    given = {"matrix": matrix, "pred_probs": pred_probs, "annotators": annotators}
    _check_arguments(kind, given)
    labels = check_labels(y, classes)
    before, n, K = labels.index, len(labels.index), len(labels.classes)
    if K < 2:
        raise DataError(f"there is only the class {labels.classes.tolist()}; a wrong label needs a second one")
    rng = np.random.default_rng(seed)
    whether, which = rng.random(n), rng.random(n)
    rows = np.arange(n)
    probability = np.full(n, rate)
    if kind == "pair":
        targets = np.eye(K)[(before + 1) % K]
    elif kind == "matrix":
        probability, targets = _by_matrix(matrix, before, K, rate)
    elif kind == "instance":
        p = check_probabilities(pred_probs if pred_probs is not None else (), n)
        if p.shape[1] != K:
            raise DataError(f"pred_probs has {p.shape[1]} columns for {K} classes; give one each (see classes)")
        rivals = p.copy()
        rivals[rows, before] = -1
        runner_up = rivals.argmax(axis=1)
        rank = (rankdata(p[rows, before] - p[rows, runner_up]) - 0.5) / n
        probability, targets = _spread(rate, rank), np.eye(K)[runner_up]
    else:
        targets = (1 - np.eye(K)[before]) / (K - 1)
        if kind == "annotator":
            probability = _by_annotator(annotators, n, rate, rng)
    changed = whether < probability
    drawn = (which[:, None] >= np.cumsum(targets, axis=1)[:, :-1]).sum(axis=1)
    after = np.where(changed, drawn, before)
    transition = probability[:, None] * targets
    transition[rows, before] = 1 - probability
    return Injection(
        labels=labels.classes[after],
        changed=changed,
        probability=probability,
        classes=labels.classes,
        matrix=_mean_by_class(transition, before, K),
    )


def _check_arguments(kind: str, given: Mapping[str, ArrayLike | None]) -> None:
    if kind not in KINDS:
        raise UsageError(f"there is no label noise {kind!r}; the kinds are {', '.join(KINDS)}")
    for name, value in given.items():
        if name == KINDS[kind] and value is None:
            raise UsageError(f"label noise {kind!r} needs {name}")
        if name != KINDS[kind] and value is not None:
            raise UsageError(f"label noise {kind!r} does not take {name}")


def _spread(rate: float, position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities falling in a straight line over positions 0..1; their mean is the rate if the positions' is 1/2.

    >>> _spread(0.3, np.array([0.0, 0.5, 1.0])), _spread(0.7, np.array([0.0, 1.0]))
    (array([0.6, 0.3, 0. ]), array([1. , 0.4]))
    """
    high, low = min(1.0, 2 * rate), max(0.0, 2 * rate - 1)
    return high + (low - high) * position


def _by_matrix(
    matrix: ArrayLike | None, before: NDArray[np.intp], K: int, rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        P = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"matrix cannot be read as numbers ({error}); give an array (K, K)") from error
    if P.shape != (K, K):
        raise DataError(f"matrix has shape {P.shape}; wanted ({K}, {K}), a row and a column for each class")
    if not np.isfinite(P).all() or (P < 0).any() or np.abs(P.sum(axis=1) - 1).max() > 1e-6:
        raise DataError("matrix needs rows of probabilities, P(after | before), that each sum to 1")
    P = P * (1 - np.eye(K))  # only what changes a label
    leaving = P.sum(axis=1)
    own_rate = leaving[before].mean()
    if rate > 0 and own_rate == 0:
        raise DataError(f"matrix changes no label that occurs, so it cannot be brought to the rate {rate:g}")
    factor = rate / own_rate if rate > 0 else 0.0
    if factor * leaving[before].max() > 1 + 1e-9:
        most = own_rate / leaving[before].max()
        raise DataError(f"matrix cannot be brought to the rate {rate:g}; the most it reaches is {most:.3g}")
    conditional = P / np.where(leaving > 0, leaving, 1)[:, None]
    return np.minimum(factor * leaving, 1)[before], conditional[before]


def _by_annotator(annotators: ArrayLike | None, n: int, rate: float, rng: np.random.Generator) -> NDArray[np.float64]:
    who = check_codes(annotators if annotators is not None else (), n, "annotators")
    number = int(who.max()) + 1
    return _spread(rate, (rng.permutation(number) + 0.5) / number)[who]


def _mean_by_class(transition: NDArray[np.float64], before: NDArray[np.intp], K: int) -> NDArray[np.float64]:
    """Mean row of each class, (K, K); a class without samples keeps its labels."""
    sums = np.zeros((K, K))
    np.add.at(sums, before, transition)
    counts = np.bincount(before, minlength=K)
    absent = np.flatnonzero(counts == 0)
    sums[absent] = np.eye(K)[absent]
    return np.asarray(sums / np.maximum(counts, 1)[:, None])
