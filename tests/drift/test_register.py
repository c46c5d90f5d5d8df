from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from pellucid.drift import register
from pellucid.drift.detector import DETECTORS, build_detector
from pellucid.drift.page_hinkley import PageHinkley
from pellucid.drift.window import WINDOW_TESTS, build_window_test
from pellucid.errors import ConfigError, UsageError


def offer(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    def found(*, group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group) for name, value in points if group == "pellucid.detectors"]

    monkeypatch.setattr(register, "entry_points", found)


def test_a_class_of_ones_own() -> None:
    assert isinstance(build_detector("pellucid.drift.page_hinkley:PageHinkley", {"delta": 0.1}), PageHinkley)


def test_a_package_offers_more(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ("mine", "pellucid.drift.page_hinkley:PageHinkley"))
    assert isinstance(build_detector("mine", {}), PageHinkley)
    assert "mine" not in WINDOW_TESTS.available()


def test_a_name_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ("river", "other:Class"))
    with pytest.raises(ConfigError, match=r"'river' is registered twice, as pellucid.* and as other:Class; rename"):
        DETECTORS.available()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "there are page-hinkley, river"),
        ("adwin", "no detector 'adwin'.*there are page-hinkley, river, and your own class as package.module:Class"),
        ("page-hinkley:x", "should read 'page-hinkley'"),
        ("json:loads", "lacks update, drift_detected; see pellucid.drift.detector.Detector"),
        ("no.such:Class", "no detector"),
    ],
)
def test_what_names_nothing(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_detector(spec, {})


@pytest.mark.parametrize(
    "settings", [{"alpha": 0.0}, {"alpha": 0.9}, {"alpha": "1"}, {"threshold": -0.1}, {"threshold": 2}, {"most": 1.5}]
)
@pytest.mark.parametrize("spec", sorted(WINDOW_TESTS.built_in))
def test_values_out_of_range(spec: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(settings))} is .*wanted"):
        build_window_test(spec, settings)
