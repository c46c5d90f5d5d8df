"""Reservoir: every row has the same chance, wherever in the stream it came."""

from __future__ import annotations

import numpy as np
from scipy.stats import chisquare

from pellucid.replay.reservoir import Reservoir, reservoir


def test_every_row_is_kept_equally_often() -> None:
    counts = np.zeros(20)
    for seed in range(2000):
        counts[reservoir(20, 5, seed)] += 1
    assert counts.sum() == 10_000
    assert chisquare(counts).pvalue > 0.001


def test_a_short_stream_is_kept_whole_and_the_seed_decides() -> None:
    assert reservoir(3, 5, 0).tolist() == [0, 1, 2]
    assert reservoir(50, 5, 1).tolist() == reservoir(50, 5, 1).tolist() != reservoir(50, 5, 2).tolist()
    assert reservoir(5, 0, 0).tolist() == []


def test_it_says_whether_a_row_was_taken() -> None:
    kept = Reservoir(1, seed=0)
    assert kept.offer(7)
    taken = [kept.offer(row) for row in range(100)]
    assert kept.rows[0] == max([7, *(row for row, was in enumerate(taken) if was)][1:], default=7)
    assert kept.seen == 101
