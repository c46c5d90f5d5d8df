"""Have feature vectors moved: can a classifier tell which window an image is from?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import rankdata

from pellucid.drift.inputs import check_number, check_rows
from pellucid.drift.window import ALPHA, MOST, Shift, check_settings, draws_for, most_moved
from pellucid.errors import DataError

RIDGES = (0.1, 1.0, 10.0)  # as shares of the kernel's mean eigenvalue: from fine differences to a few far rows
SCORED = 10_000  # current rows that are looked at for the most moved
CHUNK = 500  # rows or draws at a time, which bounds the memory


@dataclass(frozen=True, slots=True)
class DomainClassifier:
    """A classifier two-sample test: kernel ridge regression learns "current or reference", and is scored on rows that
    it has not seen.

    Each row's score is its leave-one-out prediction, which ridge regression has in closed form, so all rows are both
    learnt from and judged. The statistic is how much higher current rows score than those of the reference, in
    standard deviations of the scores, under that of three regularisations which parts the windows best. Since the
    labels enter linearly, all of this, the choice too, is repeated under hundreds of random labels at the price of a
    few products of matrices, which makes the p-value that of an exact permutation test.

    The effect is 2 * AUC - 1, not below 0, with the area under the ROC curve as the share of pairs, one image of each
    window, in which the current one scores higher: 0 where nothing can be told apart, 1 where all can, and the share
    of images that moved where these moved far and the others not at all. It does not grow with the number of rows,
    but a classifier that learns from more of them may come to see finer differences.

    The kernel is Gaussian, its width the median distance. Features keep the scale that their extractor gives them.
    At most ``rows`` rows of each window are compared, drawn by ``seed``. Images that hang together (frames of one
    film) count as independent here, so a window of few films alarms sooner than it should.

    D. Lopez-Paz and M. Oquab (2017), "Revisiting classifier two-sample tests", ICLR; leave-one-out as in R. D. Cook
    and S. Weisberg (1982), "Residuals and influence in regression".

    >>> rng = np.random.default_rng(0)
    >>> before, after = rng.normal(size=(60, 8)), rng.normal(size=(60, 8))
    >>> DomainClassifier().compare(before, after).drifted
    False
    >>> after[:, 0] += 3
    >>> DomainClassifier().compare(before, after).drifted
    True
    """

    alpha: float = ALPHA  # 0.001..0.5
    threshold: float = 0.1  # 0..1: what is reached where a tenth of the images is like none of the reference
    rows: int = 500  # 2 or more of each window; time grows with the cube, memory with the square
    most: int = MOST  # rows to name
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self.alpha, self.threshold, self.most)
        check_number("rows", self.rows, low=2, high=5000, whole=True)

    def compare(self, reference: ArrayLike, current: ArrayLike) -> Shift:
        """Compare vectors (n, d) with vectors (m, d).

        Raises:
            DataError: fewer than two rows in a window, vectors of two lengths, missing or infinite numbers.
        """
        before, after = check_rows(reference, "reference"), check_rows(current, "current")
        if before.shape[1] != after.shape[1]:
            raise DataError(
                f"reference has vectors of {before.shape[1]} numbers and current of {after.shape[1]}; "
                "wanted the same extractor for both"
            )
        rng = np.random.default_rng(self.seed)
        kept = [_drawn(len(part), int(self.rows), rng) for part in (before, after)]
        sample = _Scaled.of(np.vstack([before[kept[0]], after[kept[1]]]))
        is_current = np.arange(len(sample.rows)) >= len(kept[0])
        score = np.full(len(after), -np.inf)
        auc, statistic, p_value = 0.5, 0.0, 1.0
        if sample.width > 0:
            models = _KernelRidge.of(sample)
            separations = [_separation(model.left_out(is_current[:, None]), is_current[:, None])[0] for model in models]
            statistic = float(max(separations))
            model = models[int(np.argmax(separations))]
            own = model.left_out(is_current[:, None])[:, 0]
            auc = _auc(own, is_current)
            at_least = 0
            for size in _chunks(draws_for(self.alpha)):
                labels = rng.permuted(np.repeat(is_current[:, None], size, axis=1), axis=0)
                best = np.max([_separation(each.left_out(labels), labels) for each in models], axis=0)
                at_least += int((best >= statistic - 1e-9).sum())
            p_value = (1 + at_least) / (1 + draws_for(self.alpha))
            score[kept[1]] = own[is_current]
            others = np.setdiff1d(np.arange(len(after)), kept[1])
            others = others[_drawn(len(others), max(0, SCORED - len(kept[1])), rng)]
            score[others] = model.predict(after[others], is_current)
        effect = max(0.0, 2 * auc - 1)
        return Shift(
            statistic=statistic,
            p_value=p_value,
            effect=effect,
            alpha=self.alpha,
            threshold=self.threshold,
            drifted=p_value < self.alpha and effect >= self.threshold,
            direction="",
            detail=f"of two images, a classifier finds the current one {max(auc, 0.5):.0%} of the time, by chance 50%",
            moved=most_moved(score, effect, self.most),
        )


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Rows of both windows about their mean, with the width that a Gaussian kernel has on them."""

    rows: NDArray[np.float64]  # (N, d)
    origin: NDArray[np.float64]  # (d,), in units of scale
    scale: float  # the largest number of all, so that no square overflows
    width: float  # median of the squared distances of rows that differ; 0 where none do

    @classmethod
    def of(cls, rows: NDArray[np.floating[Any]]) -> _Scaled:
        scale = float(np.abs(rows).max()) or 1.0
        scaled = rows.astype(np.float64) / scale
        origin = scaled.mean(axis=0)
        centred = scaled - origin
        distances = _squared_distances(centred, centred)[np.triu_indices(len(rows), 1)]
        apart = distances[distances > 1e-24]
        return cls(centred, origin, scale, float(np.median(apart)) if len(apart) else 0.0)

    def kernel(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-_squared_distances(rows, self.rows) / self.width)


