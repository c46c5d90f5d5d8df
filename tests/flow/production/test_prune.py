"""What is forgotten, and what is kept for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.errors import NotFoundError, UsageError
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.feedback import Said, hear
from pellucid.flow.online.live import LiveModel
from pellucid.flow.production.prune import DailyPrune, prune
from pellucid.store.predictions import answer_of
from pellucid.store.receipts import answer_to, claim
from pellucid.store.schema import live_vector, prediction, receipt
from pellucid.types import Answer

MakeProject = Callable[..., Project]
Picture = Callable[..., bytes]


@pytest.fixture
def live(make_project: MakeProject, trained_folder: Path) -> LiveModel:
    project = make_project(of=trained_folder)
    return LiveModel(project.workspace, project.models()[0])


def ask(live: LiveModel, images: list[bytes], *, days_ago: float) -> list[Answer]:
    found = answer(live.workspace, live.answerer, [Asked(data) for data in images])
    answers = [item for item in found if isinstance(item, Answer)]
    then = datetime.now(UTC) - timedelta(days=days_ago)
    with live.workspace.database.write() as connection:
        for item in answers:
            connection.execute(sa.update(prediction).where(prediction.c.uid == item.uid).values(at=then))
            mine = live_vector.c.sample_id == item.sample
            connection.execute(sa.update(live_vector).where(mine).values(at=then))
    return answers


def test_old_answers_go_with_their_images_and_the_rest_stays(live: LiveModel, picture: Picture) -> None:
    old = ask(live, [picture("cat", 900 + number) for number in range(3)], days_ago=40)
    voted = ask(live, [picture("cat", 950)], days_ago=40)
    young = ask(live, [picture("cat", 960)], days_ago=1)
    hear(live, Said(voted[0].sample, live.classes[0], "ann", prediction=voted[0].uid))
    foretold = prune(live.workspace, 30, dry_run=True)
    assert (foretold.answers, foretold.packs, foretold.dry_run) == (3, 0, True)
    done = prune(live.workspace, 30)
    assert (done.answers, done.vectors, done.images, done.packs) == (3, 3, 3, 1)
    with live.workspace.database.read() as connection:
        assert [answer_of(connection, item.uid).uid for item in (*voted, *young)] == [voted[0].uid, young[0].uid]
        with pytest.raises(NotFoundError):
            answer_of(connection, old[0].uid)
    for item in (*voted, *young):
        assert live.workspace.images.get(item.sample)
    with pytest.raises(NotFoundError):
        live.workspace.images.get(old[0].sample)
    assert prune(live.workspace, 30).answers == 0


def test_ingested_images_stay_whatever_became_of_their_answers(live: LiveModel) -> None:
    name = next(iter(live.rows))
    ask(live, [live.workspace.images.get(name)], days_ago=40)
    done = prune(live.workspace, 30)
    assert (done.answers, done.images) == (1, 0)
    assert live.workspace.images.get(name)


def test_days_have_to_be_some(live: LiveModel) -> None:
    with pytest.raises(UsageError, match="keep_days"):
        prune(live.workspace, 0)


def test_a_worker_prunes_once_a_day(make_project: MakeProject, trained_folder: Path, picture: Picture) -> None:
    project = make_project(of=trained_folder, keep_days=30.0)
    live = LiveModel(project.workspace, project.models()[0])
    now = [0.0]
    daily = DailyPrune(project.workspace, clock=lambda: now[0])

    def left() -> int:
        with project.workspace.database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(prediction)).scalar_one())

    ask(live, [picture("cat", 970)], days_ago=40)
    daily.look()
    assert left() == 0
    ask(live, [picture("cat", 971)], days_ago=40)
    daily.look()
    assert left() == 1
    now[0] += 86_401
    daily.look()
    assert left() == 0


def test_how_far_somebody_is_and_what_waits_is_no_receipt_to_forget(live: LiveModel) -> None:
    database = live.workspace.database
    kept = [("carry", live.model.ref), ("bridge:line", "watermark"), ("waits:pets", "ab:/desk#1")]
    with database.write() as connection:
        for source, key in (*kept, ("event:c:/camera", "1"), ("said:pets", "ab:ann")):
            claim(connection, source, key, {})
        connection.execute(sa.update(receipt).values(at=datetime.now(UTC) - timedelta(days=40)))
    assert prune(live.workspace, 30, dry_run=True).receipts == prune(live.workspace, 30).receipts == 2
    with database.read() as connection:
        assert all(answer_to(connection, *name) is not None for name in kept)


def test_nothing_that_grows_with_traffic_is_read_from_end_to_end_for_each_row(make_project: MakeProject) -> None:
    """By SQLite's plan: with 100,000 answers and 20,000 votes one chunk took 42 s, during which nobody could vote."""
    project = make_project()
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        asked.append((statement, parameters))

    engine = project.workspace.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    project.prune(30)
    sa.event.remove(engine, "before_cursor_execute", note)
    selects = [item for item in asked if item[0].startswith("SELECT") and "EXISTS" in item[0]]
    assert len(selects) == 4, "answers, shadows, vectors, images"
    for statement, parameters in selects:
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        plan = [str(row[3]) for row in rows]
        asks = plan.index("CORRELATED SCALAR SUBQUERY 1")
        assert not [step for step in plan[asks:] if step.startswith("SCAN")], plan
