"""The census counts right on every database, and looks at the newest rows only where tables grow without end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from pellucid.store.aliases import Change, set_alias
from pellucid.store.census import RECENT, Records, count_records, take_census
from pellucid.store.database import Database
from pellucid.store.firings import FiringState, arm, end, fire
from pellucid.store.jobs import claim, enqueue, finish
from pellucid.store.offsets import EARLIEST, advance, move_to
from pellucid.store.schema import model, prediction, vote
from pellucid.store.verdicts import add_verdict
from pellucid.store.votes import add_votes
from pellucid.types import Role, Vote

from .conftest import MakeJobs

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def pets(database: Database, make_jobs: MakeJobs) -> Database:
    """The dataset ``d`` with one trained model, one job that waits, and nothing else."""
    specs = make_jobs(2)
    with database.write() as connection:
        enqueue(database, connection, specs)
        mine = claim(connection, "worker", 60.0)
        assert mine is not None
        finish(connection, mine)
        values = {
            "name": "d", "version": 1, "id": "0" * 64, "job_id": mine.id, "dataset": "d@1", "head": "ridge",
            "extractor": "classical", "fingerprint": "0" * 64, "settings": {}, "classes": ["a", "b"], "metrics": {},
            "created_at": NOW, "uri": "x",
        }  # fmt: skip
        connection.execute(sa.insert(model).values(**values))
    return database


def test_an_empty_database_has_nothing_of_anything(database: Database) -> None:
    with database.read() as connection:
        found = take_census(connection)
        assert take_census(connection, "nobody").dataset is not None
    assert found.size > 0
    assert (found.jobs, found.last, found.offsets, found.dataset) == ({}, None, {}, None)


def test_records_are_counted_without_looking_at_them(
    database: Database, make_samples: Callable[[int], list[str]]
) -> None:
    with database.read() as connection:
        assert count_records(connection) == Records(0, 0, 0)
    make_samples(3)
    with database.read() as connection:
        assert count_records(connection) == Records(3, 0, 0)


def test_trainings_and_the_last_ones_time(pets: Database) -> None:
    with pets.read() as connection:
        found = take_census(connection)
    assert found.jobs == {"done": 1, "queued": 1}
    assert found.last is not None
    assert 0 <= found.last.seconds < 3600
    assert found.last.finished_at.tzinfo is not None


def test_verdicts_and_candidates_refused_in_a_row(pets: Database) -> None:
    with pets.write() as connection:
        base = connection.execute(sa.select(model)).one()._mapping
        jobs = connection.execute(sa.text("SELECT id FROM job ORDER BY id")).scalars().all()
        connection.execute(sa.insert(model).values(**{**base, "version": 2, "job_id": jobs[-1]}))
        for candidate, passed in ((1, False), (1, True), (2, False), (1, False), (2, False)):
            add_verdict(connection, "d", candidate, None, passed=passed, figures={}, actor="test")
        found = take_census(connection, "d").dataset
    assert found is not None
    assert (found.passed, found.refused, found.refused_in_row) == (1, 4, 2)


def test_firings_and_champions(pets: Database) -> None:
    with pets.write() as connection:
        arm(pets, connection, "d", "accuracy_fall", "1", {})
        done = fire(pets, connection, "d", "votes", "1", worker="w", lease=60, detail={})
        fire(pets, connection, "d", "votes", "2", worker="w", lease=60, detail={})
        assert done is not None
        end(connection, done, FiringState.DONE)
        for revision in (1, 2):
            at = NOW + timedelta(days=revision)
            set_alias(connection, Change("d", "champion", revision, "promote", 1, None, "test", "", at))
        set_alias(connection, Change("d", "candidate", 1, "promote", 1, None, "test", "", NOW + timedelta(days=9)))
        found = take_census(connection, "d").dataset
    assert found is not None
    assert found.firings == {"armed": 1, "done": 1, "claimed": 1}
    assert (found.promotions, found.champion_since) == (2, NOW + timedelta(days=2))
    assert found.version == 1


def test_offsets_are_of_readers_and_over_all_partitions(database: Database) -> None:
    with database.write() as connection:
        advance(connection, "predict", "images", 0, 3)
        advance(connection, "predict", "images", 1, 4)
        advance(connection, "publish:out", "predictions", 0, 9)
        move_to(connection, EARLIEST, "images", 0, 2)
        assert take_census(connection).offsets == {("predict", "images"): 7, ("publish:out", "predictions"): 9}


def test_trust_and_agreement_are_of_the_newest_labels_that_people_said(
    pets: Database, make_samples: Callable[[int], list[str]]
) -> None:
    (sample,) = make_samples(1)

    def said(label: str, support: float | None, uid: str | None = None, role: Role = Role.USER) -> Vote:
        return Vote("d", sample, label, role, "ann", NOW, prediction=uid, support=support)

    with pets.write() as connection:
        empty = take_census(connection, "d").dataset
        assert empty is not None
        assert (empty.trust.n, empty.agreement.n) == (0, 0)
        answer = {
            "at": NOW, "model_name": "d", "model_version": 1, "sample_id": sample, "path": "", "label": "a",
            "confidence": 0.5, "probabilities": {}, "uid": "u" * 32,
        }  # fmt: skip
        connection.execute(sa.insert(prediction).values(**answer))
        add_votes(connection, [said("b", 0.0, "u" * 32)] * 3)  # which the newer ones push out
        add_votes(connection, [said("a", 0.9, "u" * 32), said("b", 0.1, "u" * 32)] * (RECENT // 2))
        add_votes(connection, [said("b", None, None), said("b", 0.0, "u" * 32, Role.MODEL)])
        found = take_census(connection, "d").dataset
        other = take_census(connection, "e").dataset
        assert connection.execute(sa.select(sa.func.count()).select_from(vote)).scalar() == RECENT + 5
    assert found is not None
    assert found.trust.n == found.agreement.n == RECENT
    assert found.trust.share == pytest.approx(0.5)
    assert found.agreement.share == pytest.approx(0.5)
    assert other is not None
    assert (other.trust.n, other.version) == (0, 0)
