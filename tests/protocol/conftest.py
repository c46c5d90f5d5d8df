"""Small problems with features that tell the classes apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pellucid.protocol.days import draw_days
from pellucid.protocol.problem import Key, Problem, set_problem

MakeProblem = Callable[..., tuple[Problem, Key]]


@pytest.fixture(scope="session")
def make_problem() -> MakeProblem:
    """make_problem(noise="symmetric", rate=0.3, seed=0, n=200): three blobs in 8 dimensions, Tuesday's shifted."""

    def make(noise: str = "symmetric", rate: float = 0.3, seed: int = 0, n: int = 200) -> tuple[Problem, Key]:
        rng = np.random.default_rng(7)
        y = np.arange(n) % 3
        X = rng.normal(0, 0.7, (n, 8)) + 2 * np.eye(8)[y]
        days = draw_days(y, np.arange(n), seed)
        p = None if noise != "instance" else np.eye(3)[y] * 0.6 + 0.4 / 3
        corrupted = X[days.tuesday] + 0.3
        return set_problem(X, corrupted, y, np.arange(n), days, noise=noise, rate=rate, seed=seed, pred_probs=p)

    return make
