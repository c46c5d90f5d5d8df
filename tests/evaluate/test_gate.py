from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pellucid.errors import DataError, UsageError
from pellucid.evaluate.compare import compare
from pellucid.evaluate.gate import judge

CLASSES = ["cat", "dog"]


def answers(y: list[int], wrong: set[int] | frozenset[int] = frozenset()) -> list[list[float]]:
    """Probabilities of a model that is right but for the images named."""
    return [[0.9, 0.1] if (truth == 0) != (place in wrong) else [0.1, 0.9] for place, truth in enumerate(y)]


def half_and_half(n: int) -> list[int]:
    return [0] * (n // 2) + [1] * (n - n // 2)


def test_by_hand() -> None:
    y = half_and_half(200)
    report = judge(answers(y, {0, 100, 101}), answers(y, {0, 1, 2, 3}), y, CLASSES, floors={"dog": 0.98})
    assert report.passed
    assert report.reasons == ()
    assert report.comparison is not None
    assert report.comparison.difference.value == pytest.approx(1 / 200)
    cat, dog = report.classes
    assert (cat.n, cat.candidate, cat.champion, cat.floor, cat.fallen) == (100, 0.99, 0.96, None, False)
    assert (dog.n, dog.candidate, dog.champion, dog.floor, dog.fallen) == (100, 0.98, 1.0, 0.98, False)


def test_the_interval_is_that_of_the_paired_comparison() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300).tolist()
    groups = (np.arange(300) // 3).tolist()
    a, b = (answers(y, set(rng.permutation(300)[:30].tolist())) for _ in range(2))
    report = judge(a, b, y, CLASSES, groups, resamples=500, seed=3)
    alone = compare(y, a, b, names=("the candidate", "the champion"), groups=groups, resamples=500, seed=3)
    assert report.comparison == alone
    assert report.n_groups == 100


def test_what_may_be_worse_by_more_than_the_margin_is_refused_though_it_looks_equal() -> None:
    few, many = half_and_half(40), half_and_half(400)
    refused = judge(answers(few), answers(few), few, CLASSES)
    assert not refused.passed
    assert "may be less accurate by more than the 5 points allowed" in refused.reasons[0]
    assert "more trusted images narrow the interval" in refused.reasons[0]
    assert judge(answers(many), answers(many), many, CLASSES).passed
    assert judge(answers(few), answers(few), few, CLASSES, margin=0.1).passed


def test_what_is_shown_to_be_worse_is_refused_even_within_the_margin() -> None:
    y = half_and_half(2000)
    report = judge(answers(y, set(range(0, 2000, 100))), answers(y), y, CLASSES)
    assert report.comparison is not None
    assert report.comparison.difference.low > -0.05
    assert not report.passed
    assert report.reasons[0].startswith("less accurate than the champion: the whole interval lies below 0")


def test_a_floor_is_held_against_the_bare_recall() -> None:
    y = half_and_half(400)
    candidate = answers(y, set(range(200, 221)))
    better = judge(candidate, answers(y, set(range(200, 300))), y, CLASSES, floors={"*": 0.9})
    assert better.reasons == ("dog: recall 0.895 is below its floor 0.900",)
    assert judge(candidate, answers(y, set(range(200, 300))), y, CLASSES, floors={"*": 0.9, "dog": 0.89}).passed


def test_a_class_that_falls_is_refused_though_the_whole_is_better() -> None:
    y = half_and_half(400)
    candidate, champion = answers(y, set(range(30))), answers(y, set(range(200, 300)))
    report = judge(candidate, champion, y, CLASSES)
    assert report.comparison is not None
    assert report.comparison.difference.low > 0
    assert report.reasons == ("cat: recall falls from 1.000 to 0.850, more than 0.100 is allowed",)
    assert judge(candidate, champion, y, CLASSES, fall=0.2).passed


def test_one_image_of_a_rare_class_decides_nothing() -> None:
    y = [0] * 300 + [1] * 4
    report = judge(answers(y, {300}), answers(y), y, CLASSES)
    assert report.classes[1].candidate == 0.75
    assert report.passed


def test_a_class_without_an_image_cannot_reach_its_floor() -> None:
    y = [0] * 300
    assert judge(answers(y), answers(y), y, CLASSES).classes[1].candidate is None
    report = judge(answers(y), answers(y), y, CLASSES, floors={"dog": 0.1})
    assert report.reasons == ("dog: has a floor, and no image to hold it against",)


def test_without_an_image_nothing_passes() -> None:
    report = judge(np.empty((0, 2)), np.empty((0, 2)), [], CLASSES)
    assert not report.passed
    assert report.reasons == ("there is no trusted image to judge on",)
    assert report.summary == "not judged"


def test_the_report_is_json() -> None:
    y = half_and_half(100)
    found = json.loads(json.dumps(judge(answers(y, {1}), answers(y), y, CLASSES).to_dict(), allow_nan=False))
    assert found["classes"][0]["name"] == "cat"
    assert found["summary"].startswith("-1.0 points of accuracy on 100 images")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"floors": {"eel": 0.5}}, "'eel', which is no class; there are cat, dog, and"),
        ({"floors": {"cat": 80}}, "the floor of cat is 80; wanted is a share from 0 to 1"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"fall": 2}, "fall is 2"),
    ],
)
def test_what_is_no_rule_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        judge(answers([0, 1]), answers([0, 1]), [0, 1], CLASSES, **options)
    with pytest.raises(DataError):
        judge(answers([0, 1]), answers([0]), [0, 1], CLASSES)


def test_a_candidate_worse_by_the_margin_hardly_ever_passes() -> None:
    """95 % accurate against 90 %: the lower end of the interval is above the margin in about 2.5 % of the draws."""
    rng = np.random.default_rng(1)
    y = half_and_half(600)
    passed = 0
    for _ in range(100):
        a, b = (answers(y, set(np.flatnonzero(rng.random(600) < rate).tolist())) for rate in (0.1, 0.05))
        passed += judge(a, b, y, CLASSES, resamples=200).passed
    assert passed <= 6
