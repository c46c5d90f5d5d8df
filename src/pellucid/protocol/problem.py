"""What a learner is given on Tuesday: both days' features, Monday's true labels and Tuesday's noisy ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.noise.inject import inject_labels
from pellucid.protocol.days import Days

NOISES = ("symmetric", "pair", "instance")  # kinds of label noise of `inject_labels` that the protocol knows


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of one day."""

    X: NDArray[np.float32]  # (n, d) features
    y: NDArray[np.intp]  # (n,) class numbers, as far as is known
    groups: NDArray[np.intp]  # (n,) rows of one group show the same thing
    wide: NDArray[np.float32] | None = None  # (n, d) what an audit may see beside X; None for nothing

    def take(self, rows: NDArray[Any]) -> Part:
        """The part of these rows, numbers or a mask."""
        return Part(self.X[rows], self.y[rows], self.groups[rows], None if self.wide is None else self.wide[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What all learners see. Tuesday's true labels are not in it."""

    monday: Part  # to learn from; labels are true
    tuesday: Part  # to learn from; labels are as the users gave them
    n_classes: int
    seed: int  # decides every random choice of a learner


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What learners do not see, and are judged by."""

    truth: NDArray[np.intp]  # (n,) true labels of ``Problem.tuesday``
    monday: Part  # to be judged on; labels are true
    tuesday: Part  # to be judged on; labels are true

    def wrong(self, problem: Problem) -> NDArray[np.bool_]:
        """Where Tuesday's given label is not the true one, (n,)."""
        return np.asarray(problem.tuesday.y != self.truth)


def set_problem(
    clean: ArrayLike,
    corrupted: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    days: Days,
    *,
    noise: str,
    rate: float,
    seed: int,
    pred_probs: ArrayLike | None = None,
    wide: tuple[ArrayLike, ArrayLike] | None = None,
) -> tuple[Problem, Key]:
    """Put the features and labels of one seed together; the wrong labels are drawn once, here.

    Parameters
    ----------
    clean : (n, d) features of all images as they are.
    corrupted : (len(days.tuesday), d) features of Tuesday's images after corruption, in the order of ``days.tuesday``.
    y : (n,) true labels as class numbers 0..K-1.
    groups : (n,) group numbers.
    noise, rate : of Tuesday's training labels, as of `inject_labels`; 0..1.
    pred_probs : (n, K) a model's probabilities; only for the noise ``instance``.
    wide : the same of what audits may see beside, (n, d) and (len(days.tuesday), d).

    Raises UsageError and DataError as `inject_labels` does.
    """
    labels, codes = np.asarray(y, dtype=np.intp), np.asarray(groups, dtype=np.intp)
    K = int(labels.max()) + 1
    both = _two_days(clean, corrupted, days)
    seen = None if wide is None else _two_days(*wide, days)
    rows = days.tuesday_train
    probabilities = None if noise != "instance" or pred_probs is None else np.asarray(pred_probs)[rows]
    own_seed = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])  # not the stream that drew the days
    given = inject_labels(labels[rows], noise, rate, own_seed, classes=np.arange(K), pred_probs=probabilities).labels

    def part(day: int, at: NDArray[np.intp], names: NDArray[np.intp]) -> Part:
        return Part(both[day][at], names, codes[at])

    def learnt(day: int, at: NDArray[np.intp], names: NDArray[np.intp]) -> Part:
        return replace(part(day, at, names), wide=None if seen is None else seen[day][at])

    problem = Problem(
        monday=learnt(0, days.monday_train, labels[days.monday_train]),
        tuesday=learnt(1, rows, np.asarray(given, dtype=np.intp)),
        n_classes=K,
        seed=seed,
    )
    key = Key(
        truth=labels[rows],
        monday=part(0, days.monday_test, labels[days.monday_test]),
        tuesday=part(1, days.tuesday_test, labels[days.tuesday_test]),
    )
    return problem, key


def _two_days(clean: ArrayLike, corrupted: ArrayLike, days: Days) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features of all images on Monday and on Tuesday, each (n, d)."""
    monday = np.asarray(clean, dtype=np.float32)
    tuesday = monday.copy()
    tuesday[days.tuesday] = np.asarray(corrupted, dtype=np.float32)
    return monday, tuesday
