from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
)

from pellucid.errors import DataError
from pellucid.evaluate.evaluation import HIGHER_IS_BETTER
from pellucid.evaluate.intervals import wilson
from pellucid.evaluate.metrics import evaluate

Outcomes = Callable[..., Any]


def names(K: int) -> list[str]:
    return [f"class {index}" for index in range(K)]


def test_by_hand() -> None:
    y = [0, 0, 0, 1]
    proba = [[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9]]
    result = evaluate(y, proba, ["cat", "dog"])
    assert result.confusion == ((2, 1), (0, 1))
    assert result.metrics["accuracy"] == wilson(3, 4)
    assert result.metrics["balanced_accuracy"].value == pytest.approx((2 / 3 + 1) / 2)
    assert result.metrics["macro_f1"].value == pytest.approx((4 / 5 + 2 / 3) / 2)
    expected_loss = -(2 * np.log(0.8) + np.log(0.4) + np.log(0.9)) / 4
    assert result.metrics["log_loss"].value == pytest.approx(expected_loss)
    cat, dog = result.per_class
    assert (cat.precision, cat.recall, cat.f1, cat.support, cat.predicted) == (1.0, wilson(2, 3), 0.8, 3, 2)
    assert (dog.precision, dog.recall, dog.support, dog.predicted) == (0.5, wilson(1, 1), 1, 2)
    assert tuple(result.metrics) == tuple(HIGHER_IS_BETTER)


