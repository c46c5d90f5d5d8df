"""What a learner is given on Tuesday: both days' features, Monday's true labels and Tuesday's noisy ones."""

from __future__ import annotations

from dataclasses import dataclass
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

    def take(self, rows: NDArray[Any]) -> Part:
        """The part of these rows, numbers or a mask."""
        return Part(self.X[rows], self.y[rows], self.groups[rows])


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

    Raises UsageError and DataError as `inject_labels` does.
    """
    features = np.asarray(clean, dtype=np.float32)
    labels, codes = np.asarray(y, dtype=np.intp), np.asarray(groups, dtype=np.intp)
    K = int(labels.max()) + 1
    tuesday = features.copy()
    tuesday[days.tuesday] = np.asarray(corrupted, dtype=np.float32)
    rows = days.tuesday_train
    probabilities = None if noise != "instance" or pred_probs is None else np.asarray(pred_probs)[rows]
    own_seed = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])  # not the stream that drew the days
    given = inject_labels(labels[rows], noise, rate, own_seed, classes=np.arange(K), pred_probs=probabilities).labels

    def part(X: NDArray[np.float32], at: NDArray[np.intp], names: NDArray[np.intp]) -> Part:
        return Part(X[at], names, codes[at])

    problem = Problem(
        monday=part(features, days.monday_train, labels[days.monday_train]),
        tuesday=part(tuesday, rows, np.asarray(given, dtype=np.intp)),
        n_classes=K,
        seed=seed,
    )
    key = Key(
        truth=labels[rows],
        monday=part(features, days.monday_test, labels[days.monday_test]),
        tuesday=part(tuesday, days.tuesday_test, labels[days.tuesday_test]),
    )
    return problem, key
