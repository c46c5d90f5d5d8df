"""Two days drawn from one data set, each with images to learn from and images to be judged on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError, UsageError

# Halves for the two days, of each 80 % to learn from; the order of the fields of Days.
_SHARES = (0.4, 0.1, 0.4, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """Which rows of the data set are for what; the four parts are disjoint, and no group lies in two of them."""

    monday_train: NDArray[np.intp]  # sorted
    monday_test: NDArray[np.intp]  # sorted
    tuesday_train: NDArray[np.intp]  # sorted
    tuesday_test: NDArray[np.intp]  # sorted

    @property
    def tuesday(self) -> NDArray[np.intp]:
        """All rows of the second day, sorted: the ones whose pictures are corrupted."""
        return np.sort(np.concatenate([self.tuesday_train, self.tuesday_test]))


def draw_days(
    y: ArrayLike, groups: ArrayLike, seed: int, *, monday: int | None = None, tuesday: int | None = None
) -> Days:
    """Halve the rows with labels ``y`` (n,) into two days and each day 80 to 20, by class and with groups whole.

    Groups are taken in an order that the seed draws, each to the part that its class is furthest from having
    filled. A group (rows that show the same thing; ``groups`` (n,) names each row's) counts for the class of its
    first row.

    ``monday`` and ``tuesday`` bound the number of images to learn from, drawn by class as well; those to be judged
    on stay, and the smaller draw is part of the larger one.

    Raises:
        DataError: lengths that differ, or too few groups for every part to get an image and each training part
            two classes.
        UsageError: a bound below 2.

    >>> days = draw_days(["glass"] * 10 + ["paper"] * 10, range(20), seed=0)
    >>> [len(rows) for rows in (days.monday_train, days.monday_test, days.tuesday_train, days.tuesday_test)]
    [8, 2, 8, 2]
    """
    labels, codes = (np.unique(np.asarray(values), return_inverse=True)[1].ravel() for values in (y, groups))
    if len(labels) != len(codes):
        raise DataError(f"there are {len(codes)} groups for {len(labels)} labels; give one for each image")
    for name, bound in (("monday", monday), ("tuesday", tuesday)):
        if bound is not None and bound < 2:
            raise UsageError(f"{name} is to have {bound} images; wanted are at least 2 to learn from")
    rng = np.random.default_rng([seed, 0])
    part = _parts(labels, codes, rng)
    days = Days(*(np.flatnonzero(part == number) for number in range(len(_SHARES))))
    days = replace(
        days,
        monday_train=_bounded(days.monday_train, labels, monday, rng),
        tuesday_train=_bounded(days.tuesday_train, labels, tuesday, rng),
    )
    if not len(days.monday_test) or not len(days.tuesday_test):
        raise DataError(f"{len(np.unique(codes))} groups are too few for two days with test images; give more images")
    for name, found in (("Monday", days.monday_train), ("Tuesday", days.tuesday_train)):
        if len(np.unique(labels[found])) < 2:
            raise DataError(f"{name} would have fewer than two classes to learn from; give more images of each class")
    return days


def _parts(labels: NDArray[np.intp], codes: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """The part of each row, 0..3."""
    if not len(labels):
        return np.empty(0, dtype=np.intp)
    first = np.unique(codes, return_index=True)[1]
    sizes = np.bincount(codes)
    part_of = np.empty(len(sizes), dtype=np.intp)
    for label in np.unique(labels[first]):
        members = rng.permutation(np.flatnonzero(labels[first] == label))
        wanted = np.array(_SHARES) * sizes[members].sum()
        # Where parts lack equally much the seed decides, else small classes would never be tested on Tuesday.
        tie = rng.permutation(len(_SHARES))
        for group in members:
            lack = np.round(wanted[tie], 9)
            part_of[group] = tie[lack.argmax()]
            wanted[part_of[group]] -= sizes[group]
    return part_of[codes]


def _bounded(
    rows: NDArray[np.intp], labels: NDArray[np.intp], bound: int | None, rng: np.random.Generator
) -> NDArray[np.intp]:
    """At most so many of the rows, the classes in proportion."""
    place = np.empty(len(rows))  # 0..1 within its class, so that the first few of all have every class's share
    for label in np.unique(labels[rows]):
        members = np.flatnonzero(labels[rows] == label)
        place[members] = (rng.permutation(len(members)) + rng.random()) / len(members)
    return rows if bound is None else np.sort(rows[np.argsort(place)[:bound]])
