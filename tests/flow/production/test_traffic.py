"""Traffic by numbers, against counting everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pellucid.errors import UsageError
from pellucid.flow.production.traffic import SAMPLED, read_traffic
from pellucid.store.predictions import add_answers
from pellucid.types import Answer

from ..conftest import Pets

NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)


def fill(pets: Pets, minutes: list[float]) -> None:
    sample = pets.project.inspect("pets").rows[0].sample
    answers = [
        Answer(f"{n:032x}", sample, "cat" if n % 4 else "dog", 0.9 if n % 4 else 0.5, {}, (), 0, None, "pets@1", 0, at)
        for n, at in enumerate(NOON - timedelta(minutes=back) for back in sorted(minutes, reverse=True))
    ]
    with pets.project.workspace.database.write() as connection:
        add_answers(connection, pets.live.model, answers)


def test_all_is_counted_where_it_is_little(pets: Pets) -> None:
    fill(pets, [0.5, 0.2, 1.5, 1.4, 1.3, 1.2, 30, 90])
    found = read_traffic(pets.project.workspace, "pets", timedelta(hours=1), now=NOON)
    assert (len(found.buckets), found.width, found.looked_at) == (60, timedelta(minutes=1), 7)
    assert {bucket.start: bucket.answers for bucket in found.buckets if bucket.answers} == {
        NOON - timedelta(minutes=30): 1,
        NOON - timedelta(minutes=2): 4,
        NOON - timedelta(minutes=1): 2,
    }
    busiest = max(found.buckets, key=lambda bucket: bucket.answers)
    assert (dict(busiest.classes), busiest.models) == ({"cat": 0.75, "dog": 0.25}, (1,))
    assert busiest.confidence == pytest.approx(0.8)
    assert found.buckets[0].confidence is None


def test_much_is_sampled_and_scaled(pets: Pets) -> None:
    n = 5 * SAMPLED
    fill(pets, list(np.linspace(0.01, 0.99, n)))
    found = read_traffic(pets.project.workspace, "pets", timedelta(hours=1), now=NOON)
    assert found.looked_at == SAMPLED
    assert found.answers == n
    (full,) = [bucket for bucket in found.buckets if bucket.answers]
    assert full.classes["dog"] == pytest.approx(0.25, abs=0.1)


def test_others_answers_do_not_count(pets: Pets) -> None:
    fill(pets, [1, 2, 3])
    assert read_traffic(pets.project.workspace, "others", timedelta(hours=1), now=NOON).answers == 0


def test_a_span_of_nothing_is_refused(pets: Pets) -> None:
    with pytest.raises(UsageError, match="at least a second"):
        read_traffic(pets.project.workspace, "pets", timedelta(seconds=5))
