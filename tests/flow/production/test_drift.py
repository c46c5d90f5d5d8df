"""Whether what the champion is asked about has moved, and when somebody is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import DataError
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.live import LiveModel
from pellucid.flow.production.drift import LEAST, DriftAlarm, find_drift

from ...conftest import shade_bytes, shade_folders

MakeProject = Callable[..., Project]


@pytest.fixture
def live(make_project: MakeProject, tmp_path: Path) -> LiveModel:
    project = make_project()
    project.ingest(shade_folders(tmp_path / "shades", 160), "shades", test_fraction=0.5)
    (model,) = project.train("shades", models="ridge")
    project.promote(model.ref)
    return LiveModel(project.workspace, model)


def ask(live: LiveModel, start: int, *, dark: int = 0) -> None:
    images = [shade_bytes(label, start + number, dark=dark) for number in range(40) for label in ("red", "blue")]
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
    answer(live.workspace, live.answerer, [Asked(shade_bytes("red", 3000))])
    with pytest.raises(DataError, match=f"from {LEAST} on"):
        find_drift(live.workspace)
    assert DriftAlarm()(live.workspace, "shades") is None


def test_without_a_champion_there_is_no_alarm(project: Project) -> None:
    assert DriftAlarm()(project.workspace, "nobody") is None
