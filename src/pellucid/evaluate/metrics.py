"""The metrics of a classifier on a test set, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from pellucid.errors import DataError
from pellucid.evaluate.calibration import calibration_estimate, reliability_bins
from pellucid.evaluate.evaluation import ClassScore, Estimate, Evaluation, Slice
from pellucid.evaluate.inputs import check_groups, check_outcomes
from pellucid.evaluate.intervals import percentile_interval, resampled_sums, share_estimate, wilson

__all__ = ["Estimate", "Evaluation", "evaluate", "log_losses"]

MAX_SLICES = 20  # distinct values of a metadata key; a key with more is an identity, not a slice
EPSILON = float(
    np.finfo(np.float64).eps
)  # probabilities are clipped here, so that one sure mistake costs 36, not infinity


def evaluate(
    y: ArrayLike,
    proba: ArrayLike,
    classes: Sequence[str],
    *,
    weight: ArrayLike | None = None,
    slices: Mapping[str, Sequence[str]] | None = None,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Evaluate predicted probabilities against true classes.

    The metrics, as in scikit-learn unless said otherwise:

    - ``accuracy``: share of images whose most probable class is the true one; 0..1, higher is better.
    - ``balanced_accuracy``: mean recall of the classes with test images; 0..1, higher is better.
    - ``macro_f1``: mean F1 of the classes that are true or predicted anywhere; 0..1, higher is better.
    - ``log_loss``: mean of -log of the true class's probability, in nats; 0..36, lower is better.
    - ``calibration_error``: expected calibration error of the top class over bins of equal mass, less its own
      bias (:func:`~pellucid.evaluate.calibration.calibration_estimate`); 0..1, lower is better.

    Intervals: Wilson's for accuracy and recall where images are independent and equal; otherwise a percentile
    bootstrap that draws whole groups. Where resampling can show no spread (all right, all wrong, one group),
    Wilson's for the effective number of groups or, for the two errors of a single group, the whole range.

    Args:
        y: (n,) true class indices, 0..K-1.
        proba: (n, K) predicted probabilities, rows summing to 1.
        classes: the K class names, in index order.
        weight: (n,) above 0, how much each image counts in metrics, class scores, slices; None: all the same.
            Confusion, support and counts stay numbers of images.
        slices: metadata key -> (n,) values; each value of a key that has 2 to 20 gets its accuracy.
        groups: (n,) images of one group (a burst, a patient) depend on each other; they are drawn together.
        resamples: bootstrap draws.
        seed: equal seeds, equal intervals.

    Raises:
        DataError: what :func:`~pellucid.evaluate.inputs.check_outcomes` refuses, not K different class names,
            weights that are not above 0, or weights, groups or slices of another length than n.

    >>> result = evaluate([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], ["cat", "dog"])
    >>> result.metrics["accuracy"]
    Estimate(value=0.75, low=0.300..., high=0.954...)
    >>> result.confusion
    ((1, 1), (0, 2))
    """
    truth, probability = check_outcomes(y, proba)
    n, K = probability.shape
    if not len(classes) == len(set(classes)) == K:
        raise DataError(
            f"{len(classes)} class names, {len(set(classes))} of them different, for {K} columns of "
            "probabilities; wanted one name a column, each once"
        )
    w = _check_weight(weight, n)
    codes = check_groups(groups, n)
    predicted = probability.argmax(axis=1)
    right = predicted == truth
    losses = log_losses(truth, probability)
    confusion = np.bincount(truth * K + predicted, minlength=K * K).reshape(K, K)

    def share(rows: NDArray[np.bool_]) -> Estimate:
        return share_estimate(
            right[rows],
            weight=None if w is None else w[rows],
            groups=None if codes is None else codes[rows],
            resamples=resamples,
            seed=seed,
        )

    listed, left_out = _slices(slices or {}, n)
    return Evaluation(
        n=n,
        n_groups=None if codes is None else int(codes.max()) + 1,
        classes=tuple(classes),
        metrics={
            "accuracy": share(np.ones(n, dtype=bool)),
            **_bootstrapped(truth, predicted, losses, K, w, codes, resamples=resamples, seed=seed),
            "calibration_error": calibration_estimate(
                probability.max(axis=1), right, weight=w, groups=codes, resamples=resamples, seed=seed
            ),
        },
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        per_class=tuple(_class_score(name, index, truth, predicted, w, share) for index, name in enumerate(classes)),
        slices=tuple(Slice(key, value, int(rows.sum()), share(rows)) for key, value, rows in listed),
        slices_left_out=left_out,
        reliability=reliability_bins(probability.max(axis=1), share),
    )