@dataclass(frozen=True, slots=True)
class _KernelRidge:
    """Kernel ridge regression with an intercept, before it is told any labels."""

    sample: _Scaled
    means: NDArray[np.float64]  # (N,) of the kernel's columns
    inverse: NDArray[np.float64]  # (N, N) of the centred kernel plus ridge
    ridge: float

    @classmethod
    def of(cls, sample: _Scaled) -> list[_KernelRidge]:
        """One for each regularisation."""
        kernel = sample.kernel(sample.rows)
        means = kernel.mean(axis=0)
        centred = kernel - means - means[:, None] + means.mean()
        identity = np.eye(len(centred))
        ridges = [share * float(np.trace(centred)) / len(centred) for share in RIDGES]
        return [
            cls(sample, means, cho_solve(cho_factor(centred + ridge * identity), identity), ridge) for ridge in ridges
        ]

    def left_out(self, labels: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What each row would be predicted as without it, under columns of labels (N, B): (N, B).

        With the hat matrix H = I - ridge * inverse, the prediction without row i is y_i - (y - H y)_i / (1 - H_ii).
        """
        y = labels - labels.mean(axis=0)
        predicted: NDArray[np.float64] = y - (self.inverse @ y) / np.diag(self.inverse)[:, None]
        return predicted

    def predict(self, rows: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What rows (m, d) that are not of the sample are predicted as, labels (N,) given: (m,)."""
        weights = self.inverse @ (labels - labels.mean())  # they sum to 0, so that row means need no centring
        found = [np.zeros(0)]
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK].astype(np.float64) / self.sample.scale - self.sample.origin
            found.append((self.sample.kernel(part) - self.means) @ weights)
        return np.concatenate(found)


def _squared_distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
    # what rounding leaves of the distance of equal rows is no distance
    return np.where(squares > 1e-12 * squares.max(initial=0.0), squares, 0.0)


def _separation(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean score of the positive rows less that of the others, in standard deviations, for each column (N, B)."""
    count = positive.sum(axis=0)
    inside = (score * positive).sum(axis=0)
    difference = inside / count - (score.sum(axis=0) - inside) / (len(score) - count)
    spread = score.std(axis=0)
    separation: NDArray[np.float64] = difference / np.where(spread > 0, spread, 1.0)
    return separation


def _auc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of scores (N,), by the rank sum of Mann and Whitney; ties count half."""
    ranks = rankdata(np.round(score, 9))  # equal rows have equal scores but for rounding
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(score) - count)))


def _drawn(n: int, at_most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Sorted indices of at most so many of n rows."""
    return np.arange(n) if n <= at_most else np.sort(rng.choice(n, at_most, replace=False))


def _chunks(total: int) -> list[int]:
    return [min(CHUNK, total - start) for start in range(0, total, CHUNK)]
