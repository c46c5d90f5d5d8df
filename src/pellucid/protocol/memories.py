"""Which rows of Monday a learner still has on Tuesday: the visible register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.protocol.method import ALL
from pellucid.protocol.problem import Problem
from pellucid.replay.closest import METRICS, closest_pairs
from pellucid.replay.herding import herding
from pellucid.replay.reservoir import reservoir

Chooser = Callable[[Problem, int], NDArray[np.intp]]  # which so many rows of Monday are kept


def _random(problem: Problem, n_keep: int) -> NDArray[np.intp]:
    return np.random.default_rng([problem.seed, 2]).permutation(len(problem.monday.y))[:n_keep]


def _reservoir(problem: Problem, n_keep: int) -> NDArray[np.intp]:
    order = np.random.default_rng([problem.seed, 3]).permutation(len(problem.monday.y))
    return order[reservoir(len(order), n_keep, problem.seed)]


def _herding(problem: Problem, n_keep: int) -> NDArray[np.intp]:
    return herding(problem.monday.X, problem.monday.y, n_keep)


def _closest(metric: str) -> Chooser:
    def choose(problem: Problem, n_keep: int) -> NDArray[np.intp]:
        monday, tuesday = problem.monday, problem.tuesday
        return closest_pairs(monday.X, monday.y, n_keep, tuesday.X, tuesday.y, metric)

    return choose


MEMORIES: Mapping[str, Chooser | None] = MappingProxyType(
    {
        ALL: None,
        "none": None,
        "random": _random,
        "reservoir": _reservoir,
        "herding": _herding,
        **{metric: _closest(metric) for metric in METRICS},
    }
)


def remember(problem: Problem, memory: str, ratio: float) -> Problem:
    """The problem with only the part of Monday that the memory keeps; the seed decides what is drawn.

    Raises UsageError for an unknown memory.
    """
    if memory not in MEMORIES:
        raise UsageError(f"there is no sampling {memory!r}; there are {', '.join(MEMORIES)}")
    if memory == ALL:
        return problem
    choose = MEMORIES[memory]
    n_keep = round(ratio * len(problem.monday.y))
    rows = np.empty(0, dtype=np.intp) if choose is None else np.sort(choose(problem, n_keep))
    return replace(problem, monday=problem.monday.take(rows))
