"""An act of a viewer has its line in the audit trail, whenever the server dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import NotFoundError, StorageError
from pellucid.flow.production.timeline import tell
from pellucid.store.acts import UNSURE, Act, newest_acts
from pellucid.web.desk import Desk


@pytest.fixture
def acts(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """acts(work): what ann's act "cancel" of job 7 gives, as the desk carries it out."""
    monkeypatch.setattr(Desk, "workspace", project.workspace)
    desk = object.__new__(Desk)
    return lambda work: desk._carry_out("ann", "cancel", "job 7", work, {"reason": "too slow"})


def trail(project: Project) -> list[Act]:
    with project.workspace.database.read() as connection:
        return newest_acts(connection, 9)


def test_the_line_is_there_before_the_act_and_sure_after_it(project: Project, acts: Callable[..., Any]) -> None:
    def work() -> str:
        (begun,) = trail(project)
        assert (begun.actor, begun.verb, begun.detail) == ("ann", "cancel", {"reason": "too slow", UNSURE: True})
        assert tell(project.workspace).happenings[0].what == "cancel: job 7 (begun; nobody knows whether it was done)"
        return "done"

    assert acts(work) == "done"
    (act,) = trail(project)
    assert act.detail == {"reason": "too slow"}
    assert tell(project.workspace).happenings[0].what == "cancel: job 7"


def test_what_was_refused_is_no_act(project: Project, acts: Callable[..., Any]) -> None:
    def refuse() -> None:
        raise NotFoundError("there is no job 7")

    with pytest.raises(NotFoundError):
        acts(refuse)
    assert trail(project) == []


@pytest.mark.parametrize("error", [StorageError("the database is away"), KeyboardInterrupt()])
def test_of_what_broke_off_the_line_says_that_nobody_knows(
    project: Project, acts: Callable[..., Any], error: BaseException
) -> None:
    def break_off() -> None:
        raise error

    with pytest.raises(type(error)):
        acts(break_off)
    (act,) = trail(project)
    assert act.detail[UNSURE] is True
