"""Bad images, apart from labels: which are unlike the rest of the data, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError
from pellucid.heads.statistic import blocks, unit
from pellucid.noise.inputs import check_features
from pellucid.noise.pixels import PixelStatistics, as_columns

NEIGHBOURS = 5  # whose mean distance is an image's novelty
_FAR = 3.5  # robust standard deviations beyond the reference's median at which an image may be suspected
_BEYOND = 1.1  # and so many times as far out as all but half a hundredth of the reference
_SPREAD = 1.4826  # of the median absolute deviation of a normal distribution, to its standard deviation
_LEAST = 1e-3  # spread of a statistic that hardly varies, in units of its own size

# What each statistic says of a picture that lies far below or above the others.
_WORDS: Mapping[str, tuple[str, str]] = {
    "brightness": ("darker than the others", "brighter than the others"),
    "contrast": ("blank: hardly any contrast", "more contrast than the others"),
    "sharpness": ("blurred: hardly any detail", "noisier than the others"),
    "dark": ("", "large parts are black"),
    "bright": ("", "large parts are white"),
    "flat": ("", "large parts are of one colour"),
    "aspect": ("narrower than the others", "wider than the others"),
    "side": ("smaller than the others", "larger than the others"),
}


@dataclass(frozen=True, slots=True, eq=False)
class ImageQuality:
    """How far each image is from the reference, in the order of the rows that came in."""

    novelty: NDArray[np.float64]  # (n,) 0..2, mean distance to the five nearest of the reference; high is unlike
    leverage: NDArray[np.float64]  # (n,) 0 or more, x'(A + lambda I)^-1 x on the reference; high is unlike
    score: NDArray[np.float64]  # (n,) 0 or more: novelty and pixels together; the higher, the worse
    suspect: NDArray[np.bool_]  # (n,) True where something is far from usual
    reasons: tuple[str, ...]  # (n,) for a person; empty where nothing is


def image_quality(
    X: ArrayLike,
    reference: ArrayLike,
    pixel_stats: Sequence[PixelStatistics] | None = None,
    reference_stats: Sequence[PixelStatistics] | None = None,
) -> ImageQuality:
    """Tell images that are unlike the others by features ``X`` (n, d) against those of ``reference`` (m, d).

    Where ``X`` and ``reference`` are one and the same object, each row is compared with the others. ``pixel_stats``
    (n,) are compared with ``reference_stats`` (m,), or among themselves where there are none. What counts as far is
    relative: 3.5 robust standard deviations from the median, and beyond what all but half a hundredth of the
    reference shows, so that of clean images hardly any is suspected. ``score`` adds the logarithms of how rare the
    novelty and the rarest pixel statistic are in the reference, and is for ranking.

    Time n m d, memory a block of rows against the reference.

    Raises:
        DataError: features that are not finite or not (n, d), widths that differ, too few rows to compare with, or
            another number of statistics than of rows.

    >>> rng = np.random.default_rng(0)
    >>> usual = rng.normal(1, 0.05, (60, 8))
    >>> found = image_quality(np.vstack([usual[:3], -usual[:1]]), usual)
    >>> found.suspect.tolist(), found.reasons[3]
    ([False, False, False, True], 'unlike anything in the reference')
    """
    alone = X is reference
    base = unit(check_features(reference))
    rows = base if alone else unit(check_features(X))
    if rows.shape[1] != base.shape[1]:
        raise DataError(f"X has {rows.shape[1]} features and the reference {base.shape[1]}; give both the same")
    if len(base) < NEIGHBOURS + 2:
        raise DataError(f"the reference has {len(base)} rows; wanted are at least {NEIGHBOURS + 2} to compare with")
    if pixel_stats is not None and len(pixel_stats) != len(rows):
        raise DataError(f"there are {len(pixel_stats)} pixel statistics for {len(rows)} rows; give one for each")
    if reference_stats is not None and (pixel_stats is None or len(reference_stats) != len(base)):
        raise DataError(
            f"there are {len(reference_stats)} reference statistics for {len(base)} rows of the reference; give one "
            "for each, and pixel_stats to compare with them"
        )
    own = _distances(base, base, alone=True)
    novelty = own if alone else _distances(rows, base, alone=False)
    score, suspect = _rarity(novelty, own, above_only=True), _is_far(novelty, own) > 0
    reasons: list[list[str]] = [["unlike anything in the reference"] if far else [] for far in suspect]
    if pixel_stats is not None:
        columns = as_columns(pixel_stats)
        usual = as_columns(pixel_stats if reference_stats is None else reference_stats)
        rarest = np.zeros(len(rows))
        for name, (below, above) in _WORDS.items():
            rarest = np.maximum(rarest, _rarity(columns[name], usual[name], above_only=not below))
            far = _is_far(columns[name], usual[name])
            for row in np.flatnonzero((far > 0) | ((far < 0) & bool(below))):
                reasons[row].append(above if far[row] > 0 else below)
        score = score + rarest
    return ImageQuality(
        novelty=novelty,
        leverage=_leverage(rows, base),
        score=score,
        suspect=np.array([bool(found) for found in reasons]),
        reasons=tuple("; ".join(found) for found in reasons),
    )


def _distances(rows: NDArray[np.float64], base: NDArray[np.float64], *, alone: bool) -> NDArray[np.float64]:
    """Mean distance of each row to its nearest of the base, (n,); without itself where the two are the same."""
    found = np.empty(len(rows))
    for block in blocks(len(rows)):
        squares = np.maximum(2 - 2 * rows[block] @ base.T, 0)
        if alone:
            squares[np.arange(len(squares)), np.arange(block.start, block.start + len(squares))] = np.inf
        nearest = np.partition(squares, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        found[block] = np.sqrt(nearest).mean(axis=1)
    return found


def _leverage(rows: NDArray[np.float64], base: NDArray[np.float64], l2: float = 0.1) -> NDArray[np.float64]:
    inverse = np.linalg.inv(base.T @ base + l2 * np.eye(base.shape[1]))
    return np.concatenate([np.einsum("ij,ij->i", rows[block] @ inverse, rows[block]) for block in blocks(len(rows))])


def _rarity(values: NDArray[np.float64], base: NDArray[np.float64], *, above_only: bool) -> NDArray[np.float64]:
    """-log of the share of the base that is as far out, at either end, and beyond its end how many times as far."""
    ordered = np.sort(base)
    above = 1 - np.searchsorted(ordered, values, "left") / len(ordered)
    below = np.searchsorted(ordered, values, "right") / len(ordered)
    tail = above if above_only else np.minimum(1.0, 2 * np.minimum(above, below))
    middle = ordered[len(ordered) // 2]
    least = _LEAST * max(abs(float(middle)), _LEAST)
    beyond = (values - middle) / max(ordered[-1] - middle, least)
    if not above_only:
        beyond = np.maximum(beyond, (middle - values) / max(middle - ordered[0], least))
    return np.asarray(np.log(np.maximum(beyond, 1.0)) - np.log(np.clip(tail, 1 / len(ordered), 1.0)))


def _is_far(values: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.intp]:
    """-1 where a value lies far below the base, 1 where far above, else 0."""
    middle = float(np.median(base))
    spread = max(_SPREAD * float(np.median(np.abs(base - middle))), _LEAST * max(abs(middle), _LEAST))
    offset = (values - middle) / spread
    usual = (base - middle) / spread
    bound = max(_FAR, _BEYOND * float(np.quantile(np.abs(usual), 0.995)))
    return np.where(np.abs(offset) > bound, np.sign(offset), 0).astype(np.intp)
