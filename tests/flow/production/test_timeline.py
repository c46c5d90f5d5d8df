"""The timeline: everything that happened, once, newest first, in pieces."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.flow.online.live import LiveModel
from pellucid.flow.production.meanwhile import meanwhile
from pellucid.flow.production.timeline import Chapter, Kind, tell
from pellucid.flow.workspace import Workspace
from pellucid.store.acts import add_act
from pellucid.store.firings import FiringState, end, fire
from pellucid.store.verdicts import add_verdict
from pellucid.types import Role

from ..conftest import Pets


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory, live_folder: Path) -> Iterator[Workspace]:
    """After the promotion of pets@1: a forgotten voter, a refusal, a failed retraining, drift, two acts."""
    folder = tmp_path_factory.mktemp("eventful") / "project"
    shutil.copytree(live_folder, folder)
    with Project(folder, settings={"threads": 2}, environ={}) as project:
        pets = Pets(project, LiveModel(project.workspace, project.model("pets")))
        pets.say(pets.show("cat", 1)[0], "dog", voter="<b>eve</b>")
        for n in range(2, 4):
            pets.say(pets.show("cat", n)[0], "cat", voter="bob", role=Role.ANNOTATOR)
        project.forget("pets", voter="<b>eve</b>", reason="lies", actor="ann")
        database = project.workspace.database
        with database.write() as connection:
            figures = {"judged": True, "summary": "0.7 against 0.9", "reasons": ["worse by 20 points"]}
            for _ in range(2):  # asked twice
                add_verdict(connection, "pets", 1, None, passed=False, figures=figures, actor="worker")
            for trigger, key in (("votes", "after 0"), ("drift", "pets@1: features")):
                detail = {"why": f"because of {trigger}"}
                fired = fire(database, connection, "pets", trigger, key, worker="w", lease=60, detail=detail)
                assert fired is not None
                if trigger == "votes":
                    end(connection, fired, FiringState.FAILED, message="no luck")
            add_act(connection, "ann", "promote", "pets@1", {})  # told by the history of the champion
            add_act(connection, "ann", "take back", "pets:1234", {})  # told by the votes that were taken back
            add_act(connection, "ann", "cancel", "job 7", {"reason": "too slow"})
        yield project.workspace


def told(chapter: Chapter) -> list[tuple[Kind, str, str, str]]:
    return [(item.kind, item.what, item.who, item.why) for item in chapter.happenings]


def test_it_tells_who_did_what_and_why(eventful: Workspace) -> None:
    chapter = tell(eventful)
    assert [item.at for item in chapter.happenings] == sorted((item.at for item in chapter.happenings), reverse=True)
    found = dict(zip([item.kind for item in chapter.happenings], told(chapter), strict=True))
    actor = found[Kind.PROMOTION][2]
    assert found == {
        Kind.ACT: (Kind.ACT, "cancel: job 7", "ann", "too slow"),
        Kind.DRIFT: (Kind.DRIFT, "pets is being retrained", "trigger: drift", "because of drift"),
        Kind.RETRAINING: (
            Kind.RETRAINING,
            "pets could not be retrained",
            "trigger: votes",
            "because of votes; no luck",
        ),
        Kind.GATE: (Kind.GATE, "The gate refuses pets@1", "worker", "0.7 against 0.9: worse by 20 points"),
        Kind.FORGOTTEN: (Kind.FORGOTTEN, "1 vote of <b>eve</b> on pets taken back", "ann", "lies"),
        Kind.PROMOTION: (Kind.PROMOTION, "Model pets@1 is champion", actor, ""),
        Kind.TRAINING: (Kind.TRAINING, "Training on dataset pets@1: 1 done", "", ""),
        Kind.REVIEW: (Kind.REVIEW, "2 labels of pets decided in review", "bob", ""),
    }
    assert {item.kind: item.good for item in chapter.happenings} == {
        **dict.fromkeys(found),
        Kind.RETRAINING: False,
        Kind.GATE: False,
    }
    assert not chapter.more


@pytest.mark.parametrize("most", [1, 2, 5])
def test_pieces_together_are_the_whole(eventful: Workspace, most: int) -> None:
    workspace = eventful
    pieces = [tell(workspace, most=most)]
    while pieces[-1].more:
        pieces.append(tell(workspace, most=most, older=pieces[-1].older))
        assert len(pieces) < 10
    assert list(dict.fromkeys((item.what, item.why) for piece in pieces for item in piece.happenings)) == [
        (item.what, item.why) for item in tell(workspace).happenings
    ]


def test_one_kind_is_told_alone(eventful: Workspace) -> None:
    for kind in Kind:
        found = tell(eventful, kinds=(kind,), most=1)
        assert [item.kind for item in found.happenings] == ([] if kind is Kind.ROLLBACK else [kind])
        assert found.more is (kind is Kind.GATE)  # the same verdict once more, which is told once


def test_meanwhile_is_what_came_after(eventful: Workspace) -> None:
    workspace, now = eventful, datetime.now(UTC)
    whole = meanwhile(workspace, "pets", now - timedelta(hours=1), now)
    assert (whole.answers, whole.votes, len(whole.happenings), whole.more) == (3, 3, 3, True)
    assert whole.lines == [
        "Meanwhile: 3 answers and 3 votes.",
        "cancel: job 7.",
        "pets is being retrained.",
        "pets could not be retrained.",
        "The overview's timeline has more.",
    ]
    assert meanwhile(workspace, "pets", now + timedelta(hours=1), now).lines == []
    assert meanwhile(workspace, None, now - timedelta(days=900), now).votes == 0
