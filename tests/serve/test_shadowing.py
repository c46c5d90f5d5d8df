"""A candidate in the server's shadow: it sees what the champion has answered, and nobody notices it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import StorageError
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.live import LiveModel
from pellucid.flow.production.shadow import answer_in_shadow, is_drawn
from pellucid.serve import shadowing as module
from pellucid.serve.shadowing import Shadowing
from pellucid.store.shadows import running_shadow
from pellucid.types import Answer

from ..conftest import PATIENCE, until
from .conftest import Picture, Served
from .test_metrics import families, value
from .test_service import rewrite


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.1)


@pytest.fixture
def project(ready_project: Project) -> Project:
    return ready_project


@pytest.fixture
def answers(project: Project, picture: Picture) -> list[Answer]:
    """Twelve answers of the champion, recorded."""
    live = LiveModel(project.workspace, project.model("pets"))
    found = answer(project.workspace, live.answerer, [Asked(picture("cat", 80 + number)) for number in range(12)])
    return [item for item in found if isinstance(item, Answer)]


@pytest.fixture
def shadowing(project: Project) -> Iterator[Shadowing]:
    made = Shadowing(project.workspace, lambda: "pets")
    yield made
    made.close()


def loaded(shadowing: Shadowing) -> str | None:
    return shadowing.stats.candidate


def test_it_begins_and_ends_in_a_running_server(served: Served, picture: Picture) -> None:
    project = served.project
    served.predict(picture("cat", 60))
    assert served.service.shadowing.stats == module.ShadowStats(None, 0, 0, 0)
    project.begin_shadow("pets@2")
    until(lambda: loaded(served.service.shadowing) == "pets@2")
    told = [served.predict(picture(label, 61)) for label in ("cat", "dog")]
    assert {item["model"] for item in told} == {"pets@1"}
    until(lambda: project.shadow_report("pets").images == 2)
    report = project.shadow_report("pets")
    assert report.champions == ("pets@1",)
    assert report.champion_confidence == pytest.approx(sum(item["confidence"] for item in told) / 2)
    found = families(served)
    assert value(found, "pellucid_shadow_running") == 1
    until(lambda: value(families(served), "pellucid_shadow_images_total") == 2)
    assert value(found, "pellucid_shadow_dropped_images_total") == 0
    project.end_shadow("pets")
    until(lambda: loaded(served.service.shadowing) is None)
    served.predict(picture("cat", 62))
    assert served.service.shadowing.stats.waiting == 0
    assert served.get("/health/ready")["reasons"] == []


def test_a_promoted_candidate_leaves_the_shadow_and_answers(served: Served, picture: Picture) -> None:
    served.project.begin_shadow("pets@2")
    until(lambda: loaded(served.service.shadowing))
    served.project.promote("pets@2", force=True)
    until(lambda: served.predict(picture("cat", 63))["model"] == "pets@2")
    until(lambda: loaded(served.service.shadowing) is None)
    assert "pets@2" not in served.project.shadow_report("pets").champions


def test_a_slow_candidate_holds_nobody_up_and_what_is_too_much_is_dropped(
    project: Project, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, at_it = threading.Event(), threading.Event()

    def slowly(*words: Any) -> int:
        at_it.set()
        assert gate.wait(PATIENCE)
        return answer_in_shadow(*words)

    monkeypatch.setattr(module, "answer_in_shadow", slowly)
    project.begin_shadow("pets@2")
    with Served(project) as served:
        shadowing = served.service.shadowing
        monkeypatch.setattr(shadowing, "_depth", 3)
        until(lambda: loaded(shadowing))
        served.predict(picture("cat", 70))
        assert at_it.wait(PATIENCE)
        for number in range(71, 76):
            assert served.predict(picture("cat", number))["model"] == "pets@1"
        assert (shadowing.stats.waiting, shadowing.stats.dropped) == (3, 2)
        assert served.get("/health/ready")["ready"] is True
        gate.set()
        until(lambda: project.shadow_report("pets").images == 4)
        until(lambda: project.shadow_report("pets").shadow.dropped == 2)


def test_a_candidate_that_cannot_be_loaded_says_so_in_the_report_and_not_in_readiness(
    project: Project, picture: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    project.begin_shadow("pets@2")
    rewrite(project.workspace.root, 2)
    with caplog.at_level(logging.ERROR, module.__name__), Served(project) as served:
        until(lambda: project.shadow_report("pets").shadow.trouble)
        assert served.predict(picture("cat", 64))["model"] == "pets@1"
        assert served.get("/health/ready") == {"ready": True, "model": "pets@1", "ledger": 0, "reasons": [], "lost": 0}
        threading.Event().wait(0.5)  # it is tried again and again
    said = "pets@2 cannot answer in the shadow"
    trouble = project.shadow_report("pets").shadow.trouble
    assert trouble == f"{said}: what is stored is damaged; the log says more", "people on the pages read it"
    (record,) = caplog.records
    assert record.message.startswith(f"{said}: ")
    assert "head.safetensors" in record.message


def test_one_that_fails_on_images_is_counted_and_forgiven(
    project: Project, shadowing: Shadowing, answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:

    def fails(*words: Any) -> int:
        raise ValueError("a class of its own")

    monkeypatch.setattr(module, "answer_in_shadow", fails)
    project.begin_shadow("pets@2")
    shadowing.start()
    until(lambda: loaded(shadowing))
    shadowing.offer(answers[:3])
    until(lambda: project.shadow_report("pets").shadow.dropped == 3)
    said = "pets@2 cannot answer in the shadow: ValueError; the log says more"
    assert project.shadow_report("pets").shadow.trouble == said
    monkeypatch.setattr(module, "answer_in_shadow", answer_in_shadow)
    shadowing.offer(answers[3:5])
    until(lambda: project.shadow_report("pets").shadow.trouble is None)
    assert project.shadow_report("pets").images == 2
    assert (shadowing.stats.answered, shadowing.stats.dropped) == (2, 3)


def test_only_the_drawn_share_is_taken(project: Project, shadowing: Shadowing, answers: list[Answer]) -> None:
    shadowing.offer(answers)
    assert shadowing.stats.waiting == 0, "nothing waits for a candidate that is not there"
    wanted = {item.sample for item in answers if is_drawn(item.sample, 0.5)}
    assert 0 < len(wanted) < len(answers)
    project.begin_shadow("pets@2", share=0.5)
    shadowing.start()
    until(lambda: loaded(shadowing))
    shadowing.offer(answers[:6])
    shadowing.offer(answers[6:])
    until(lambda: project.shadow_report("pets").images == len(wanted))
    assert shadowing.stats.answered == len(wanted)


def test_the_next_shadow_begins_with_nothing_of_the_last(
    project: Project, shadowing: Shadowing, answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, at_it = threading.Event(), threading.Event()

    def slowly(*words: Any) -> int:
        at_it.set()
        assert gate.wait(PATIENCE)
        return answer_in_shadow(*words)

    monkeypatch.setattr(module, "answer_in_shadow", slowly)
    first = project.begin_shadow("pets@2")
    shadowing.start()
    until(lambda: loaded(shadowing))
    shadowing.offer(answers[:1])
    assert at_it.wait(PATIENCE)
    project.end_shadow("pets")
    second = project.begin_shadow("pets@2")
    gate.set()
    until(lambda: shadowing._shadow is not None and shadowing._shadow.id == second.id and loaded(shadowing))
    shadowing.offer(answers[1:3])
    until(lambda: project.shadow_report("pets").images == 2)
    assert second.id > first.id
    assert {row.prediction for row in project.shadow_report("pets").differing} <= {item.uid for item in answers[1:3]}


def test_it_looks_for_shadows_seldom_and_a_database_that_is_away_passes(
    project: Project, shadowing: Shadowing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks, ticks = [], iter(range(10 * module.LOOK_TICKS))

    def watched(*words: Any) -> Any:
        looks.append(words)
        if len(looks) in {2, 3}:
            raise StorageError("the database is away")
        return running_shadow(*words)

    monkeypatch.setattr(module, "running_shadow", watched)
    monkeypatch.setattr(shadowing._stop, "wait", lambda seconds: next(ticks, None) is None)
    project.begin_shadow("pets@2")
    shadowing._run()
    assert len(looks) == 11
    assert loaded(shadowing) == "pets@2"
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "following the shadow of pets@2 failed: the database is away"
    ]
    assert project.shadow_report("pets").shadow.trouble is None


def test_closing_drops_what_waits(project: Project, answers: list[Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    made = Shadowing(project.workspace, lambda: "pets")
    made.close()  # which was never started
    project.begin_shadow("pets@2")
    made = Shadowing(project.workspace, lambda: "pets")
    made.start()
    until(lambda: loaded(made))
    made.close()
    made.offer(answers)
    assert not made._thread.is_alive()
    assert project.shadow_report("pets").images == 0
