from __future__ import annotations

import numpy as np

from pellucid.noise.cutoffs import argmax, percentile
from pellucid.noise.evidence import Evidence


def evidence(trusted: bool = False) -> Evidence:
    right = np.linspace(0.05, 0.95, 20)
    p = np.stack([right, 1 - right], axis=1)
    return Evidence(p, np.zeros(20, dtype=np.intp), np.ones(20), np.full(20, trusted))


def test_argmax_suspects_what_the_model_would_call_otherwise() -> None:
    assert argmax(evidence()).suspect.tolist() == [True] * 10 + [False] * 10


def test_a_tie_is_no_contradiction() -> None:
    even = Evidence(np.array([[0.5, 0.5]]), np.array([1]), np.ones(1), np.zeros(1, dtype=bool))
    assert not argmax(even).suspect.any()


def test_percentile_takes_the_lowest_tenth_whatever_they_are() -> None:
    assert percentile(evidence()).suspect.tolist() == [True] * 2 + [False] * 18


def test_equal_margins_are_all_kept() -> None:
    same = Evidence(np.full((20, 2), 0.5), np.zeros(20, dtype=np.intp), np.ones(20), np.zeros(20, dtype=bool))
    assert not percentile(same).suspect.any()


def test_trusted_labels_are_not_suspected() -> None:
    assert not argmax(evidence(trusted=True)).suspect.any()
    assert not percentile(evidence(trusted=True)).suspect.any()
