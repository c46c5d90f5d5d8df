"""What changed between two versions, in a few words."""

from __future__ import annotations

from dataclasses import replace

from pellucid.types import Row, Split, Status
from pellucid.web.versions import move

_NINE = Row("a" * 64, "9", 1000, Split.TRAIN, Status.OK, "", "a" * 64)


def test_a_change_is_named_by_what_is_another() -> None:
    assert move(_NINE, replace(_NINE, label="4", trust=900)) == "9 → 4"
    assert move(_NINE, replace(_NINE, trust=700)) == "9, believed less"
    assert move(replace(_NINE, trust=700), _NINE) == "9, believed more"
    assert move(_NINE, replace(_NINE, split=Split.TRUSTED)) == "9, train → trusted"
    assert move(_NINE, replace(_NINE, status=Status.SUSPECT)) == "9, now suspect"
    assert move(None, _NINE) == "not there → 9"
