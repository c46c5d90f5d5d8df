from __future__ import annotations

import sys

import numpy as np
import pytest
import river.drift

from pellucid.drift.detector import build_detector
from pellucid.drift.river_detector import RiverDetector
from pellucid.errors import DataError, MissingExtraError, UsageError


@pytest.mark.parametrize("name", ["ADWIN", "KSWIN", "PageHinkley"])
def test_verdicts_are_rivers_own(name: str) -> None:
    rng = np.random.default_rng(0)
    stream = np.concatenate([rng.normal(0.9, 0.1, 400), rng.normal(0.2, 0.1, 400)]).tolist()
    settings = {"threshold": 5.0} if name == "PageHinkley" else {}
    ours = build_detector(f"river:{name}", settings, seed=3)
    theirs = getattr(river.drift, name)(**settings, **({"seed": 3} if name == "KSWIN" else {}))
    verdicts = []
    for value in stream:
        ours.update(value)
        theirs.update(value)
        verdicts.append((ours.drift_detected, bool(theirs.drift_detected)))
    assert all(a == b for a, b in verdicts)
    assert any(a for a, _ in verdicts)


def test_settings_are_rivers_keywords() -> None:
    assert RiverDetector.settings("ADWIN")["delta"] == 0.002
    assert "window" not in RiverDetector.settings("KSWIN")
    assert "ADWIN" in repr(RiverDetector("ADWIN", delta=0.1))


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("river", {}, "should read 'river:CLASS'"),
        ("river:", {}, "should read 'river:CLASS'"),
        ("river:Nothing", {}, "no detector 'Nothing'; it has ADWIN, DDM, .*PageHinkley"),
        ("river:DriftRetrainingClassifier", {}, "no detector"),
        ("river:DummyDriftDetector", {}, "no detector"),
        ("river:ADWIN", {"alpha": 1}, "no setting alpha; it accepts clock, delta"),
        ("river:ADWIN", {"delta": "small"}, "takes a float for delta, such as 0.002, not 'small'"),
        ("river:ADWIN", {"clock": True}, "takes a int for clock"),
        ("river:KSWIN", {"alpha": 7.0}, "does not take"),
        ("river:PageHinkley", {"mode": "sideways"}, "does not take"),
    ],
)
def test_what_river_does_not_take(spec: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_detector(spec, settings)


def test_a_detector_of_errors_takes_0_and_1_alone() -> None:
    detector = build_detector("river:DDM", {})
    detector.update(1)
    with pytest.raises(DataError, match="neither 0 nor 1"):
        detector.update(0.5)


def test_without_river_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "river" or name.startswith("river.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[drift\]'"):
        build_detector("river:ADWIN", {})
    assert not build_detector("page-hinkley", {}).drift_detected
