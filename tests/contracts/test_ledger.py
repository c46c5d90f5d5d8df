"""The contract of the ledger and of retractions, on every database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.store.database import Database
from pellucid.store.jobs import JobSpec, claim, enqueue
from pellucid.store.ledger import Entry, add_entries, entries_after, entries_of, hold, newest_entry
from pellucid.store.models import register_model
from pellucid.store.predictions import add_predictions
from pellucid.store.retractions import newest_retraction, retract
from pellucid.store.votes import (
    add_vote,
    find_votes,
    first_to_say,
    retracted_counts,
    samples_retracted,
    samples_said,
    standing_votes,
    supports_of,
    votes_of,
)
from pellucid.types import KEEPER, ModelVersion, Prediction, Role, Vote

AT = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)


@pytest.fixture
def samples(make_samples: Callable[[int], list[str]]) -> list[str]:
    return make_samples(4)


@pytest.fixture
def model(database: Database, make_jobs: Callable[..., list[JobSpec]], samples: list[str]) -> ModelVersion:
    specs = make_jobs(1)
    with database.write() as connection:
        enqueue(database, connection, specs)
        job = claim(connection, "w", 60)
        assert job is not None
        values: dict[str, Any] = {
            "name": "d",
            "id": "1" * 64,
            "dataset": "d@1",
            "head": "ridge",
            "extractor": "classical",
        }
        values |= {"fingerprint": "f" * 64, "settings": {}, "classes": ["a", "b"], "metrics": {}, "uri": "u"}
        return register_model(connection, job.id, values)


def said(sample: str, voter: str = "ann", **more: object) -> Vote:
    return Vote(**{"dataset": "d", "sample": sample, "label": "a", "role": Role.USER, "voter": voter, "at": AT, **more})  # type: ignore[arg-type]


def test_what_is_added_comes_back_in_its_order(database: Database, model: ModelVersion, samples: list[str]) -> None:
    entries = [
        Entry(name, "a", weight, "learn", "", strength=1 - weight / 3)
        for name, weight in zip(samples, (1.0, 0.1, 1 / 3, 0.0), strict=True)
    ]
    with database.write() as connection:
        hold(connection, model)
        assert newest_entry(connection, model) == 0
        newest = add_entries(connection, model, [*entries, Entry(samples[0], None, 0.0, "unlearn", "why")])
        found = entries_after(connection, model, 0)
    assert [replace(item, id=0) for item in found[:4]] == entries
    assert [item.credit for item in found[:4]] == [item.weight * item.strength for item in entries]
    assert [item.id for item in found] == sorted({item.id for item in found})
    assert found[-1].id == newest
    with database.read() as connection:
        assert entries_after(connection, model, found[2].id) == found[3:]
        assert entries_of(connection, model, samples[0]) == [found[0], found[-1]]


def test_of_two_writers_no_number_becomes_visible_after_a_higher_one(
    database: Database, model: ModelVersion, samples: list[str]
) -> None:
    """A reader that goes on from what it saw last misses nothing."""
    seen: list[int] = []
    writers = [threading.Thread(target=_write_many, args=(database, model, name)) for name in samples[:3]]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers) or len(seen) < 45:
        with database.read() as connection:
            seen += [item.id for item in entries_after(connection, model, max(seen, default=0))]
    for writer in writers:
        writer.join()
    with database.read() as connection:
        assert seen == [item.id for item in entries_after(connection, model, 0)]
    assert len(seen) == 45


def _write_many(database: Database, model: ModelVersion, sample: str) -> None:
    for weight in range(15):
        with database.write() as connection:
            hold(connection, model)
            add_entries(connection, model, [Entry(sample, "a", weight / 15, "learn", "")])


def test_answers_are_not_kept_waiting_by_a_ledger_that_is_held(
    database: Database, model: ModelVersion, samples: list[str]
) -> None:
    if database.dialect == "sqlite":  # where one write transaction is the lock, and the next one waits for it
        with database.write() as connection:
            hold(connection, model)
            assert newest_entry(connection, model) == 0
        return
    with database.write() as holding:
        hold(holding, model)
        with database.write() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
            add_predictions(connection, model, [Prediction("x", samples[0], "a", 1.0, {"a": 1.0}, model.ref)])


def test_a_vote_is_taken_back_once_and_counts_no_longer(
    database: Database, model: ModelVersion, samples: list[str]
) -> None:
    with database.write() as connection:
        first = add_vote(connection, said(samples[0], support=0.5))
        second = add_vote(connection, said(samples[1], voter="bob", role=Role.GROUND_TRUTH))
        add_vote(connection, said(samples[2], voter=KEEPER, role=Role.GROUND_TRUTH))
        assert newest_retraction(connection, "d") == 0
        number = retract(connection, "d", [first], actor="me", reason="why")
    with database.read() as connection:
        assert newest_retraction(connection, "d") == number
        assert set(find_votes(connection, "d", voter="ann")) == set()
        assert set(find_votes(connection, "d", sample=samples[1])) == {second}
        assert set(find_votes(connection, "d", since=AT + timedelta(seconds=1))) == set()
        assert samples_said(connection, "d") == {samples[1]: second}
        found = [first_to_say(connection, "d", after) for after in (0, first, second)]
        assert found == [{"a": "ann"}, {"a": "bob"}, {}]
        assert samples_said(connection, "d", second) == {}
        assert samples_retracted(connection, "d") == [samples[0]]
        assert samples_retracted(connection, "d", number) == []
        assert samples_retracted(connection, "d", held=(first, AT)) == [samples[0]]
        assert samples_retracted(connection, "d", held=(first - 1, AT)) == []
        assert standing_votes(connection, [first, second]) == {second}
        assert retracted_counts(connection, "d") == {"ann": 1}
        assert supports_of(connection, "d", "ann", 9) == []
        assert votes_of(connection, "d", samples[:1]) == {}
        assert [vote.voter for vote in votes_of(connection, "d", samples[:1], before=0)[samples[0]]] == ["ann"]
    with pytest.raises(ConcurrencyError, match="taken back meanwhile"), database.write() as connection:
        retract(connection, "d", [first, second], actor="me", reason="")
    with database.read() as connection:
        assert standing_votes(connection, [first, second]) == {second}


def test_who_repeats_a_word_gains_no_record_by_it(database: Database, model: ModelVersion, samples: list[str]) -> None:
    with database.write() as connection:
        for support in (0.1, 0.2, 0.9):
            add_vote(connection, said(samples[0], support=support))
        add_vote(connection, said(samples[1], support=0.4))
        assert supports_of(connection, "d", "ann", 9) == [0.4, 0.9]
        assert supports_of(connection, "d", "ann", 1) == [0.4]