@pytest.mark.parametrize(("n", "K"), [(200, 2), (400, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_agree_with_scikit_learn(outcomes: Outcomes, n: int, K: int, weighted: bool) -> None:
    y, proba = outcomes(n, K)
    weight = np.random.default_rng(1).uniform(0.1, 1, n) if weighted else None
    result = evaluate(y, proba, names(K), weight=weight, resamples=50)
    predicted = proba.argmax(axis=1)
    value = {name: estimate.value for name, estimate in result.metrics.items()}
    there = sorted(set(y) | set(predicted))
    assert value["accuracy"] == pytest.approx(accuracy_score(y, predicted, sample_weight=weight))
    known = np.isin(predicted, y)  # scikit-learn warns about predictions of classes that are not in y
    if known.all():
        assert value["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, predicted, sample_weight=weight))
    assert value["macro_f1"] == pytest.approx(
        f1_score(y, predicted, labels=there, average="macro", sample_weight=weight, zero_division=0)
    )
    assert value["log_loss"] == pytest.approx(log_loss(y, proba, labels=range(K), sample_weight=weight))
    assert (np.array(result.confusion) == confusion_matrix(y, predicted, labels=range(K))).all()
    precision, recall, f1, _ = precision_recall_fscore_support(
        y, predicted, labels=range(K), sample_weight=weight, zero_division=0
    )
    for index, score in enumerate(result.per_class):
        assert (score.precision or 0) == pytest.approx(precision[index])
        assert (score.recall.value if score.recall else 0) == pytest.approx(recall[index])
        assert (score.f1 or 0) == pytest.approx(f1[index])
        assert score.support == (y == index).sum()


@settings(max_examples=25)
@given(
    st.integers(1, 40),
    st.integers(2, 6),
    st.booleans(),
    st.booleans(),
    st.floats(0, 20),
    st.integers(0, 1000),
)
def test_every_interval_holds_its_value_within_range(
    n: int, K: int, grouped: bool, weighted: bool, skill: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    y = random.integers(K, size=n)
    scores = random.normal(size=(n, K)) * 3
    scores[np.arange(n), y] += skill
    proba = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    result = evaluate(
        y,
        proba,
        names(K),
        groups=random.integers(5, size=n) if grouped else None,
        weight=random.uniform(0.01, 1, n) if weighted else None,
        slices={"site": [str(code) for code in random.integers(3, size=n)]},
        resamples=40,
    )
    assert sum(map(sum, result.confusion)) == n
    assert sum(part.count for part in result.reliability) == n
    shares = [result.metrics[name] for name in result.metrics if name != "log_loss"]
    shares += [score.recall for score in result.per_class if score.recall is not None]
    shares += [part.accuracy for part in result.slices]
    shares += [part.accuracy for part in result.reliability]
    for estimate in shares:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1 + 1e-12
    loss = result.metrics["log_loss"]
    assert 0 <= loss.low <= loss.value <= loss.high


def test_the_order_of_images_does_not_change_a_value(outcomes: Outcomes) -> None:
    y, proba = outcomes(100, 3)
    shuffled = np.random.default_rng(0).permutation(100)
    first, second = evaluate(y, proba, names(3)), evaluate(y[shuffled], proba[shuffled], names(3))
    for name, estimate in first.metrics.items():
        assert second.metrics[name].value == pytest.approx(estimate.value)


def test_equal_seeds_give_equal_evaluations(outcomes: Outcomes) -> None:
    y, proba = outcomes(80, 3)
    assert evaluate(y, proba, names(3), seed=5) == evaluate(y, proba, names(3), seed=5)
    assert evaluate(y, proba, names(3), seed=5) != evaluate(y, proba, names(3), seed=6)


def test_intervals_cover_the_truth(outcomes: Outcomes) -> None:
    y, proba = outcomes(40_000, 4, seed=99)
    truth = evaluate(y, proba, names(4), resamples=2).metrics
    hits = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "log_loss"), 0)
    for seed in range(40):
        y, proba = outcomes(150, 4, seed=seed)
        metrics = evaluate(y, proba, names(4), resamples=200).metrics
        for name in hits:
            hits[name] += metrics[name].low <= truth[name].value <= metrics[name].high
    assert min(hits.values()) >= 34  # of 40; 38 expected


def test_all_right_is_no_certainty() -> None:
    y = np.array([0, 1] * 10)
    result = evaluate(y, np.eye(2)[y], names(2))
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert result.metrics[name].value == 1.0
        assert result.metrics[name].low == pytest.approx(wilson(20, 20).low)
    assert result.metrics["log_loss"].value == 0.0


def test_all_wrong_is_neither_and_costs_no_infinity() -> None:
    y = np.array([0, 1] * 10)
    result = evaluate(y, np.eye(2)[1 - y], names(2))
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert result.metrics[name].value == 0.0
        assert result.metrics[name].high == pytest.approx(wilson(0, 20).high)
    assert result.metrics["log_loss"].value == pytest.approx(36.04, abs=0.01)
    assert result.metrics["calibration_error"].value == pytest.approx(1.0)
    assert result.metrics["calibration_error"].low < 1.0


def test_a_single_image_has_the_widest_intervals() -> None:
    metrics = evaluate([1], [[0.2, 0.8]], names(2)).metrics
    assert metrics["accuracy"] == wilson(1, 1)
    assert metrics["log_loss"].high == pytest.approx(36.04, abs=0.01)
    assert (metrics["calibration_error"].low, metrics["calibration_error"].high) == (0.0, 1.0)


def test_a_class_without_test_images_has_no_recall_and_spoils_no_mean() -> None:
    result = evaluate([0, 1], [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], names(3))
    absent = result.per_class[2]
    assert (absent.precision, absent.recall, absent.f1, absent.support) == (None, None, None, 0)
    assert result.metrics["balanced_accuracy"].value == result.metrics["macro_f1"].value == 1.0


def test_groups_widen_intervals_and_are_counted(outcomes: Outcomes) -> None:
    y, proba = outcomes(50, 3)
    copies = np.repeat(np.arange(50), 8)
    alone = evaluate(y[copies], proba[copies], names(3))
    grouped = evaluate(y[copies], proba[copies], names(3), groups=copies)
    assert alone.n_groups is None
    assert grouped.n_groups == 50
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"):
        wide, narrow = grouped.metrics[name], alone.metrics[name]
        assert wide.value == pytest.approx(narrow.value)
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_slices_by_value_and_the_reason_where_there_are_none(outcomes: Outcomes) -> None:
    y, proba = outcomes(42, 3)
    result = evaluate(
        y,
        proba,
        names(3),
        slices={"site": ["b", "a", ""] * 14, "file": [f"{i}.png" for i in range(42)], "camera": ["x"] * 42},
    )
    assert [(part.key, part.value, part.n) for part in result.slices] == [
        ("site", "", 14),
        ("site", "a", 14),
        ("site", "b", 14),
    ]
    right = proba.argmax(axis=1) == y
    assert result.slices[1].accuracy == wilson(int(right[1::3].sum()), 14)
    assert result.slices_left_out == {
        "file": "42 distinct values, at most 20 are shown",
        "camera": "every image has the value 'x'",
    }


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        ({"classes": ["a"]}, "1 class names"),
        ({"classes": ["a", "a"]}, "1 of them different"),
        ({"weight": [1.0]}, "one number for each"),
        ({"weight": [1.0, 0.0]}, "above 0"),
        ({"weight": [1.0, np.nan]}, "above 0"),
        ({"groups": [1]}, "one group for each"),
        ({"slices": {"site": ["x"]}}, "slice 'site' has 1 values for 2 images"),
        ({"y": [0, 5]}, "K = 2"),
        ({"proba": [[0.5, 0.5], [0.5, 0.9]]}, "row 1"),
    ],
)
def test_bad_input_is_refused(offered: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"y": [0, 1], "proba": [[0.9, 0.1], [0.2, 0.8]], "classes": ["a", "b"]}
    with pytest.raises(DataError, match=message):
        evaluate(**{**good, **offered})
