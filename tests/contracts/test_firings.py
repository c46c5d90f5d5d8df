"""The contract of firings, verdicts and the votes that retraining counts, on every database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.errors import ConcurrencyError
from pellucid.flow.production.triggers import due
from pellucid.flow.workspace import Workspace
from pellucid.store.database import Database
from pellucid.store.firings import (
    MAX_ATTEMPTS,
    Firing,
    FiringState,
    end,
    fire,
    firings_of,
    give_back,
    lock_dataset,
    note,
    renew,
    take_over,
)
from pellucid.store.jobs import JobSpec, claim, enqueue
from pellucid.store.models import register_model
from pellucid.store.schema import prediction, retracted_vote, retraction, vote
from pellucid.store.verdicts import add_verdict, verdicts_of
from pellucid.store.votes import add_votes, agreements, count_votes, newest_vote, samples_voted, vote_before, votes_of
from pellucid.types import KEEPER, Role, Vote

AT = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)
MakeJobs = Callable[..., list[JobSpec]]
MakeSamples = Callable[[int], list[str]]


def claimed(database: Database, key: str = "after 0", *, worker: str = "a", lease: float = 60) -> Firing | None:
    with database.write() as connection:
        return fire(database, connection, "d", "votes", key, worker=worker, lease=lease, detail={"upto": 7})


def all_of(database: Database) -> list[Firing]:
    with database.read() as connection:
        return firings_of(connection, "d")


def test_an_occasion_fires_once_and_another_one_again(database: Database, make_jobs: MakeJobs) -> None:
    make_jobs(1)
    first = claimed(database)
    assert first is not None
    assert (first.state, first.detail["upto"], first.detail["attempt"]) == (FiringState.CLAIMED, 7, 1)
    assert claimed(database) is None
    assert claimed(database, worker="b") is None
    assert claimed(database, "after 7") is not None
    with database.write() as connection:
        end(connection, first, FiringState.DONE, message="there")
    assert claimed(database, worker="b") is None
    assert [(item.key, item.state, item.message) for item in all_of(database)] == [
        ("after 0", FiringState.DONE, "there"),
        ("after 7", FiringState.CLAIMED, ""),
    ]


def test_of_many_workers_one_gets_it(database: Database, make_jobs: MakeJobs) -> None:
    make_jobs(1)
    barrier = Barrier(6)

    def run(number: int) -> Firing | None:
        barrier.wait()
        return claimed(database, worker=str(number))

    with ThreadPoolExecutor(6) as pool:
        found = [item for item in pool.map(run, range(6)) if item is not None]
    assert len(found) == 1
    assert [item.detail["worker"] for item in all_of(database)] == [found[0].detail["worker"]]


def test_a_dead_one_is_taken_over_after_its_lease_and_can_tell_nothing_more(
    database: Database, make_jobs: MakeJobs
) -> None:
    make_jobs(1)
    dead = claimed(database, lease=-1)
    alive = claimed(database, "alive")
    assert dead is not None
    assert alive is not None
    with database.write() as connection:
        assert [item.key for item in take_over(connection, "d", "b", 60)] == ["after 0"]
        assert take_over(connection, "d", "c", 60) == []
        assert not renew(connection, dead, 60, "training")
        assert renew(connection, alive, 60, "training")
        with pytest.raises(ConcurrencyError, match="taken over"):
            end(connection, dead, FiringState.DONE)
        with pytest.raises(ConcurrencyError, match="taken over"):
            note(connection, dead, version="d@1")
        assert note(connection, alive, version="d@1").detail["version"] == "d@1"
    assert [item.message for item in all_of(database)] == ["", "training"]


def test_one_that_kills_its_workers_is_given_up_and_one_given_back_is_not(
    database: Database, make_jobs: MakeJobs
) -> None:
    make_jobs(1)
    mine = claimed(database)
    assert mine is not None
    for _ in range(5):
        with database.write() as connection:
            give_back(connection, mine)
            (mine,) = take_over(connection, "d", "b", 60)
    assert mine.detail["attempt"] == 1
    with database.write() as connection:
        give_back(connection, mine)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            (mine,) = take_over(connection, "d", "b", -1)
            assert mine.detail["attempt"] == attempt
        assert take_over(connection, "d", "b", -1) == []
    (lost,) = all_of(database)
    assert lost.state is FiringState.FAILED
    assert "3 workers died over it" in lost.message


def test_the_lock_is_of_a_dataset_that_is_there(database: Database, make_jobs: MakeJobs) -> None:
    make_jobs(1)
    with database.write() as connection:
        assert lock_dataset(connection, "d")
        assert not lock_dataset(connection, "e")


def test_verdicts_are_kept_in_their_order(database: Database, make_jobs: MakeJobs) -> None:
    specs = make_jobs(2)
    with database.write() as connection:
        enqueue(database, connection, specs)
        for _ in range(2):
            job = claim(connection, "w", 60)
            assert job is not None
            values = {"name": "d", "id": "e" * 64, "dataset": "d@1", "head": "ridge", "extractor": "classical"}
            values |= {"fingerprint": "f" * 64, "uri": "x"}
            register_model(connection, job.id, {**values, "settings": {}, "classes": ["a"], "metrics": {}})
    figures = {"judged": True, "summary": "-1.0 points", "reasons": ["a", "b"]}
    with database.write() as connection:
        first = add_verdict(connection, "d", 2, 1, passed=False, figures=figures, actor="ann")
        second = add_verdict(connection, "d", 1, None, passed=True, figures={"judged": False}, actor="bob")
    assert (first.passed, first.judged, first.line) == (False, True, "-1.0 points: a; b")
    assert (second.passed, second.judged, second.champion) == (True, False, None)
    assert abs(first.at - datetime.now(UTC)) < timedelta(minutes=1)
    with database.read() as connection:
        assert verdicts_of(connection) == verdicts_of(connection, "d") == [first, second]
        assert verdicts_of(connection, "d", 1) == [second]
        assert verdicts_of(connection, "e") == []


def test_what_counts_as_new_votes(database: Database, make_jobs: MakeJobs, make_samples: MakeSamples) -> None:
    make_jobs(1)
    ids = make_samples(5)
    first = Vote("d", ids[0], "a", Role.USER, "ann", AT)
    said = [first] + [replace(first, sample=name, at=AT + timedelta(days=1)) for name in ids[1:]]
    said[2] = replace(said[2], role=Role.MODEL)
    said[3] = replace(said[3], voter=KEEPER, role=Role.GROUND_TRUTH)
    with database.write() as connection:
        assert newest_vote(connection, "d") == 0
        add_votes(connection, said)
        newest = newest_vote(connection, "d")
        assert vote_before(connection, "d", AT) == newest - 4
        assert count_votes(connection, "d", newest - 5) == 4
        assert count_votes(connection, "d", newest - 4) == 3
        assert sorted(samples_voted(connection, "d", (newest - 4, newest))) == [ids[1], ids[2], ids[4]]
        left = votes_of(connection, "d", ids, without=(newest - 4, newest))
        assert sorted(left) == [ids[0], ids[3]]
        note_ = {"dataset": "d", "actor": "eve", "reason": "spam", "at": AT}
        retracted = connection.execute(sa.insert(retraction).values(**note_).returning(retraction.c.id)).scalar_one()
        connection.execute(sa.insert(retracted_vote).values(vote_id=newest, retraction_id=retracted))
        assert count_votes(connection, "d", newest - 4) == 2
        assert sorted(samples_voted(connection, "d", (newest - 4, newest))) == [ids[1], ids[2]]


def test_agreement_is_one_say_a_voter_and_an_answer(
    database: Database, make_jobs: MakeJobs, make_samples: MakeSamples
) -> None:
    (spec,) = make_jobs(1)
    (sample,) = make_samples(1)
    with database.write() as connection:
        enqueue(database, connection, [spec])
        job = claim(connection, "w", 60)
        assert job is not None
        values = {"name": "d", "id": "e" * 64, "dataset": "d@1", "head": "ridge", "extractor": "classical"}
        values |= {"fingerprint": "f" * 64, "uri": "x"}
        register_model(connection, job.id, {**values, "settings": {}, "classes": ["a"], "metrics": {}})
        answer = {"at": AT, "model_name": "d", "model_version": 1, "sample_id": sample, "path": "x", "label": "a"}
        answer |= {"confidence": 0.9, "probabilities": {}}
        connection.execute(sa.insert(prediction), [{**answer, "uid": uid} for uid in ("p", "q", "r")])
        word = {"dataset": "d", "sample_id": sample, "role": "user", "at": AT}
        words = [("p", "ann", "b"), ("p", "ann", "a"), ("p", "bob", "b"), ("q", "ann", "b"), ("r", "ann", "a")]
        for uid, voter, label in words:
            connection.execute(sa.insert(vote).values(**word, prediction=uid, voter=voter, label=label))
        assert agreements(connection, "d", 1, AT, 10) == [True, False, False, True]
        assert agreements(connection, "d", 1, AT, 2) == [True, False]
        assert agreements(connection, "d", 1, AT + timedelta(seconds=1), 10) == []
        assert agreements(connection, "d", 2, AT, 10) == []


def test_workers_that_look_at_once_and_again_after_a_restart_fire_once(
    database_url: str, tmp_path: Path, class_folders: Callable[..., Path]
) -> None:
    table = {"dataset": "pets", "votes": 4, "schedule": "0 3 * * *"}
    flags = {"database_url": database_url, "retrain": table}
    Project.init(tmp_path / "project").close()
    opened = [Project(tmp_path / "project", settings=flags, environ={}) for _ in range(4)]
    workspaces = [project.workspace for project in opened]
    night = datetime(2026, 3, 2, 2, tzinfo=UTC)
    try:
        assert due(workspaces[0], night, worker="early") == []  # the dataset comes later
        opened[0].ingest(class_folders(tmp_path / "source", {"cat": 3, "dog": 3}), "pets", test_fraction=0.4)
        (only,) = due(workspaces[0], night, worker="first")
        assert only.trigger == "votes"
        names = [row.sample for row in opened[0].inspect("pets").rows]
        with workspaces[0].database.write() as connection:
            add_votes(connection, [Vote("pets", name, "cat", Role.USER, "ann", AT) for name in names])
        barrier = Barrier(4)

        def look(workspace: Workspace) -> list[Firing]:
            barrier.wait()
            return due(workspace, night + timedelta(hours=2), worker=str(id(workspace)))

        with ThreadPoolExecutor(4) as pool:
            fired = [item.trigger for found in pool.map(look, workspaces) for item in found]
        assert sorted(fired) == ["schedule", "votes"]
    finally:
        for project in opened:
            project.close()
    with Project(tmp_path / "project", settings=flags, environ={}) as again:
        for hours in (2, -1, 1.5, 2):  # whatever the clock says
            assert due(again.workspace, night + timedelta(hours=hours), worker="restarted") == []
