"""What the pages know of the project's health, labels, room, and of what waits for a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from pellucid.errors import NotFoundError
from pellucid.flow.production.drift import moved_answers
from pellucid.flow.production.health import Health, look
from pellucid.flow.production.pending import label_trust, refused_candidates
from pellucid.flow.storage import measure_storage
from pellucid.store.aliases import Change, set_alias
from pellucid.store.database import now_of
from pellucid.store.firings import fire
from pellucid.store.leases import Queue
from pellucid.store.predictions import newest_answers
from pellucid.store.verdicts import add_verdict
from pellucid.store.workers import Worker, greet
from pellucid.types import Status

from ..conftest import Pets


def test_labels_and_what_waits(pets: Pets) -> None:
    workspace = pets.project.workspace
    rows = [row for row in pets.project.inspect("pets").rows if row.split != "test" and row.status is Status.OK]
    found = label_trust(workspace, "pets")
    assert (found.version, found.labels, found.conflicts, found.suspects) == ("pets@1", len(rows), 0, 0)
    assert found.trust == pytest.approx(sum(row.trust for row in rows) / len(rows) / 1000)
    with pytest.raises(NotFoundError):
        label_trust(workspace, "nobody")
    assert refused_candidates(workspace, "pets") == []
    with workspace.database.write() as connection:  # the champion itself is no candidate
        add_verdict(connection, "pets", 1, None, passed=False, figures={"judged": True}, actor="me")
    assert refused_candidates(workspace, "pets") == []


def test_a_refused_candidate_that_was_made_champion_and_taken_back_waits_for_nobody(pets: Pets) -> None:
    (model,) = pets.project.train("pets", models=["logistic"])
    other = model.version
    with pets.project.workspace.database.write() as connection:
        add_verdict(connection, "pets", other, 1, passed=False, figures={"judged": True}, actor="me")
    assert refused_candidates(pets.project.workspace, "pets") == [model.ref]
    with pets.project.workspace.database.write() as connection:
        for revision, action, version, previous in ((2, "promote", other, 1), (3, "rollback", 1, other)):
            at = datetime.now(UTC)
            set_alias(connection, Change("pets", "champion", revision, action, version, previous, "me", "", at))
    assert refused_candidates(pets.project.workspace, "pets") == []


def test_health_tells_of_the_database_and_of_dead_workers(pets: Pets) -> None:
    workspace = pets.project.workspace
    idle = look(workspace)
    assert (idle.database, idle.workers, idle.busy, idle.trouble) == ("SQLite", (), (), "")
    assert idle.seconds >= 0
    with workspace.database.write() as connection:
        fire(workspace.database, connection, "pets", "votes", "a", worker="w", lease=60, detail={})
        busy = look(workspace)
    assert busy.busy == ()  # not committed yet
    busy = look(workspace)
    assert (busy.workers, busy.busy, busy.trouble) == ((), ("retraining pets: starting",), "")
    with workspace.database.write() as connection:
        past = (now_of(connection) - timedelta(seconds=1)).isoformat()
        connection.execute(sa.text("UPDATE firing SET detail = json_set(detail, '$.lease_until', :at)"), {"at": past})
    assert "a worker that died" in look(workspace).trouble
    with workspace.database.write() as connection:
        greet(connection, "other")
    taking_over = look(workspace)
    assert ([worker.name for worker in taking_over.workers], taking_over.trouble) == (["other"], "")


def test_jobs_that_wait_for_nobody_are_told() -> None:
    waiting = Health("SQLite", 0.0, (), Queue(3, timedelta(minutes=5), 0, 0), ())
    assert "3 jobs wait and nobody is at work" in waiting.trouble
    assert replace(waiting, queue=Queue(3, timedelta(seconds=5), 0, 0)).trouble == ""
    idle = Worker("w", datetime.now(UTC), datetime.now(UTC), None)
    assert replace(waiting, workers=(idle,)).trouble == ""


def test_storage_counts_what_is_kept(pets: Pets) -> None:
    workspace = pets.project.workspace
    before = measure_storage(workspace)
    pets.show("cat", 1, 2)
    after = measure_storage(workspace)
    assert (after.images - before.images, after.answers - before.answers) == (2, 2)
    assert after.image_bytes > before.image_bytes
    assert after.used is not None
    assert 0 < after.used < 1
    assert after.database > 0


def test_answers_that_moved_are_found_by_their_names(pets: Pets) -> None:
    pets.show("cat", 1, 2)
    with pets.project.workspace.database.read() as connection:
        first, second = newest_answers(connection, pets.live.model, 2)
    assert moved_answers(pets.project.workspace, [second.uid, "0" * 32, first.uid]) == (second, first)
