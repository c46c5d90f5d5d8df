"""The contract of what pages read: the chronicle, leases, traffic by numbers, words on answers; on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid.store.acts import add_act
from pellucid.store.chronicle import newest_acts, newest_firings, newest_retractions, newest_verdicts
from pellucid.store.database import Database, now_of
from pellucid.store.firings import arm, fire
from pellucid.store.jobs import JobSpec, claim, enqueue, fail
from pellucid.store.leases import read_leases, read_queue
from pellucid.store.models import register_model
from pellucid.store.predictions import add_answers
from pellucid.store.retractions import retract
from pellucid.store.schema import job as job_table
from pellucid.store.traffic import answer_number_at, answers_at, answers_since, votes_since
from pellucid.store.verdicts import add_verdict
from pellucid.store.votes import add_vote, votes_by, words_on_answers
from pellucid.types import KEEPER, Answer, ModelVersion, Role, Vote

NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)
MakeJobs = Callable[..., list[JobSpec]]


@pytest.fixture
def samples(make_samples: Callable[[int], list[str]]) -> list[str]:
    return make_samples(4)


@pytest.fixture
def model(database: Database, make_jobs: MakeJobs, samples: list[str]) -> ModelVersion:
    specs = make_jobs(1)
    with database.write() as connection:
        enqueue(database, connection, specs)
        job = claim(connection, "w", 60)
        assert job is not None
        values: dict[str, Any] = {"name": "d", "id": "1" * 64, "dataset": "d@1", "head": "ridge"}
        values |= {"extractor": "classical", "fingerprint": "f" * 64, "settings": {}, "classes": ["a", "b"]}
        return register_model(connection, job.id, {**values, "metrics": {}, "uri": "u"})


def said(sample: str, voter: str = "ann", **more: Any) -> Vote:
    return Vote(
        **{"dataset": "d", "sample": sample, "label": "a", "role": Role.USER, "voter": voter, "at": NOON, **more}
    )


def answered(number: int, sample: str, minutes: float, label: str = "a") -> Answer:
    at = NOON + timedelta(minutes=minutes)
    return Answer(f"{number:032x}", sample, label, 0.5 + number / 100, {}, (), 0.0, None, "d@1", 0, at)


def test_answers_are_found_by_their_time(database: Database, model: ModelVersion, samples: list[str]) -> None:
    with database.write() as connection:
        assert answer_number_at(connection, NOON) == 1
        add_answers(connection, model, [answered(n, samples[n % 4], n, "ab"[n % 2]) for n in range(20)])
        connection.execute(sa.text("DELETE FROM prediction WHERE id BETWEEN 5 AND 8"))  # as pruning does
    with database.read() as connection:
        ids = [answer_number_at(connection, NOON + timedelta(minutes=at)) for at in (-1, 0, 2.5, 12, 99)]
        assert [ids[0], ids[1], ids[2], ids[3], ids[4]] == [1, 1, 4, 13, 21]
        assert answer_number_at(connection, NOON + timedelta(minutes=6)) == 9
        assert answer_number_at(connection, NOON + timedelta(minutes=12), low=9) == 13
        assert answers_at(connection, "d", [1, 2, 5, 99]) == [("a", 0.5, 1), ("b", 0.51, 1)]
        assert answers_at(connection, "e", [1, 2]) == []
        assert answers_since(connection, NOON + timedelta(minutes=18)) == 2
        assert answers_since(connection, NOON + timedelta(hours=9)) == 0


def test_votes_are_counted_since_a_time(database: Database, model: ModelVersion, samples: list[str]) -> None:
    later = NOON + timedelta(hours=1)
    with database.write() as connection:
        add_vote(connection, said(samples[0]))
        people = (("ann", Role.USER), ("ann", Role.USER), ("bob", Role.ANNOTATOR))
        for voter, role in (*people, ("d@1", Role.MODEL), (KEEPER, Role.GROUND_TRUTH)):
            add_vote(connection, said(samples[1], voter, role=role, at=later))
    with database.read() as connection:
        assert votes_since(connection, "d", later) == (3, 2)
        assert votes_since(connection, "d", NOON) == (4, 2)
        assert votes_since(connection, "e", NOON) == (0, 0)


def test_last_words_on_answers(database: Database, model: ModelVersion, samples: list[str]) -> None:
    uids = [f"{n:032x}" for n in range(3)]
    with database.write() as connection:
        add_answers(connection, model, [answered(n, samples[n], n) for n in range(3)])
        add_vote(connection, said(samples[0], prediction=uids[0], label="b"))
        add_vote(connection, said(samples[0], prediction=uids[0], label="a"))
        add_vote(connection, said(samples[1], "bob", prediction=uids[1], label="b"))
        add_vote(connection, said(samples[1], "m", prediction=uids[1], role=Role.MODEL))
        gone = add_vote(connection, said(samples[2], "eve", prediction=uids[2]))
        add_vote(connection, said(samples[2], "eve"))
        retract(connection, "d", [gone], actor="me", reason="")
    with database.read() as connection:
        found = words_on_answers(connection, "d", 1, NOON, 10)
        assert found == [(uids[1], "a", "bob", Role.USER, "b"), (uids[0], "a", "ann", Role.USER, "a")]
        assert words_on_answers(connection, "d", 1, NOON, 1) == found[:1]
        assert words_on_answers(connection, "d", 1, NOON, 10, within=1) == []
        assert words_on_answers(connection, "d", 1, NOON + timedelta(seconds=1), 10) == []
        assert words_on_answers(connection, "d", 2, NOON, 10) == []
        newest, first = votes_by(connection, "d", "eve", 9)
        assert (first[0], first[2], newest[2]) == (gone, False, True)
        assert votes_by(connection, "d", "eve", 9, before=newest[0]) == [first]
        assert votes_by(connection, "d", "eve", 1) == [newest]


def test_the_chronicle_is_read_from_where_it_was_left(
    database: Database, model: ModelVersion, samples: list[str]
) -> None:
    with database.write() as connection:
        for verb in ("promote", "cancel", "retry"):
            add_act(connection, "ann", verb, "d@1", {})
        votes = [add_vote(connection, said(samples[0], f"v{n}")) for n in range(5)]
        retract(connection, "d", votes[:4], actor="me", reason="why")
        retract(connection, "d", votes[4:], actor="me", reason="")
        add_verdict(connection, "d", 1, None, passed=False, figures={"judged": True}, actor="me")
        arm(database, connection, "d", "schedule", "armed", {"since": NOON.isoformat()})
        fire(database, connection, "d", "votes", "after 0", worker="w", lease=60, detail={})
    with database.read() as connection:
        retry, cancel = newest_acts(connection, 9, None, but=("promote",))
        assert (retry.verb, cancel.verb) == ("retry", "cancel")
        assert [row.verb for row in newest_acts(connection, 1, retry.id)] == ["cancel"]
        second, first = newest_retractions(connection, 9, None)
        assert (first.votes, first.voters, first.more, first.reason) == (4, ("v0", "v1", "v2"), 1, "why")
        assert (second.votes, second.voters) == (1, ("v4",))
        assert [item.id for item in newest_retractions(connection, 9, second.id)] == [first.id]
        assert newest_retractions(connection, 9, first.id) == []
        assert [row.trigger for row in newest_firings(connection, 9, None)] == ["votes"]
        assert [row.candidate for row in newest_verdicts(connection, 9, None)] == [1]


def test_leases_tell_who_is_alive(database: Database, make_jobs: MakeJobs) -> None:
    specs = make_jobs(4)
    with database.write() as connection:
        enqueue(database, connection, specs)
        first, second = claim(connection, "a", 60), claim(connection, "b", 60)
        third = claim(connection, "c", 60)
        assert first is not None
        assert second is not None
        assert third is not None
        fail(connection, third, "no")
        past = now_of(connection) - timedelta(seconds=1)
        connection.execute(sa.update(job_table).where(job_table.c.id == second.id).values(lease_until=past))
        fire(database, connection, "d", "votes", "after 0", worker="r", lease=60, detail={"message": "auditing"})
    with database.read() as connection:
        found = [(lease.worker, lease.alive) for lease in read_leases(connection)]
        assert found == [("a", True), ("b", False), ("r", True)]
        assert read_leases(connection)[-1].what == "retraining d: auditing"
        queue = read_queue(connection, NOON)
        assert (queue.queued, queue.running, queue.failed) == (1, 2, 1)
        assert queue.oldest is not None
        assert timedelta(0) <= queue.oldest < timedelta(minutes=5)
        assert read_queue(connection, now_of(connection) + timedelta(hours=1)).failed == 0
