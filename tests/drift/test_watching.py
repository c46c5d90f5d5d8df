from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pellucid.drift.kolmogorov_smirnov import KolmogorovSmirnov
from pellucid.drift.watching import ASPECTS, DriftReport, Window, holm, watch
from pellucid.errors import DataError, UsageError


def seen(n: int, seed: int, *, moved: int = 0) -> Window:
    """A window of n images, the last so many of which have moved in all aspects."""
    rng = np.random.default_rng(seed)
    is_moved = np.arange(n) >= n - moved
    return Window(
        features=rng.normal(size=(n, 5)) + 6 * is_moved[:, None],
        confidence=np.where(is_moved, 0.3, rng.beta(8, 1, n)),
        classes=np.where(is_moved, "fox", rng.choice(["cat", "dog"], n)),
        trust=np.where(is_moved, 0.2, rng.beta(8, 1, n)),
        images=[f"{index}.jpg" for index in range(n)],
    )


def test_all_aspects_of_a_real_shift() -> None:
    report = watch(seen(200, 1), seen(100, 2, moved=40))
    assert report.drifted == tuple(ASPECTS)
    assert (report.n_reference, report.n_current) == (200, 100)
    assert all(row >= 60 for row in report.moved)
    assert report.images == tuple(f"{row}.jpg" for row in report.moved)
    assert report.summary.startswith("Drift in features (effect 0.")
    assert "confidence lower" in report.summary
    assert "more fox" in report.summary
    assert report.summary.endswith(f"100 images against 200. Moved most: {', '.join(report.images[:5])}.")
    assert "\n" not in report.summary


def test_no_shift() -> None:
    report = watch(seen(200, 1), seen(100, 2))
    assert (report.drifted, report.moved, report.images) == ((), (), ())
    assert report.summary == "No drift in features, confidence, classes and trust: 100 images against 200."


def test_only_what_is_given_is_compared() -> None:
    report = watch(Window(classes=[0, 1] * 30), Window(classes=[1] * 60))
    assert tuple(report.shifts) == report.drifted == ("classes",)
    assert report.images == ()
    assert "Moved most: row 0, row 1" in report.summary


def test_it_survives_json() -> None:
    report = watch(seen(60, 1), seen(60, 2, moved=20))
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert DriftReport.from_dict(data) == report
    assert data["summary"] == report.summary
    assert data["drifted"] == list(report.drifted)
    for wrong in ({}, {**data, "more": 1}, {**data, "shifts": []}):
        with pytest.raises(DataError, match=r"DriftReport\.to_dict"):
            DriftReport.from_dict(wrong)


def test_holm_by_hand() -> None:
    assert holm({}) == {}
    assert holm({"a": 0.2}) == {"a": 0.2}
    assert holm({"a": 0.01, "b": 0.005}) == {"a": 0.01, "b": 0.01}
    assert holm({"a": 0.5, "b": 0.4, "c": 0.9}) == {"a": 1.0, "b": pytest.approx(1.0), "c": 1.0}


def test_p_values_allow_for_the_number_of_aspects() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(60), rng.random(60) * 0.75  # alone below 0.1, together with three others not
    alone = watch(Window(trust=values[0]), Window(trust=values[1]), alpha=0.1)
    steady = {"confidence": [0.5] * 60, "classes": [0] * 60, "features": np.ones((60, 2))}
    together = watch(Window(trust=values[0], **steady), Window(trust=values[1], **steady), alpha=0.1)  # type: ignore[arg-type]
    assert together.shifts["trust"].p_value == pytest.approx(4 * alone.shifts["trust"].p_value)
    assert together.shifts["trust"].effect == alone.shifts["trust"].effect


def test_windows_that_are_alike_rarely_alarm() -> None:
    report = [watch(seen(60, 2 * run), seen(40, 2 * run + 1), alpha=0.1, tests=None) for run in range(60)]
    assert sum(bool(each.drifted) for each in report) <= 13  # 6 are expected at most


def test_other_tests_by_aspect() -> None:
    before, now = Window(confidence=[0.9] * 50), Window(confidence=[0.9] * 30 + [0.1] * 20)
    assert watch(before, now).drifted
    assert not watch(before, now, tests={"confidence": KolmogorovSmirnov(threshold=0.5)}).drifted


def test_images_that_moved_in_more_aspects_come_first() -> None:
    before = Window(confidence=[0.9] * 60, trust=[0.9] * 60)
    now = Window(confidence=[0.1] * 20 + [0.9] * 40, trust=[0.9] * 10 + [0.1] * 20 + [0.9] * 30)
    report = watch(before, now)
    assert report.drifted == ("confidence", "trust")
    assert report.moved[:10] == tuple(range(10, 20))[:10]
    assert set(report.moved) == set(range(30))


@pytest.mark.parametrize(
    ("reference", "current", "message"),
    [
        (Window(), Window(), "without any of features, confidence, classes, trust"),
        (Window(images=["a"]), Window(), "without any of"),
        (
            Window(trust=[1.0], confidence=[1.0]),
            Window(trust=[1.0]),
            "the current window has no confidence and the other",
        ),
        (Window(trust=[1.0]), Window(trust=[1.0], classes=[1]), "the reference has no classes"),
        (Window(trust=[1.0, 1.0], classes=[1]), Window(), "1 of classes, 2 of trust; wanted one row for each image"),
        (Window(trust=[1.0, 1.0], images=["a"]), Window(), "2 of trust, 1 of images"),
        (Window(trust=[1.0]), Window(trust=[np.nan]), "current holds 1 missing"),
        (Window(trust=[1.0]), Window(trust=[]), "shape"),
        (Window(trust=1.0), Window(trust=[1.0]), "shape"),
    ],
)
def test_windows_that_do_not_fit(reference: Window, current: Window, message: str) -> None:
    with pytest.raises(DataError, match=message):
        watch(reference, current)


@pytest.mark.parametrize("more", [{"alpha": 0.0}, {"alpha": 1.0}, {"tests": {"colour": KolmogorovSmirnov()}}])
def test_a_call_that_is_wrong(more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"alpha is|no aspect colour to test; there are features"):
        watch(Window(trust=[1.0]), Window(trust=[1.0]), **more)
