"""What is kept of Monday."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.errors import UsageError
from pellucid.protocol.memories import MEMORIES, remember

from .conftest import MakeProblem


@pytest.mark.parametrize("memory", [name for name in MEMORIES if name not in ("all", "none")])
def test_a_part_of_monday_with_its_labels(make_problem: MakeProblem, memory: str) -> None:
    problem, _ = make_problem()
    kept = remember(problem, memory, 0.2)
    assert len(kept.monday.y) == 16
    places = [np.flatnonzero((row == problem.monday.X).all(axis=1))[0] for row in kept.monday.X]
    assert len(set(places)) == 16
    assert (problem.monday.y[places] == kept.monday.y).all()
    assert (problem.monday.groups[places] == kept.monday.groups).all()
    assert (remember(problem, memory, 0.2).monday.X == kept.monday.X).all()
    assert kept.tuesday is problem.tuesday


def test_all_and_nothing(make_problem: MakeProblem) -> None:
    problem, _ = make_problem()
    assert remember(problem, "all", 0.2) is problem
    assert remember(problem, "none", 0.2).monday.X.shape == (0, 8)


def test_an_unknown_memory_is_refused(make_problem: MakeProblem) -> None:
    with pytest.raises(UsageError, match="no sampling 'l7'; there are all, none"):
        remember(make_problem()[0], "l7", 0.2)
