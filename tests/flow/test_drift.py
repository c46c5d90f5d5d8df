"""Whether what the champion is asked about has moved, and when somebody is told."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid import Project
from pellucid.errors import DataError
from pellucid.flow.answer import Asked, answer
from pellucid.flow.drift import LEAST, DriftAlarm, find_drift
from pellucid.flow.live import LiveModel

MakeProject = Callable[..., Project]


def shade(label: str, number: int, *, dark: int = 0) -> bytes:
    """A noisy picture of one of two colours, and how much darker it is than usual."""
    rng = np.random.default_rng([number, label == "red"])
    pixels = rng.integers(0, 120, (24, 24, 3))
    pixels[..., 0 if label == "red" else 2] += 120
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels - dark, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def live(make_project: MakeProject, tmp_path: Path) -> LiveModel:
    for label in ("red", "blue"):
        for number in range(160):
            place = tmp_path / "shades" / label / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(shade(label, number))
    project = make_project()
    project.ingest(tmp_path / "shades", "shades", test_fraction=0.5)
    (model,) = project.train("shades", models="ridge")
    project.promote(model.ref)
    return LiveModel(project.workspace, model)


def ask(live: LiveModel, start: int, *, dark: int = 0) -> None:
    images = [shade(label, start + number, dark=dark) for number in range(40) for label in ("red", "blue")]
    answer(live.workspace, live.answerer, [Asked(data) for data in images])


def test_the_same_kind_of_images_is_no_drift(live: LiveModel) -> None:
    ask(live, 1000)
    report = find_drift(live.workspace)
    assert (report.drifted, report.n_current, report.n_reference) == ((), 80, 160)
    assert DriftAlarm()(live.workspace, "shades") is None


def test_darkness_is_drift_and_is_told_once_for_as_long_as_it_stands(live: LiveModel) -> None:
    ask(live, 2000, dark=90)
    report = find_drift(live.workspace)
    assert "features" in report.drifted
    assert set(report.images)
    alarm = DriftAlarm()
    told = alarm(live.workspace, "shades")
    assert told is not None
    assert told.startswith("shades@1: features")
    assert alarm(live.workspace, "shades") == told


def test_too_few_answers_say_nothing(live: LiveModel) -> None:
    answer(live.workspace, live.answerer, [Asked(shade("red", 3000))])
    with pytest.raises(DataError, match=f"from {LEAST} on"):
        find_drift(live.workspace)
    assert DriftAlarm()(live.workspace, "shades") is None


def test_without_a_champion_there_is_no_alarm(project: Project) -> None:
    assert DriftAlarm()(project.workspace, "nobody") is None
