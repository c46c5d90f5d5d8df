"""Means, paired differences and their intervals, against a hand's and SciPy's computation."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from scipy.stats import ttest_rel

from pellucid.errors import UsageError
from pellucid.protocol.table import Outcome, paired_interval, summarise, to_csv, to_markdown


def outcome(method: str, seed: int, mean: float, *, noise: str = "pair", rate: float = 0.3, **more: float) -> Outcome:
    scores = {"mean": mean, "monday": mean, "tuesday": mean, "auroc": None, "average_precision": None, **more}
    return Outcome(noise, rate, seed, method, "all", method == "truth", scores)


def test_a_table_by_hand() -> None:
    lines = summarise(
        [
            *(outcome("pellucid", seed, value) for seed, value in enumerate([0.8, 0.9, 1.0])),
            *(outcome("x", seed, value) for seed, value in enumerate([0.7, 0.7, 0.7])),
        ]
    )
    assert [line.method for line in lines] == ["pellucid", "x"]
    assert lines[0].means["mean"] == pytest.approx(0.9)
    assert (lines[0].lead, lines[0].low) == (None, None)
    assert lines[1].lead == pytest.approx(0.2)
    half = 4.302653 * 0.1 / np.sqrt(3)  # Student's t for 2 degrees of freedom
    assert lines[1].low == pytest.approx(0.2 - half, abs=1e-6)
    assert lines[1].high == pytest.approx(0.2 + half, abs=1e-6)


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 12))
    expected = ttest_rel(a, b).confidence_interval(0.95)
    assert paired_interval((a - b).tolist()) == pytest.approx((expected.low, expected.high))


def test_differences_are_taken_over_common_seeds_only() -> None:
    found = [outcome("pellucid", 0, 0.5), outcome("pellucid", 1, 0.9), outcome("x", 1, 0.8), outcome("x", 2, 0.1)]
    [line] = [line for line in summarise(found) if line.method == "x"]
    assert line.lead == pytest.approx(0.1)
    assert line.n_seeds == 2
    assert (line.low, line.high) == (None, None)


def test_noises_are_tables_of_their_own_and_the_metric_sorts() -> None:
    found = [
        outcome("a", 0, 0.5, tuesday=0.9),
        outcome("b", 0, 0.6, tuesday=0.1),
        outcome("a", 0, 0.5, noise="symmetric"),
    ]
    assert [(line.noise, line.method) for line in summarise(found)] == [
        ("pair", "b"),
        ("pair", "a"),
        ("symmetric", "a"),
    ]
    assert [line.method for line in summarise(found, by="tuesday")][:2] == ["a", "b"]
    with pytest.raises(UsageError, match="no metric 'speed'"):
        summarise(found, by="speed")


def test_without_the_reference_there_is_no_lead() -> None:
    [line] = summarise([outcome("x", 0, 0.5)])
    assert line.lead is None


def test_markdown_marks_what_sees_the_truth_and_what_is_ours() -> None:
    found = [outcome(name, seed, value) for name, value in (("pellucid", 0.8), ("truth", 0.9)) for seed in (0, 1)]
    text = to_markdown(summarise([*found, outcome("x", 0, 0.1, auroc=0.75), outcome("x", 1, 0.1, auroc=0.75)]))
    assert "| *truth* | all | 90.0 | 90.0 | 90.0 | -10.0 (-10.0 to -10.0) |  |  |" in text
    assert "| **pellucid** | all | 80.0 |" in text
    assert "| x | all | 10.0 | 10.0 | 10.0 | +70.0 (+70.0 to +70.0) | 0.750 |  |" in text
    assert "30 % of Tuesday's labels wrong, 2 seeds" in text


def test_csv_reads_back() -> None:
    text = to_csv(summarise([outcome("pellucid", 0, 0.8), outcome("x", 0, 0.5)]))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["method"], float(row["mean"]), row["lead"], row["lead_low"]) for row in rows] == [
        ("pellucid", 0.8, "", ""),
        ("x", 0.5, "0.300000", ""),
    ]
