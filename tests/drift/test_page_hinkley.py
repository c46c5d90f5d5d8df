from __future__ import annotations

import numpy as np
import pytest
from river.drift import PageHinkley as RiverPageHinkley

from pellucid.drift.page_hinkley import PageHinkley
from pellucid.errors import UsageError


def alarms(detector: PageHinkley | RiverPageHinkley, values: list[float]) -> list[int]:
    found = []
    for index, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            found.append(index)
    return found


def test_by_hand() -> None:
    """0, 0, 0, 4: means 0, 0, 0, 1; the sum upwards with delta 1 is -1, -2, -3, -1, which is 2 above its minimum."""
    assert alarms(PageHinkley(min_instances=1, delta=1.0, threshold=2.0), [0, 0, 0, 4]) == []
    assert alarms(PageHinkley(min_instances=1, delta=1.0, threshold=1.99), [0, 0, 0, 4]) == [3]
    assert alarms(PageHinkley(min_instances=5, delta=1.0, threshold=1.99), [0, 0, 0, 4]) == []


@pytest.mark.parametrize("mode", ["up", "down", "both"])
@pytest.mark.parametrize("seed", range(5))
def test_as_river_without_forgetting(mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stream = np.concatenate([rng.normal(level, 0.2, 300) for level in (0.8, 0.3, 0.9, 0.85)]).tolist()
    own = alarms(PageHinkley(min_instances=20, delta=0.02, threshold=3.0, mode=mode), stream)
    river = alarms(RiverPageHinkley(min_instances=20, delta=0.02, threshold=3.0, alpha=1.0, mode=mode), stream)
    assert own == river
    assert own


def test_the_direction_is_said_and_looked_for() -> None:
    falling = [0.9] * 100 + [0.4] * 100
    detector = PageHinkley(mode="up")
    assert alarms(detector, falling) == []
    detector = PageHinkley(mode="down")
    for value in falling:
        detector.update(value)
        if detector.drift_detected:
            break
    assert detector.direction == "down"
    detector.update(0.4)
    assert detector.direction == ""


def test_a_change_below_delta_is_never_called() -> None:
    assert alarms(PageHinkley(delta=0.05), [0.9] * 1000 + [0.86] * 20_000) == []


def test_confidences_that_stay_the_same_are_quiet() -> None:
    rng = np.random.default_rng(0)
    found = [alarms(PageHinkley(), rng.beta(4, 1, 5000).tolist()) for _ in range(10)]
    assert sum(map(len, found)) <= 1


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"min_instances": 0}, "a whole number 1 or more"),
        ({"min_instances": 2.5}, "a whole number"),
        ({"min_instances": True}, "a whole number"),
        ({"delta": -0.1}, "a number 0 or more"),
        ({"threshold": 0}, "a number above 0"),
        ({"threshold": float("nan")}, "a number above 0"),
        ({"mode": "sideways"}, "one of up, down, both"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], wanted: str) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(settings))} is .*wanted {wanted}"):
        PageHinkley(**settings)  # type: ignore[arg-type]


def test_it_shows_its_settings() -> None:
    assert repr(PageHinkley()) == "PageHinkley(min_instances=30, delta=0.05, threshold=10.0, mode='both')"
