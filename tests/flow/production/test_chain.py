"""From an answer back to everything behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import NotFoundError
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.feedback import Said, hear
from pellucid.flow.online.live import LiveModel
from pellucid.flow.production.chain import chain
from pellucid.types import Answer

MakeProject = Callable[..., Project]
Picture = Callable[..., bytes]


def test_a_chain_leads_to_model_version_votes_and_ledger(
    make_project: MakeProject, trained_folder: Path, picture: Picture
) -> None:
    project = make_project(of=trained_folder)
    project.promote("pets@1", reason="the first")
    live = LiveModel(project.workspace, project.model("pets@1"))
    (found,) = answer(project.workspace, live.answerer, [Asked(picture("cat", 900), "ann", "door.png")])
    assert isinstance(found, Answer)
    heard = hear(live, Said(found.sample, "cat", "ann", prediction=found.uid))
    behind = chain(project.workspace, found.uid)
    assert behind.answer == found
    assert (behind.model.ref, behind.version.ref) == ("pets@1", "pets@1")
    assert [change.reason for change in behind.champions] == ["the first"]
    assert [(vote.voter, vote.label, vote.prediction) for vote in behind.votes] == [("ann", "cat", found.uid)]
    assert [(entry.vote, entry.label) for entry in behind.learnt] == [(heard.vote, "cat")]
    assert behind.files == ()


def test_an_ingested_image_leads_to_its_file(make_project: MakeProject, trained_folder: Path) -> None:
    project = make_project(of=trained_folder)
    live = LiveModel(project.workspace, project.model("pets@1"))
    name = next(iter(live.rows))
    (found,) = answer(project.workspace, live.answerer, [Asked(project.workspace.images.get(name))])
    assert isinstance(found, Answer)
    assert [Path(item.path).suffix for item in chain(project.workspace, found.uid).files] == [".png"]


def test_an_unknown_answer_is_refused(project: Project) -> None:
    with pytest.raises(NotFoundError, match="no prediction"):
        chain(project.workspace, "0" * 32)
