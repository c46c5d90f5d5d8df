"""The contracts of drift: one suite for all detectors, one for all tests of windows."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import pkgutil
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pellucid.drift
from pellucid.drift.detector import DETECTORS, Detector, build_detector
from pellucid.drift.register import Register
from pellucid.drift.window import WINDOW_TESTS, Shift, WindowTest, build_window_test
from pellucid.errors import DataError, UsageError

# A detector whose specification takes an argument is tried with these: river's own, of numbers and of errors.
EXAMPLES = {"river": ["river:ADWIN", "river:KSWIN", "river:PageHinkley", "river:HDDMA"]}
DETECTOR_SPECS = [spec for name in DETECTORS.available() for spec in EXAMPLES.get(name, [name])]
TEST_SPECS = list(WINDOW_TESTS.available())
SETTINGS: dict[str, dict[str, Any]] = {"river:PageHinkley": {"threshold": 10.0, "delta": 0.05}}  # for values in 0..1


@pytest.fixture(params=DETECTOR_SPECS)
def detector_spec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def detector(detector_spec: str) -> Detector:
    return build_detector(detector_spec, SETTINGS.get(detector_spec, {}), seed=7)


@pytest.fixture(params=TEST_SPECS)
def test_spec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def window_test(test_spec: str) -> WindowTest:
    return build_window_test(test_spec, {}, seed=7)


def window(spec: str, n: int, seed: int, shift: float = 0.0) -> NDArray[Any]:
    """Rows as the test takes them; ``shift`` in standard deviations."""
    rng = np.random.default_rng(seed)
    if spec == "domain-classifier":
        rows = rng.normal(size=(n, 6))
        rows[:, 0] += shift
        return rows
    if spec == "classes":
        return np.clip(np.round(rng.normal(shift, 1, n)), -2, 2 + 3 * shift).astype(int)
    return rng.normal(shift, 1, n)


def alarms(detector: Detector, values: NDArray[Any]) -> list[int]:
    found = []
    for index, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            found.append(index)
    return found


def errors(share: float, n: int, seed: int) -> NDArray[Any]:
    """A stream of 0 and 1, which every detector takes."""
    return (np.random.default_rng(seed).random(n) < share).astype(float)


@pytest.mark.parametrize(("register", "marker"), [(DETECTORS, "drift_detected"), (WINDOW_TESTS, "compare")])
def test_the_suite_tries_every_implementation(register: Register, marker: str) -> None:
    defined = set()
    for module in pkgutil.iter_modules(pellucid.drift.__path__, "pellucid.drift."):
        for name, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            protocol = getattr(value, "_is_protocol", False)
            if value.__module__ == module.name and hasattr(value, marker) and not protocol:
                defined.add(f"{module.name}:{name}")
    assert defined == {path for path in register.available().values() if path.startswith("pellucid.")}
    tried = DETECTOR_SPECS if register is DETECTORS else TEST_SPECS
    assert {spec.partition(":")[0] for spec in tried} == set(register.available())


def test_a_steady_stream_is_quiet_and_a_change_is_seen(detector: Detector) -> None:
    steady = errors(0.1, 1000, seed=1)
    assert not alarms(detector, steady)
    found = alarms(detector, errors(0.7, 500, seed=2))
    assert found
    assert found[0] < 200


def test_a_detector_starts_anew_after_a_drift(detector: Detector) -> None:
    alarms(detector, errors(0.05, 600, seed=1))
    found = alarms(detector, errors(0.8, 600, seed=2))
    assert found
    assert len(found) < 60  # a new level is no new drift at every value


def test_equal_streams_give_equal_alarms(detector_spec: str) -> None:
    stream = np.concatenate([errors(0.1, 500, seed=3), errors(0.6, 500, seed=4)])
    settings = SETTINGS.get(detector_spec, {})
    first, second = (alarms(build_detector(detector_spec, settings, seed=3), stream) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "0.5", [1.0], 1j])
def test_a_value_that_is_no_number_changes_nothing(detector_spec: str, value: Any) -> None:
    stream = np.concatenate([errors(0.1, 300, seed=5), errors(0.9, 200, seed=6)])
    settings = SETTINGS.get(detector_spec, {})
    with_it, without = (build_detector(detector_spec, settings, seed=1) for _ in range(2))
    assert alarms(with_it, stream[:200]) == alarms(without, stream[:200])
    with pytest.raises(DataError, match="value"):
        with_it.update(value)
    assert alarms(with_it, stream[200:]) == alarms(without, stream[200:])


def test_a_detector_takes_what_numbers_come_as(detector: Detector) -> None:
    values: tuple[Any, ...] = (True, 1, 0, np.float32(1.0), np.int64(0), np.bool_(True))
    for value in values:
        detector.update(value)
    assert detector.drift_detected is False


@pytest.mark.parametrize(
    ("register", "spec"),
    [*((DETECTORS, spec) for spec in DETECTOR_SPECS), *((WINDOW_TESTS, spec) for spec in TEST_SPECS)],
)
def test_settings_are_named_and_checked(register: Register, spec: str) -> None:
    settings = register.settings(spec)
    assert settings
    assert "seed" not in settings
    register.build(spec, settings, seed=0)
    with pytest.raises(UsageError, match="it accepts " + ", ".join(sorted(settings))):
        register.build(spec, {"no such setting": 1}, seed=0)
    for name in settings:
        with pytest.raises(UsageError):
            register.build(spec, {name: object()}, seed=0)


def test_identical_windows_have_not_moved(test_spec: str, window_test: WindowTest) -> None:
    rows = window(test_spec, 80, seed=1)
    shift = window_test.compare(rows, rows)
    assert (shift.effect, shift.drifted, shift.direction, shift.moved) == (0.0, False, "", ())
    assert shift.p_value > 0.5


def test_windows_with_nothing_in_common_have_moved_altogether(test_spec: str, window_test: WindowTest) -> None:
    rows = window(test_spec, 60, seed=1)
    shift = window_test.compare(rows, window(test_spec, 60, seed=2) + 100)
    assert shift.effect == pytest.approx(1.0)
    assert shift.drifted
    assert shift.p_value < 0.01
    assert len(shift.moved) == 20


def test_the_same_distribution_rarely_alarms(test_spec: str) -> None:
    test = build_window_test(test_spec, {"alpha": 0.1, "threshold": 0.0})
    runs = 100
    p_values = np.array(
        [
            test.compare(window(test_spec, 40, 2 * run), window(test_spec, 55, 2 * run + 1)).p_value
            for run in range(runs)
        ]
    )
    below = int((p_values < 0.1).sum())
    assert 1 <= below <= 20  # 10 are expected; binomial, less than 1 in 1,000 beyond on either side
    assert 30 <= int((p_values < 0.5).sum()) <= 68


def test_many_rows_make_no_drift_of_a_trifle(test_spec: str, window_test: WindowTest) -> None:
    shift = window_test.compare(window(test_spec, 100_000, seed=1), window(test_spec, 100_000, seed=2, shift=0.05))
    assert not shift.drifted
    assert shift.effect < shift.threshold


def test_sixty_rows_are_enough_for_a_real_shift(test_spec: str, window_test: WindowTest) -> None:
    shift = window_test.compare(window(test_spec, 300, seed=1), window(test_spec, 60, seed=2, shift=1.5))
    assert shift.drifted
    assert shift.moved


def test_the_effect_does_not_grow_with_the_rows(test_spec: str, window_test: WindowTest) -> None:
    few, many = (
        np.mean(
            [
                window_test.compare(window(test_spec, n, 2 * s), window(test_spec, n, 2 * s + 1, shift=1.0)).effect
                for s in range(runs)
            ]
        )
        for n, runs in ((150, 8), (2000, 2))
    )
    assert few == pytest.approx(many, abs=0.12)


def test_the_moved_rows_are_those_that_moved(test_spec: str, window_test: WindowTest) -> None:
    current = window(test_spec, 200, seed=2)
    current[150:] = window(test_spec, 50, seed=3) + 12
    shift = window_test.compare(window(test_spec, 400, seed=1), current)
    assert shift.drifted
    assert len(shift.moved) == len(set(shift.moved)) == 20
    assert all(row >= 150 for row in shift.moved)


def test_equal_seeds_give_equal_answers_that_survive_json(test_spec: str) -> None:
    rows = window(test_spec, 1300, seed=1), window(test_spec, 1200, seed=2, shift=0.4)
    first, second = (build_window_test(test_spec, {}, seed=5).compare(*rows) for _ in range(2))
    assert first == second
    assert Shift.from_dict(json.loads(json.dumps(first.to_dict(), allow_nan=False))) == first
    with pytest.raises(DataError, match=r"Shift\.to_dict"):
        Shift.from_dict({"statistic": 1.0})


def test_the_verdict_is_chance_and_effect(test_spec: str) -> None:
    rows = window(test_spec, 300, seed=1), window(test_spec, 300, seed=2, shift=1.0)
    lax, strict = (build_window_test(test_spec, {"threshold": floor}).compare(*rows) for floor in (0.0, 1.0))
    assert lax.drifted
    assert not strict.drifted
    assert lax.p_value == strict.p_value
    assert not lax.judged(0.5, 0.01).drifted


def test_a_constant_has_not_moved_and_another_has(test_spec: str, window_test: WindowTest) -> None:
    constant = np.ones_like(window(test_spec, 50, seed=1))
    same = window_test.compare(constant, constant[:30])
    assert (same.effect, same.p_value, same.drifted) == (0.0, 1.0, False)
    other = window_test.compare(constant, 0 * constant)
    assert other.effect == pytest.approx(1.0)
    assert other.drifted


@pytest.mark.parametrize("place", ["reference", "current"])
def test_what_cannot_be_compared(test_spec: str, window_test: WindowTest, place: str) -> None:
    rows = window(test_spec, 30, seed=1)
    holed = rows.astype(float)
    holed[3] = np.nan
    endless = rows.astype(float)
    endless[3] = np.inf
    bad: list[Any] = [holed, endless, rows[:0], rows[:, None, None], 3.0, [None] * 30, [[1, 2], [3]], [object()] * 30]
    for wrong in bad:
        with pytest.raises(DataError, match=place) as caught:
            window_test.compare(*((wrong, rows) if place == "reference" else (rows, wrong)))
        assert "\n" not in str(caught.value)


def test_few_rows_are_no_evidence(test_spec: str, window_test: WindowTest) -> None:
    rows = window(test_spec, 2, seed=1)
    shift = window_test.compare(rows, rows + 50)
    assert not shift.drifted
    assert shift.p_value > 0.05
