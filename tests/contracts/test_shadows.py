"""Shadows and what was answered in them, on every database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid.errors import UsageError
from pellucid.store.database import Database
from pellucid.store.jobs import JobSpec, claim, enqueue
from pellucid.store.models import register_model
from pellucid.store.retention import CHUNK, prune_shadows
from pellucid.store.shadows import (
    Shadow,
    ShadowAnswer,
    add_shadow,
    add_shadow_answers,
    differences,
    end_shadows,
    newest_shadow,
    note_shadow,
    running_shadow,
    shadow_figures,
    shadowed,
)
from pellucid.store.votes import add_vote
from pellucid.types import Role, Vote

AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture(autouse=True)
def models(database: Database, make_jobs: Callable[..., list[JobSpec]]) -> None:
    """d@1, d@2 and e@1."""
    for name, count in (("d", 2), ("e", 1)):
        specs = make_jobs(count, dataset=name)
        with database.write() as connection:
            enqueue(database, connection, specs)
            for number in range(count):
                job = claim(connection, "w", 60)
                assert job is not None
                values: dict[str, Any] = {"name": name, "id": f"{number}" * 64, "dataset": "d@1", "uri": "u"}
                values |= {"head": "ridge", "extractor": "classical", "fingerprint": "f" * 64, "settings": {}}
                register_model(connection, job.id, values | {"classes": ["a", "b"], "metrics": {}})


def begin(database: Database, name: str = "d", candidate: int = 2) -> Shadow:
    with database.write() as connection:
        return add_shadow(connection, name, candidate, 0.5, "ann")


def said(number: int, theirs: str = "a", label: str = "a", **more: Any) -> ShadowAnswer:
    made = ShadowAnswer(f"{number:064x}", f"{number:032x}", 1, theirs, 0.75, label, 0.5, AT + timedelta(hours=number))
    return replace(made, **more)


def keep(database: Database, shadow: Shadow, *answers: ShadowAnswer) -> None:
    with database.write() as connection:
        add_shadow_answers(database, connection, shadow.id, answers)


def test_one_runs_at_a_time_for_a_name(database: Database) -> None:
    first = begin(database)
    assert (first.ref, first.share, first.actor, first.ended_at, first.dropped) == ("d@2", 0.5, "ann", None, 0)
    with pytest.raises(UsageError, match=r"d@2 is in the shadow of d's champion .* `pellucid models shadow --end d`"):
        begin(database, candidate=1)
    other = begin(database, "e", 1)
    with database.write() as connection:
        end_shadows(connection, "d", 1)
        assert running_shadow(connection, "d") == first
        end_shadows(connection, "d", 2)
        assert running_shadow(connection, "d") is None
        assert running_shadow(connection, "e") == other
        ended = newest_shadow(connection, "d")
    assert ended is not None
    assert ended.ended_at is not None
    assert ended == replace(first, ended_at=ended.ended_at)
    again = begin(database, candidate=1)
    with database.read() as connection:
        assert newest_shadow(connection, "d") == again
        assert newest_shadow(connection, "d", 2) == ended
        assert newest_shadow(connection, "x") is None


def test_whoever_begins_at_the_same_time_one_does(database: Database) -> None:
    barrier = Barrier(4)

    def attempt(number: int) -> Shadow | UsageError:
        barrier.wait()
        try:
            return begin(database, candidate=1 + number % 2)
        except UsageError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(attempt, range(4)))
    (begun,) = (item for item in found if isinstance(item, Shadow))
    with database.read() as connection:
        assert running_shadow(connection, "d") == begun


def test_a_model_that_is_not_there_or_a_share_out_of_range_breaks_a_constraint(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        begin(database, candidate=9)
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        add_shadow(connection, "d", 2, 1.5, "ann")
    with database.read() as connection:
        assert newest_shadow(connection, "d") is None


def test_the_first_answer_on_an_image_stays(database: Database) -> None:
    shadow = begin(database)
    keep(database, shadow, said(1), said(2, label="b"))
    keep(database, shadow, said(2, label="a"), said(3))
    with database.read() as connection:
        assert shadowed(connection, shadow.id, [f"{number:064x}" for number in (0, 1, 3)]) == {
            f"{number:064x}" for number in (1, 3)
        }
        assert shadowed(connection, shadow.id + 1, [f"{1:064x}"]) == set()
        assert differences(connection, shadow.id, 10) == [said(2, label="b")]


def test_figures_by_hand(database: Database) -> None:
    shadow = begin(database)
    with database.read() as connection:
        none = shadow_figures(connection, shadow.id, 9)
    assert (none.images, none.agreed, none.champions, none.confusion) == (0, 0, (), ())
    assert none.champion_confidence is none.confidence is None
    sure = {"champion_confidence": 0.25, "confidence": 1.0}
    keep(database, shadow, said(1), said(2, "b", "b"), said(3, "a", "b", champion=3), said(4, "b", "a", **sure))
    keep(database, shadow, said(5, "b", "a"))
    other = begin(database, "e", 1)
    keep(database, other, said(1, "a", "b"))
    with database.read() as connection:
        found = shadow_figures(connection, shadow.id, 9)
        assert shadow_figures(connection, shadow.id, 1).confusion == (("b", "a", 2),)
    assert (found.images, found.agreed, found.champions) == (5, 2, (1, 3))
    assert found.champion_confidence == pytest.approx((4 * 0.75 + 0.25) / 5)
    assert found.confidence == pytest.approx((4 * 0.5 + 1.0) / 5)
    assert found.confusion == (("b", "a", 2), ("a", "b", 1))


def test_differences_are_bounded_newest_first_and_can_be_those_with_votes(
    database: Database, make_samples: Callable[[int], list[str]]
) -> None:
    make_samples(5)
    shadow = begin(database)
    keep(database, shadow, said(0), *(said(number, "a", "b") for number in (1, 3, 2)))
    with database.write() as connection:
        for number, dataset in ((0, "d"), (1, "d"), (2, "e")):
            add_vote(connection, Vote(dataset, f"{number:064x}", "a", Role.USER, "ann", AT))
        assert [item.sample[-1] for item in differences(connection, shadow.id, 2)] == ["3", "2"]
        assert [item.sample[-1] for item in differences(connection, shadow.id, 9, voted_in="d")] == ["1"]
        assert differences(connection, shadow.id, 0) == []


def test_trouble_is_replaced_and_what_was_dropped_adds_up(database: Database) -> None:
    shadow = begin(database)
    with database.write() as connection:
        note_shadow(connection, shadow.id, dropped=3, trouble="no weights")
        note_shadow(connection, shadow.id, dropped=2, trouble=None)
        assert running_shadow(connection, "d") == replace(shadow, dropped=5)
        note_shadow(connection, shadow.id, dropped=0, trouble="gone")
        assert running_shadow(connection, "d") == replace(shadow, dropped=5, trouble="gone")


def test_old_answers_go_by_chunks_and_those_that_a_vote_names_stay(
    database: Database, make_samples: Callable[[int], list[str]]
) -> None:
    make_samples(1)
    shadow = begin(database)
    keep(database, shadow, *(said(number, at=AT) for number in range(CHUNK + 2)), said(CHUNK + 9))
    with database.write() as connection:
        add_vote(connection, Vote("d", f"{0:064x}", "a", Role.USER, "ann", AT, prediction=f"{0:032x}"))
        before = AT + timedelta(hours=1)
        assert prune_shadows(connection, before, dry_run=True) == CHUNK + 1
        assert [prune_shadows(connection, before) for _ in range(3)] == [CHUNK, 1, 0]
        assert shadow_figures(connection, shadow.id, 0).images == 2
