from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pellucid.evaluate import reading
from pellucid.evaluate.curve import SizePoint
from pellucid.evaluate.intervals import wilson
from pellucid.evaluate.metrics import evaluate


def told(n: int, promised: float, kept: float) -> str:
    """The sentence about a model that always promises and keeps the same."""
    y = np.where(np.arange(n) < kept * n, 0, 1)
    return reading.calibration(evaluate(y, [[promised, 1 - promised]] * n, ["a", "b"], resamples=200))


def test_over_and_underconfidence_are_said_with_their_size() -> None:
    assert told(1000, 0.9, 0.7).startswith("It is overconfident by 20.0 points: it promises 90.0\xa0%")
    assert told(1000, 0.6, 0.8).startswith("It is underconfident by 20.0 points")
    assert told(1000, 0.8, 0.8).startswith("Its confidence can be taken at its word")
    assert told(3, 0.9, 0.7).startswith("These images are too few")


def test_errors_that_cancel_out_are_not_called_honest() -> None:
    proba = np.repeat([[0.95, 0.05], [0.55, 0.45]], 500, axis=0)
    y = np.concatenate([np.arange(500) >= 375, np.arange(500) >= 375]).astype(int)
    sentence = reading.calibration(evaluate(y, proba, ["a", "b"], resamples=100))
    assert sentence.startswith("Its confidence is too high in some places and too low in others")


def test_the_headline_tells_counts_and_interval() -> None:
    evaluation = evaluate([0, 1, 1, 1], [[0.9, 0.1]] + [[0.1, 0.9]] * 3, ["a", "b"])
    assert reading.headline(evaluation).startswith("Of 4 test images, the model names the right class for 100.0")
    assert "Of 1 test image," in reading.headline(evaluate([0], [[1.0, 0.0]], ["a", "b"]))


def test_strengths_name_the_best_the_worst_and_its_double() -> None:
    y = [0, 0, 1, 1, 2, 2]
    proba = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    sentence = reading.strengths(evaluate(y, proba, ["ant", "bee", "cat"]))
    assert sentence == "It finds ant best (100\xa0%) and bee worst (50\xa0%, which it most often takes for cat)."
    assert reading.strengths(evaluate(y, np.eye(3)[y], ["ant", "bee", "cat"])).startswith("Every class")
    assert reading.strengths(evaluate([0], [[1.0, 0.0]], ["a", "b"])) == ""


def test_confusions_are_sorted_by_number() -> None:
    y, predicted = [0, 0, 0, 1, 1, 1, 1], [1, 0, 0, 2, 2, 0, 1]
    pairs = reading.confusions(evaluate(y, np.eye(3)[predicted], ["a", "b", "c"]))
    assert [(p.true, p.predicted, p.count) for p in pairs] == [("b", "c", 2), ("a", "b", 1), ("b", "a", 1)]
    assert pairs[0].share == 0.5


@pytest.mark.parametrize(
    ("before", "after", "expected"), [(50, 80, "still rises"), (80, 80, "hardly rises"), (80, 60, "hardly rises")]
)
def test_progress_reads_the_last_step(before: int, after: int, expected: str) -> None:
    sentence = reading.progress([SizePoint(1000, wilson(before, 100)), SizePoint(2000, wilson(after, 100))])
    assert expected in sentence
    assert f"From 1,000 to 2,000 training images, test accuracy went {after - before:+.1f} points" in sentence
    assert reading.progress([]) == ""


def test_cautions_where_there_is_cause_and_only_there(outcomes: Callable[..., Any]) -> None:
    y, proba = outcomes(200, 3)
    evaluation = evaluate(y, proba, ["a", "b", "c"])
    assert reading.cautions(evaluation) == ()
    few = evaluate(y[:12] % 2, proba[:12], ["a", "b", "c"], groups=np.arange(12) // 2)
    text = " ".join(reading.cautions(few))
    assert "12 images only" in text
    assert "6 independent groups only" in text
    assert "nothing is known about: c." in text
    assert "little is known about: a, b." in text
    many = replace(few, per_class=tuple(replace(few.per_class[2], name=str(i)) for i in range(11)))
    assert "7 and 3 more." in " ".join(reading.cautions(many))
