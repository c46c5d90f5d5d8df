"""Vectors come the same whichever way they are asked for, and what is gone is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sqlalchemy as sa

from pellucid.errors import NotFoundError
from pellucid.flow.online import vectors as module
from pellucid.flow.online.live import LiveModel
from pellucid.store.schema import sample
from pellucid.types import Split

from ..conftest import Pets

pytestmark = pytest.mark.usefixtures("no_reports")


def test_any_number_comes_in_blocks_as_it_comes_at_once(pets: Pets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 2)
    names = [*pets.show("cat", 0, 1), *(row.sample for row in pets.rows(Split.TRAIN)[:3])]
    rests: list[int] = []
    found, X = pets.live.vectors.gather(names, lambda: rests.append(1))
    assert (found, len(rests)) == (names, 3)
    with pets.project.workspace.database.read() as connection:
        np.testing.assert_array_equal(X, pets.live.vectors.of(connection, names))
        again, Z = pets.live.vectors.intact(connection, [*names, names[0]])
    assert again == names
    np.testing.assert_array_equal(X, Z)
    assert pets.live.vectors.gather([])[1].shape == (0, X.shape[1])


def test_what_is_gone_is_left_out_and_told(pets: Pets, seen_otherwise: Callable[[], LiveModel]) -> None:
    gone, there = pets.show("cat", 0, 1)
    with pets.project.workspace.database.write() as connection:
        connection.execute(sa.update(sample).where(sample.c.id == gone).values(pack="0" * 64))
    vectors = seen_otherwise().vectors
    names, X = vectors.gather([gone, there])
    assert (names, len(X), set(vectors.lost)) == ([there], 1, {gone})
    with pets.project.workspace.database.read() as connection:
        assert vectors.intact(connection, [there])[0] == [there]
        assert set(vectors.lost) == {gone}, "nobody has asked for it again"
        with pytest.raises(NotFoundError, match="removed from the store by hand"):
            vectors.of(connection, [there, gone])
