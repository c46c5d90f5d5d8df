"""The doorman remembers who asks for a moment, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pellucid.errors import AccessError, RightError
from pellucid.serve.access import Caller
from pellucid.types import Right
from pellucid.web.desk import Desk
from pellucid.web.doorman import Doorman
from pellucid.web.viewers import Viewer


class Viewers:
    def __init__(self) -> None:
        self.rights = {"ann": frozenset({Right.PREDICT}), "bob": frozenset({Right.FEEDBACK})}
        self.asked = 0

    async def see(self, headers: Mapping[str, str]) -> Viewer | None:
        self.asked += 1
        name = headers.get("cookie", "")
        return Viewer(Caller(name, self.rights[name]), name) if name in self.rights else None


def test_a_screen_full_of_pictures_is_one_question() -> None:
    viewers, now = Viewers(), [0.0]
    doorman = Doorman(cast(Desk, SimpleNamespace(viewers=viewers)), clock=lambda: now[0])

    def admit(name: str) -> Any:
        return asyncio.run(doorman.admit({"cookie": name})).caller.name

    assert [admit("ann") for _ in range(50)] == ["ann"] * 50
    assert viewers.asked == 1
    with pytest.raises(AccessError):
        admit("carl")
    with pytest.raises(RightError):
        admit("bob")
    with pytest.raises(RightError):  # a refusal is not remembered as leave
        admit("bob")
    del viewers.rights["ann"]
    now[0] = 2.0
    with pytest.raises(AccessError):
        admit("ann")
