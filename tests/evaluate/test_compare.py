from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from pellucid.errors import DataError
from pellucid.evaluate.compare import Comparison, compare, mcnemar
from pellucid.evaluate.metrics import evaluate

Outcomes = Callable[..., Any]


def answers(right: list[bool]) -> list[list[float]]:
    """Probabilities of a model that is right (class 0) or wrong."""
    return [[0.9, 0.1] if ok else [0.2, 0.8] for ok in right]


def test_by_hand() -> None:
    a = answers([True] * 10 + [True] * 6 + [False] * 1 + [False] * 3)
    b = answers([True] * 10 + [False] * 6 + [True] * 1 + [False] * 3)
    result = compare([0] * 20, a, b)
    assert (result.n, result.only_a, result.only_b) == (20, 6, 1)
    assert result.difference.value == pytest.approx(5 / 20)
    assert result.p_value == pytest.approx(2 * binom.cdf(1, 7, 0.5))
    gap = np.log(0.9) - np.log(0.2)
    assert result.log_loss_difference.value == pytest.approx(-5 * gap / 20)
    assert result.verdict.startswith("No difference shown: A leads B by 25.0 points")


def test_swapping_the_models_turns_the_signs(outcomes: Outcomes) -> None:
    y, a = outcomes(200, 3, skill=3)
    _, b = outcomes(200, 3, skill=1, seed=0)
    one, other = compare(y, a, b, names=("A", "B")), compare(y, b, a, names=("B", "A"))
    assert other.difference.value == pytest.approx(-one.difference.value)
    assert other.difference.low == pytest.approx(-one.difference.high)
    assert other.log_loss_difference.value == pytest.approx(-one.log_loss_difference.value)
    assert (one.only_a, one.only_b, one.p_value) == (other.only_b, other.only_a, other.p_value)
    assert one.verdict == other.verdict
    assert one.verdict.startswith("A is better than B")
    accuracy = [evaluate(y, p, ["x", "y", "z"]).metrics["accuracy"].value for p in (a, b)]
    assert one.difference.value == pytest.approx(accuracy[0] - accuracy[1])


def test_a_model_equals_itself_but_not_for_certain(outcomes: Outcomes) -> None:
    y, proba = outcomes(100, 3)
    result = compare(y, proba, proba)
    assert (result.only_a, result.only_b, result.p_value) == (0, 0, 1.0)
    assert result.difference.value == 0
    assert 0 < result.difference.high == -result.difference.low < 0.05
    assert result.verdict.startswith("A and B are equally accurate")


def test_copies_of_one_image_prove_nothing() -> None:
    y = [0] * 40
    a, b = answers([True] * 40), answers([False] * 20 + [True] * 20)
    groups = [0] * 20 + list(range(1, 21))
    assert "is better" in compare(y, a, b).verdict
    grouped = compare(y, a, b, groups=groups)
    assert grouped.n_groups == 21
    assert "No difference shown" in grouped.verdict


def test_json_and_back_is_the_same(outcomes: Outcomes) -> None:
    y, a = outcomes(50, 3)
    result = compare(y, a, np.roll(a, 1, axis=0))
    assert Comparison.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))) == result
    with pytest.raises(DataError, match="compare again"):
        Comparison.from_dict({"n": 3})


def test_different_shapes_and_lengths_are_refused(outcomes: Outcomes) -> None:
    y, a = outcomes(10, 3)
    with pytest.raises(DataError, match="one shape"):
        compare(y % 2, a, np.full((10, 2), 0.5))
    with pytest.raises(DataError, match="one length"):
        compare(y, a, a[:5])
    with pytest.raises(DataError, match="group"):
        compare(y, a, a, groups=[1])


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 0), (5, 5), (1, 6), (40, 12), (12, 40)])
def test_mcnemar_is_two_tails_of_a_fair_coin(a: int, b: int) -> None:
    tail = 2 * binom.cdf(min(a, b), a + b, 0.5)
    assert mcnemar(a, b) == mcnemar(b, a) == pytest.approx(min(1.0, tail))
