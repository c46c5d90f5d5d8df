"""What a consumer's housekeeping forgets, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.store.receipts import answer_to, claim
from pellucid.store.schema import receipt
from pellucid.stream.housekeeping import Housekeeping


@pytest.mark.parametrize(("keep_days", "left"), [(0.0, True), (20.0, False), (50.0, True)])
def test_receipts_go_with_the_answers_and_places_stay(
    make_project: Callable[..., Project], keep_days: float, left: bool
) -> None:
    workspace = make_project(keep_days=keep_days).workspace
    events = [("event:c:/camera", str(number)) for number in range(2001)]
    places = [("carry", "pets@1"), ("bridge:line", "watermark"), ("waits:birds", "ab:/desk#1")]
    with workspace.database.write() as connection:
        for source, key in (*events, *places):
            claim(connection, source, key, {})
        connection.execute(sa.update(receipt).values(at=datetime.now(UTC) - timedelta(days=40)))
        claim(connection, "event:c:/camera", "young", {})
    assert Housekeeping(workspace, "pets").look() == 0
    with workspace.database.read() as connection:
        assert [answer_to(connection, *name) is not None for name in events] == [left] * 2001
        assert all(answer_to(connection, *name) is not None for name in places)
        assert answer_to(connection, "event:c:/camera", "young") is not None
