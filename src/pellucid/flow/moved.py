"""Moved: the answers that a drift report names, with their pictures."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.errors import NotFoundError
from pellucid.flow.workspace import Workspace
from pellucid.store.predictions import answer_of
from pellucid.types import Answer


def moved_answers(workspace: Workspace, uids: Sequence[str]) -> tuple[Answer, ...]:
    """The answers of those uids, in their order; what was pruned meanwhile is left out."""
    found = []
    with workspace.database.read() as connection:
        for uid in uids:
            try:
                found.append(answer_of(connection, uid))
            except NotFoundError:
                continue
    return tuple(found)
