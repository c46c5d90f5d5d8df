"""A retraining that a person asks for is done once, by whoever watches, and says how it stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import ConcurrencyError, UsageError
from pellucid.flow.production.asking import ask_to_retrain, see_standing
from pellucid.flow.production.retrain import Retrainings, retrain
from pellucid.flow.production.triggers import due
from pellucid.store.firings import FiringState, end
from pellucid.store.votes import add_votes
from pellucid.types import Role, Split, Vote

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.fixture
def pets(make_project: Callable[..., Project], tmp_path: Path, class_folders: Callable[..., Path]) -> Project:
    """No [retrain] table names the dataset; pets@1 is the champion, and one vote has been said since."""
    project = make_project(of=None)
    project.ingest(class_folders(tmp_path / "source", {"cat": 20, "dog": 20}), "pets", test_fraction=0.2)
    project.promote(project.train("pets", models="ridge")[0].ref)
    return project


def say(project: Project, label: str = "dog") -> None:
    row = next(row for row in project.inspect("pets").rows if row.split is Split.TRAIN and row.label == "cat")
    with project.workspace.database.write() as connection:
        add_votes(connection, [Vote("pets", row.sample, label, Role.USER, "ann", datetime.now(UTC))])


def test_it_is_refused_where_nothing_is_new(pets: Project) -> None:
    assert see_standing(pets.workspace, "pets").outlook.nothing
    with pytest.raises(UsageError, match="nothing new to learn"):
        ask_to_retrain(pets.workspace, "pets")


def test_one_worker_takes_it_once_and_nobody_asks_twice(pets: Project) -> None:
    say(pets)
    asked = ask_to_retrain(pets.workspace, "pets", actor="ann")
    assert (asked.state, asked.trigger, asked.detail["actor"]) == (FiringState.ASKED, "hand", "ann")
    assert see_standing(pets.workspace, "pets").open == asked
    with pytest.raises(ConcurrencyError, match="is being retrained already"):
        ask_to_retrain(pets.workspace, "pets")
    (taken,) = due(pets.workspace, worker="a")
    assert (taken.id, taken.state, taken.detail["attempt"]) == (asked.id, FiringState.CLAIMED, 1)
    assert due(pets.workspace, worker="b") == []
    with pytest.raises(ConcurrencyError):
        ask_to_retrain(pets.workspace, "pets")
    outcome = retrain(pets.workspace, taken)
    assert (outcome.firing.state, outcome.version) == (FiringState.DONE, "pets@2")
    after = see_standing(pets.workspace, "pets")
    assert (after.open, after.outlook.nothing) == (None, True)
    assert after.last is not None
    assert after.last.id == asked.id


def test_the_watching_worker_does_it_without_a_table(pets: Project) -> None:
    say(pets)
    ask_to_retrain(pets.workspace, "pets")
    seen: list[str | None] = []
    look = Retrainings(pets.workspace, report=lambda outcome: seen.append(outcome.version)).look
    look()
    look()
    assert seen == ["pets@2"]


def test_what_failed_may_be_asked_for_again(pets: Project) -> None:
    say(pets)
    ask_to_retrain(pets.workspace, "pets")
    (taken,) = due(pets.workspace, worker="a")
    with pets.workspace.database.write() as connection:
        end(connection, taken, FiringState.FAILED, message="the disk was full")
    found = see_standing(pets.workspace, "pets")
    assert (found.outlook.new_votes, found.outlook.nothing) == (1, False)
    assert ask_to_retrain(pets.workspace, "pets").state is FiringState.ASKED