def log_losses(y: NDArray[np.int64], proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each image's log loss, -log of its true class's probability in nats; (n,), lower is better.

    >>> import numpy as np
    >>> log_losses(np.array([1]), np.array([[0.5, 0.5]])).round(3).tolist()
    [0.693]
    """
    losses: NDArray[np.float64] = -np.log(np.clip(proba[np.arange(len(y)), y], EPSILON, 1.0))
    return losses


def _bootstrapped(
    y: NDArray[np.int64],
    predicted: NDArray[np.int64],
    losses: NDArray[np.float64],
    K: int,
    weight: NDArray[np.float64] | None,
    groups: NDArray[np.int64] | None,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    """Estimate the metrics that are functions of sums over images and classes."""
    w = np.ones(len(y)) if weight is None else weight
    blocks = (_one_hot(y, w, K), _one_hot(predicted, w, K), _one_hot(y, w * (predicted == y), K))
    columns = sparse.hstack([*blocks, sparse.csr_array((w * losses)[:, None])])

    def split(sums: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        return np.split(sums, (K, 2 * K, 3 * K), axis=-1)

    support, called, hit, loss = split(np.asarray(columns.sum(axis=0)))
    draws = split(resampled_sums(columns, groups=groups, resamples=resamples, seed=seed))
    value, drawn = _scores(support, called, hit), _scores(*draws[:3])
    # all right or all wrong resamples to no spread at all: as many trials as the rarest classes leave of n
    counts = np.bincount(y)[np.unique(y)]
    units = len(y) if groups is None else int(groups.max()) + 1
    effective = units / len(y) * len(counts) ** 2 / float((1 / counts).sum())
    estimates = {
        name: wilson(float(value[name]) * effective, effective)
        if np.ptp(drawn[name]) == 0
        # centred, for with few images a class the resampled F1 lies below the one it scatters around
        else percentile_interval(float(value[name]), np.clip(drawn[name] - drawn[name].mean() + value[name], 0.0, 1.0))
        for name in value
    }
    mean_loss = float(loss[0] / w.sum())
    if units == 1:
        return {**estimates, "log_loss": Estimate(mean_loss, 0.0, -float(np.log(EPSILON)))}
    return {**estimates, "log_loss": percentile_interval(mean_loss, draws[3][:, 0] / draws[0].sum(axis=1))}


def _scores(
    support: NDArray[np.float64], called: NDArray[np.float64], hit: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Balanced accuracy and macro F1 from (..., K) sums of true, predicted and correctly predicted images."""
    recall = hit / np.where(support > 0, support, 1.0)
    f1 = 2 * hit / np.where(support + called > 0, support + called, 1.0)
    there, seen = support > 0, support + called > 0
    return {
        "balanced_accuracy": recall.sum(axis=-1) / there.sum(axis=-1),
        "macro_f1": f1.sum(axis=-1) / seen.sum(axis=-1),
    }


def _one_hot(code: NDArray[np.int64], value: NDArray[np.float64], width: int) -> sparse.csr_array:
    return sparse.csr_array((value, (np.arange(len(code)), code)), shape=(len(code), width))


def _class_score(
    name: str,
    index: int,
    y: NDArray[np.int64],
    predicted: NDArray[np.int64],
    weight: NDArray[np.float64] | None,
    share: Callable[[NDArray[np.bool_]], Estimate],
) -> ClassScore:
    w = np.ones(len(y)) if weight is None else weight
    true, called = y == index, predicted == index
    hit, n_true, n_called = (float(w[rows].sum()) for rows in (true & called, true, called))
    return ClassScore(
        name=name,
        precision=hit / n_called if n_called > 0 else None,
        recall=share(true) if n_true > 0 else None,
        f1=2 * hit / (n_true + n_called) if n_true + n_called > 0 else None,
        support=int(true.sum()),
        predicted=int(called.sum()),
    )


def _slices(
    slices: Mapping[str, Sequence[str]], n: int
) -> tuple[list[tuple[str, str, NDArray[np.bool_]]], dict[str, str]]:
    """List (key, value, rows) of every slice, and the keys left out with the reason."""
    listed, left_out = [], {}
    for key, given in sorted(slices.items()):
        if len(given) != n:
            raise DataError(f"slice {key!r} has {len(given)} values for {n} images; wanted one for each image")
        values = np.array([str(value) for value in given], dtype=object)
        distinct = sorted(set(values))
        if len(distinct) == 1:
            left_out[key] = f"every image has the value {distinct[0]!r}"
        elif len(distinct) > MAX_SLICES:
            left_out[key] = f"{len(distinct)} distinct values, at most {MAX_SLICES} are shown"
        else:
            listed += [(key, value, values == value) for value in distinct]
    return listed, left_out


def _check_weight(weight: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    if weight is None:
        return None
    w = np.asarray(weight, dtype=np.float64)
    if w.shape != (n,):
        raise DataError(f"weight has shape {w.shape}; wanted one number for each of the {n} images")
    if not np.isfinite(w).all() or (w <= 0).any():
        raise DataError(f"the weights range from {w.min()} to {w.max()}; wanted numbers above 0, none missing")
    return w
