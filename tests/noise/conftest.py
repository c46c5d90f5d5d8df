"""A small world in which everything is known: beliefs, truths drawn from them, and what a good model would say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from pellucid.noise.evidence import Evidence

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    q: Floats  # (n, K) the best possible belief in each class
    truth: NDArray[np.intp]  # (n,) drawn from q

    def said(self, matrix: Floats) -> Floats:
        """What a model says that has learnt labels given by this matrix, from finite data: not quite q T."""
        p = self.q @ matrix * np.exp(np.random.default_rng(7).normal(size=self.q.shape) / 2)
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def evidence(self, given: NDArray[Any], p: Floats | None = None) -> Evidence:
        n = len(self.truth)
        return Evidence(self.q if p is None else p, given.astype(np.intp), np.ones(n), np.zeros(n, dtype=bool))


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    """world(n=1500, K=4, seed=0, spread=6.0): the larger the spread, the surer the beliefs."""

    def make(n: int = 1500, K: int = 4, seed: int = 0, spread: float = 6.0) -> World:
        rng = np.random.default_rng(seed)
        q = softmax(rng.normal(size=(n, K)) * spread, axis=1)
        truth = (rng.random(n)[:, None] > q.cumsum(axis=1)[:, :-1]).sum(axis=1)
        return World(q, truth)

    return make


@pytest.fixture(scope="session")
def f1() -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """f1(suspect, wrong): of finding wrong labels."""
    return lambda suspect, wrong: float(2 * (suspect & wrong).sum() / max(1, suspect.sum() + wrong.sum()))
