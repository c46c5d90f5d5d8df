"""A detector that is told the champion's confidences."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.drift.page_hinkley import PageHinkley
from pellucid.errors import ConfigError
from pellucid.flow.online.drift_stream import detector_of, follow_stream
from pellucid.flow.production.drift import DriftAlarm
from pellucid.store.predictions import add_answers
from pellucid.types import Answer

MakeProject = Callable[..., Project]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FALL = [0.9] * 60 + [0.3] * 60


def answered(project: Project, confidences: Sequence[float]) -> list[str]:
    """Answers of the champion with those confidences, a second apart; their uids."""
    (model,) = project.models()
    project.promote(model.ref)
    sample = project.inspect("pets").rows[0].sample
    answers = [
        Answer(
            uid=uuid.uuid4().hex, sample=sample, label="cat", confidence=value, probabilities={"cat": value},
            likely=("cat",), entropy=0.0, novelty=None, model=model.ref, ledger=0,
            at=NOON + timedelta(seconds=place), actor="line", name="a.png",
        )
        for place, value in enumerate(confidences)
    ]  # fmt: skip
    with project.workspace.database.write() as connection:
        add_answers(connection, model, answers)
    return [item.uid for item in answers]


def test_it_says_at_which_answer_it_was(make_project: MakeProject, trained_folder: Path) -> None:
    project = make_project(of=trained_folder, drift={"stream": "page-hinkley", "settings": {"threshold": 3.0}})
    uids = answered(project, FALL)
    detector = PageHinkley(threshold=3.0)
    places = []
    for place, value in enumerate(FALL, 1):
        detector.update(value)
        if detector.drift_detected:
            places.append(place)
    found = follow_stream(project.workspace)
    assert found is not None
    assert [alarm.place for alarm in found.alarms] == places
    assert 60 < places[0] < 70
    assert found.alarms[0].uid == uids[places[0] - 1]
    assert found.alarms[0].at == NOON + timedelta(seconds=places[0] - 1)
    newest = follow_stream(project.workspace, most=50)
    assert newest is not None
    assert (newest.answers, newest.alarms) == (50, ())
    assert DriftAlarm()(project.workspace, "pets") == "pets@1: page-hinkley on confidence"


def test_nothing_is_followed_unless_asked_for(make_project: MakeProject, trained_folder: Path) -> None:
    project = make_project(of=trained_folder)
    answered(project, FALL)
    assert follow_stream(project.workspace) is None
    assert DriftAlarm()(project.workspace, "pets") is None


def test_a_detector_of_river(make_project: MakeProject, trained_folder: Path) -> None:
    project = make_project(of=trained_folder, drift={"stream": "river:PageHinkley", "settings": {"threshold": 3.0}})
    answered(project, FALL)
    found = follow_stream(project.workspace)
    assert found is not None
    assert len(found.alarms) == 1


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"steam": "page-hinkley"}, "unknown key 'steam'; known are: stream, settings"),
        ({"stream": 1}, "wanted is a detector"),
        ({"stream": "page-hinkley", "settings": 3}, "a table of the detector's settings"),
        ({"stream": "nobody"}, "no detector 'nobody'"),
        ({"stream": "page-hinkley", "settings": {"treshold": 3}}, "has no setting treshold"),
        ({"stream": "river:DDM"}, "follows errors"),
    ],
)
def test_a_wrong_table_is_named(make_project: MakeProject, table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        detector_of(make_project(drift=table).workspace.settings)
