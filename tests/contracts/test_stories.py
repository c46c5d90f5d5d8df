"""What a picture's story is read from, on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pellucid.store.database import Database
from pellucid.store.ingests import begin_ingest, count_ingests, finish_ingest
from pellucid.store.jobs import JobSpec, claim, enqueue
from pellucid.store.ledger import Entry, add_entries, lines_on
from pellucid.store.models import get_model, register_model
from pellucid.store.predictions import add_answers, newest_said
from pellucid.store.retractions import retract, retractions_of
from pellucid.store.votes import add_vote, all_votes_on
from pellucid.types import Answer, ModelVersion, Role, Vote

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def model(database: Database, make_jobs: Callable[..., list[JobSpec]]) -> ModelVersion:
    """d@1."""
    specs = make_jobs(1, dataset="d")
    with database.write() as connection:
        enqueue(database, connection, specs)
        job = claim(connection, "w", 60)
        assert job is not None
        values: dict[str, Any] = {"name": "d", "id": "0" * 64, "dataset": "d@1", "uri": "u", "head": "ridge"}
        values |= {"extractor": "classical", "fingerprint": "f" * 64, "settings": {}, "classes": ["a"], "metrics": {}}
        register_model(connection, job.id, values)
        return get_model(connection, "d@1")


def test_votes_with_those_taken_back(
    database: Database, model: ModelVersion, make_samples: Callable[[int], list[str]]
) -> None:
    one, other = make_samples(2)
    with database.write() as connection:
        numbers = [
            add_vote(connection, Vote("d", sample, label, Role.USER, voter, NOW))
            for sample, label, voter in ((one, "a", "ann"), (one, "b", "bob"), (other, "a", "ann"))
        ]
        retract(connection, "d", numbers[1:2], actor="chief", reason="drunk")
    with database.read() as connection:
        found = all_votes_on(connection, ["d"], one)
        taken_back = retractions_of(connection, list(found))
        assert all_votes_on(connection, ["e"], one) == {}
        assert retractions_of(connection, []) == {}
    assert {number: vote.voter for number, vote in found.items()} == {numbers[0]: "ann", numbers[1]: "bob"}
    assert {number: (item.actor, item.reason) for number, item in taken_back.items()} == {
        numbers[1]: ("chief", "drunk")
    }


def test_an_unfinished_ingests_votes_are_nobodys(
    database: Database, model: ModelVersion, make_samples: Callable[[int], list[str]]
) -> None:
    (sample,) = make_samples(1)
    with database.write() as connection:
        number = begin_ingest(connection, "d", "somewhere", "folders", {})
        add_vote(connection, Vote("d", sample, "a", Role.USER, "ann", NOW, import_id=number))
    with database.write() as connection:
        before = (count_ingests(connection, "d"), len(all_votes_on(connection, ["d"], sample)))
        finish_ingest(connection, number)
        after = (count_ingests(connection, "d"), len(all_votes_on(connection, ["d"], sample)))
    assert (before, after) == ((0, 0), (1, 1))


def test_lines_of_the_ledger_newest_first(
    database: Database, model: ModelVersion, make_samples: Callable[[int], list[str]]
) -> None:
    one, other = make_samples(2)
    entries = [
        Entry(one, "a", 1.0, "learn", "said"),
        Entry(other, "a", 1.0, "learn", ""),
        Entry(one, None, 0.0, "audit", ""),
    ]
    with database.write() as connection:
        add_entries(connection, model, entries)
    with database.read() as connection:
        found = lines_on(connection, one, 10)
        assert lines_on(connection, one, 1) == found[:1]
    assert [(ref, entry.action, entry.label) for ref, _, entry in found] == [
        ("d@1", "audit", None),
        ("d@1", "learn", "a"),
    ]
    assert all(at.tzinfo is not None for _, at, _ in found)


def test_answers_newest_first_and_how_many_there_are(database: Database, model: ModelVersion) -> None:
    sample = "ab" * 32
    answers = [Answer(f"{n:032}", sample, "a", 1.0, {"a": 1.0}, ("a",), 0.0, None, "d@1", 0, NOW) for n in range(3)]
    with database.write() as connection:
        add_answers(connection, model, answers)
    with database.read() as connection:
        count, found = newest_said(connection, sample, 2)
        assert newest_said(connection, "cd" * 32, 2) == (0, [])
    assert (count, [item.uid for item in found]) == (3, [answers[2].uid, answers[1].uid])
