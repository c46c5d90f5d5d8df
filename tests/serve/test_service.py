"""One live model behind the routes: swapped whole under load, followed by others, and honest about what is broken."""

from __future__ import annotations

import asyncio
import errno
import itertools
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.errors import BusyError, ImageError, NotReadyError, PellucidError, StorageError
from pellucid.flow.online.answer import Asked
from pellucid.flow.online.feedback import Said
from pellucid.flow.online.live import LiveModel, caught_up
from pellucid.flow.online.reaudit import reaudit
from pellucid.serve import service as module
from pellucid.serve.service import Service
from pellucid.types import Answer

from ..conftest import PATIENCE, until
from .conftest import Picture, Ready, Served


@pytest.fixture
def service(ready_project: Project) -> Iterator[Service]:
    """The service of a copy of `ready`, started."""
    made = Service(ready_project.workspace)
    made.start()
    yield made
    made.close()


def answers(service: Service, *images: bytes) -> list[Answer]:
    return asyncio.run(service.predict([Asked(data) for data in images]))


def say(service: Service, sample: str, label: str, **more: Any) -> Any:
    return asyncio.run(service.hear(Said(sample, label, "ann", **more), "test"))


def ready(service: Service) -> Any:
    return until(lambda: service.readiness if service.readiness.ready else None)


def rewrite(folder: Path, version: int) -> None:
    """Damages every file of a model where it is kept and where it was fetched to."""
    with closing(sqlite3.connect(folder / ".pellucid" / "pellucid.db")) as database:
        (name,) = database.execute("SELECT id FROM model WHERE version = ?", [version]).fetchone()
    found = list((folder / ".pellucid").rglob(f"{name}/head.safetensors"))
    assert found
    for path in found:
        path.chmod(0o644)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_before_a_champion_there_is_a_cure_and_after_it_answers(
    make_project: Any, trained_folder: Path, picture: Picture
) -> None:
    project = make_project(of=trained_folder)
    with Served(project) as served:
        for path in ("/health/ready", "/ping", "/v2/health/ready", "/v2/models/pets/ready"):
            assert served.ask("GET", path).status_code == 503, path
        assert served.get("/health/live") == {"live": True, "reasons": []}
        said = served.ask("GET", "/health/ready").json()
        cure = "pets has no champion yet; `pellucid models promote pets@1` makes one"
        assert said == {"ready": False, "model": None, "ledger": 0, "reasons": [cure], "lost": 0}
        refused = served.ask("POST", "/predict", content=picture("cat", 50), headers={"content-type": "image/png"})
        assert (refused.status_code, refused.json()) == (503, {"error": cure})
        assert int(refused.headers["retry-after"]) >= 1
        with pytest.raises(NotReadyError, match="no champion yet"):
            answers(served.service, picture("cat", 50))
        project.promote("pets@1")
        assert ready(served.service).model == "pets@1"
        assert served.predict(picture("cat", 50))["model"] == "pets@1"
        assert served.get("/health/ready")["reasons"] == []


def test_an_empty_project_says_what_to_do(project: Project) -> None:
    with Served(project) as served:
        (reason,) = served.ask("GET", "/health/ready").json()["reasons"]
    assert reason == "the project has no model yet; `pellucid ingest` and `pellucid train` make one"


def test_which_one_of_several_is_asked_in_words(ready_project: Project, class_folders: Callable[..., Path]) -> None:
    root = ready_project.workspace.root
    ready_project.ingest(class_folders(root / "cars", {"cat": 6, "dog": 6}), "cars")
    ready_project.train("cars", models="kernel")
    with Served(ready_project) as served:
        (reason,) = served.ask("GET", "/health/ready").json()["reasons"]
    assert reason.startswith("several models could be meant: cars, pets; ")


def test_all_or_none_and_the_refused_one_is_named(service: Service, picture: Picture) -> None:
    with pytest.raises(ImageError, match="not an image"):
        answers(service, picture("cat", 1), b"no image", picture("cat", 2))
    assert len(answers(service, picture("cat", 1), picture("dog", 1))) == 2


def test_where_one_image_finds_no_room_nobody_waits_for_the_others(ready_project: Project, picture: Picture) -> None:
    service = Service(ready_project.workspace, most=1, depth=2)
    service.start()
    with pytest.raises(BusyError, match="2 requests are waiting"):
        answers(service, *(picture("cat", number) for number in range(8)))
    service.close()
    assert service.stats.refused >= 1
    assert service.stats.items <= 3
    assert service.stats.items + service.stats.dropped <= 3


def test_the_model_a_swap_and_every_answer_has_its_own_model_s_shares(service: Service, picture: Picture) -> None:
    """Eight ask without a pause while champions come and go; nobody fails, and no request is of two versions."""
    project = service.workspace
    images = [picture(label, number) for label in ("cat", "dog") for number in range(40, 60)]
    expected = {ref: shares_of(Project(project.root, environ={}), ref, images) for ref in ("pets@1", "pets@2")}
    for one, two in zip(*expected.values(), strict=True):
        assert abs(one["cat"] - two["cat"]) > 1e-3, "so that an answer tells whose it is"
    stop = threading.Event()
    seen: list[str] = []

    def ask(start: int) -> None:
        for step in itertools.count(start):
            some = [(step + offset) % len(images) for offset in range(1 + step % 20)]
            found = answers(service, *(images[number] for number in some))
            assert len({answer.model for answer in found}) == 1, "one request, one model"
            assert len({answer.ledger for answer in found}) == 1
            for number, answer in zip(some, found, strict=True):
                assert answer.probabilities == pytest.approx(expected[answer.model][number], abs=1e-6)
            seen.append(found[0].model)
            if stop.is_set():
                return

    with ThreadPoolExecutor(8) as pool, Project(project.root, environ={}) as other:
        asking = [pool.submit(ask, start) for start in range(8)]
        try:
            for turn in range(6):
                wanted = f"pets@{1 + (turn + 1) % 2}"
                other.promote(wanted, force=True)
                until(partial(answers_by, service, wanted))
                until(partial(has_grown, seen, len(seen) + 8, asking))
        finally:
            stop.set()
        for item in asking:
            item.result(PATIENCE)
    assert set(seen) == {"pets@1", "pets@2"}
    assert service.readiness.ready


def answers_by(service: Service, ref: str) -> bool:
    return service.readiness.model == ref


def has_grown(seen: list[str], size: int, asking: list[Future[None]]) -> bool:
    return len(seen) >= size or any(item.done() for item in asking)


def shares_of(project: Project, ref: str, images: list[bytes]) -> list[dict[str, float]]:
    """What that model says, without any server."""
    with project:
        live = LiveModel(project.workspace, project.model(ref))
        from pellucid.flow.online.answer import Seen, look_at

        extractor = live.predictor.extractor
        seen = look_at(project.workspace, extractor, images)
        vectors = [found.vector for found in seen if isinstance(found, Seen)]
        return [
            dict(zip(live.classes, map(float, live.answerer.reply(vector[None])[0][0]), strict=True))
            for vector in vectors
        ]


def test_loading_a_champion_holds_nothing_up(
    service: Service, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, at_it = threading.Event(), threading.Event()

    def slowly(*words: Any) -> LiveModel:
        at_it.set()
        assert gate.wait(PATIENCE)
        return caught_up(*words)

    monkeypatch.setattr(module, "caught_up", slowly)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.5)
    with Project(service.workspace.root, environ={}) as other:
        other.promote("pets@2", force=True)
        assert at_it.wait(PATIENCE)
        (found,) = answers(service, picture("cat", 70))
        assert found.model == "pets@1"
        threading.Event().wait(1.0)
        assert service.readiness.ready, service.readiness
        heard = say(service, found.sample, "dog")
        assert heard.model == "pets@1"
        gate.set()
        until(lambda: service.readiness.model == "pets@2")


def test_a_damaged_champion_is_refused_and_the_old_one_goes_on(
    service: Service, picture: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    root = service.workspace.root
    with Project(root, environ={}) as other:
        other.promote("pets@2", force=True)
        until(lambda: service.readiness.model == "pets@2")
        other.rollback("pets")
        until(lambda: service.readiness.model == "pets@1")
        rewrite(root, 2)
        force_champion(root, 2)
        reason = until(lambda: service.readiness.reasons)
        assert not service.readiness.ready
        assert reason[0].startswith("pets@2 cannot be loaded: ")
        assert "damaged" in reason[0]
        assert str(root) not in reason[0]
        (said,) = {line.getMessage() for line in caplog.records if "cannot be loaded" in line.getMessage()}
        assert said.startswith("pets@2 cannot be loaded: ")
        assert said != reason[0], "the log says what is damaged"
        (found,) = answers(service, picture("cat", 71))
        assert found.model == "pets@1"
        heard = say(service, found.sample, "cat")
        assert heard.action == "learnt"
        (again,) = answers(service, picture("cat", 71))
        assert again.ledger == heard.ledger > found.ledger
        other.rollback("pets", to=1)
        assert ready(service).model == "pets@1"


def test_a_champion_that_fails_as_nobody_expected_is_no_other_s_fault(
    service: Service, picture: Picture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*words: Any) -> LiveModel:
        raise KeyError("weights")

    with monkeypatch.context() as patch, Project(service.workspace.root, environ={}) as other:
        patch.setattr(module, "caught_up", fail)
        patch.setattr(module, "RETRY_SECONDS", 0.01)
        other.promote("pets@2", force=True)
        reason = until(lambda: service.readiness.reasons)
        assert reason == ("pets@2 cannot be loaded: KeyError; the log says more",)
        (found,) = answers(service, picture("cat", 72))
        assert found.model == "pets@1"
        assert service.dead == ()
        threading.Event().wait(0.2)
        assert len([line for line in caplog.records if "cannot be loaded" in line.message]) == 1, "said once"
    assert ready(service).model == "pets@2"


def force_champion(root: Path, version: int) -> None:
    """As another machine would have done it before the model was damaged."""
    with closing(sqlite3.connect(root / ".pellucid" / "pellucid.db")) as database, database:
        database.execute("UPDATE alias SET version = ?, revision = revision + 1 WHERE alias = 'champion'", [version])


def test_what_one_server_learns_the_other_answers_by(ready_project: Project, ready: Ready, picture: Picture) -> None:
    with Project(ready_project.workspace.root, environ={}) as same, Served(ready_project) as one, Served(same) as two:
        image = picture("dog", 80)
        before = two.predict(image)
        heard = one.post("/feedback", {"prediction": before["id"], "label": "dog"})
        assert heard["action"] == "learnt"
        after = until(lambda: found if (found := two.predict(image))["ledger"] == heard["ledger"] else None)
        assert after["probabilities"] != before["probabilities"]
        assert after["probabilities"]["dog"] == pytest.approx(heard["after"], abs=1e-6)
        assert one.predict(image)["probabilities"] == pytest.approx(after["probabilities"], abs=1e-7)


def test_two_servers_hear_at_once_and_end_up_the_same(ready_project: Project, picture: Picture) -> None:
    with Project(ready_project.workspace.root, environ={}) as same, Served(ready_project) as one, Served(same) as two:
        found = [one.predict(picture("cat", number)) for number in range(100, 112)]

        def tell(number: int) -> Any:
            server = (one, two)[number % 2]
            return server.post("/feedback", {"prediction": found[number]["id"], "label": "cat", "id": f"k{number}"})

        with ThreadPoolExecutor(4) as pool:
            heard = list(pool.map(tell, range(12)))
            again = list(pool.map(tell, range(12)))
        assert heard == again
        assert len({item["vote"] for item in heard}) == 12
        newest = max(item["ledger"] for item in heard)
        for server in (one, two):
            until(partial(has_learnt, server.service, newest))
        image = picture("cat", 120)
        assert one.predict(image)["probabilities"] == pytest.approx(two.predict(image)["probabilities"], abs=1e-7)


def has_learnt(service: Service, entry: int) -> bool:
    return service.readiness.ledger == entry


def test_labels_are_heard_while_all_are_judged_anew_and_that_by_one_at_a_time(
    service: Service, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    judging, go_on = threading.Event(), threading.Event()

    def judge_slowly(live: LiveModel, rest: Callable[[], None]) -> Any:
        begun.append(live.model.ref)
        judging.set()
        assert go_on.wait(PATIENCE)
        return reaudit(live, rest)

    monkeypatch.setattr(module, "reaudit", judge_slowly)
    monkeypatch.setattr(module, "REAUDIT_AFTER", 2)
    monkeypatch.setattr(module, "REAUDIT_SHARE", 1e9)
    asked = answers(service, *(picture("cat", number) for number in range(6)))
    try:
        for answer in asked:
            assert say(service, answer.sample, "cat").action in ("learnt", "recorded")
        assert judging.wait(PATIENCE)
    finally:
        go_on.set()
    until(lambda: service._rests_until < math.inf)
    assert len(begun) == 1, "six labels, and two are enough"
    say(service, asked[0].sample, "cat")
    until(lambda: len(begun) == 2)


def test_a_server_that_ends_does_not_wait_until_all_is_judged(
    ready_project: Project, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging, began = threading.Event(), time.monotonic()

    def judge_for_ever(live: LiveModel, rest: Callable[[], None]) -> Any:
        while time.monotonic() < began + PATIENCE:
            judging.set()
            time.sleep(0.01)
            rest()
        raise AssertionError("nobody has put an end to it")

    monkeypatch.setattr(module, "reaudit", judge_for_ever)
    monkeypatch.setattr(module, "REAUDIT_AFTER", 1)
    service = Service(ready_project.workspace)
    service.start()
    try:
        (found,) = answers(service, picture("cat", 0))
        say(service, found.sample, "cat")
        assert judging.wait(PATIENCE)
    finally:
        service.close()
    assert time.monotonic() < began + PATIENCE
    assert "reaudit" not in service._trouble


def test_a_database_that_is_held_is_waited_for(service: Service, picture: Picture) -> None:
    (found,) = answers(service, picture("cat", 81))
    path = service.workspace.root / ".pellucid" / "pellucid.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder, ThreadPoolExecutor(2) as pool:
        holder.execute("BEGIN IMMEDIATE")
        asked = pool.submit(answers, service, picture("cat", 82))
        said = pool.submit(say, service, found.sample, "cat", key="once")
        threading.Event().wait(1.0)
        assert not asked.done()
        assert not said.done()
        holder.execute("ROLLBACK")
        assert asked.result(PATIENCE)[0].model == "pets@1"
        assert said.result(PATIENCE).action == "learnt"
    assert ready(service)


def test_waiting_answers_make_it_unready_for_as_long_as_they_wait(
    service: Service, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    path = service.workspace.root / ".pellucid" / "pellucid.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("BEGIN IMMEDIATE")
        asked = pool.submit(answers, service, picture("cat", 83))
        reason = until(lambda: service.readiness.reasons)
        assert reason[0].startswith("answers have been waited for for ")
        holder.execute("ROLLBACK")
        asked.result(PATIENCE)
    assert ready(service)


def test_a_database_that_does_not_answer_is_said_and_forgiven(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*words: Any) -> None:
        raise StorageError("the database failed: /srv/shop/pellucid.db: SELECT alias; postgresql://ann:hunter2@db/x")

    with monkeypatch.context() as patch:
        patch.setattr(module, "standing", fail)
        reasons = until(lambda: service.readiness.reasons)
        assert reasons == ("following the ledger failed: the storage fails; the log says more",), "no path, no SQL"
        (said,) = [line.getMessage() for line in caplog.records]  # once, while it lasts
        assert "/srv/shop/pellucid.db: SELECT alias; postgresql://ann:***@db/x" in said
        assert service.dead == ()
    assert ready(service)


def test_a_dead_part_is_not_live(ready_project: Project) -> None:
    with Served(ready_project) as served:
        assert served.get("/health/live")["live"] is True
        served.service._stop.set()  # the thread that follows ends, as if it had died
        until(lambda: served.service.dead)
        answer = served.ask("GET", "/health/live")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["the thread that follows the ledger is dead; restart the server"]
        for path in ("/health/ready", "/ping", "/v2/health/ready", "/v2/health/live"):
            assert served.ask("GET", path).status_code == 503, path


def test_what_waits_at_the_end_is_answered(ready_project: Project, picture: Picture) -> None:
    service = Service(ready_project.workspace, most=2)
    service.start()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(answers, service, *(picture("cat", number) for number in range(12)))
        until(lambda: service.stats.batches)
        service.close()
        assert len(asked.result(PATIENCE)) == 12
    with pytest.raises(BusyError, match="stopping"):
        answers(service, picture("cat", 1))


def test_a_kept_answer_is_what_was_answered(service: Service, picture: Picture) -> None:
    from pellucid.flow.production.chain import chain

    (found,) = answers(service, picture("dog", 84))
    assert chain(service.workspace, found.uid).answer == found
    with pytest.raises(PellucidError, match="there is no prediction"):
        chain(service.workspace, "0" * 32)


def test_a_full_disk_is_said_and_nothing_half_done_is_left(ready_project: Project, picture: Picture) -> None:
    """Real faults of SQLite: the file may not grow by a page."""
    engine = ready_project.workspace.database.engine

    def shut(connection: Any, record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # no less than it has

    with Served(ready_project) as served:
        first = served.predict(picture("cat", 85))
        sa.event.listen(engine, "connect", shut)
        engine.dispose()
        form = {"image": ("x.png", picture("cat", 86), "image/png")}
        refused = until(lambda: got if (got := served.ask("POST", "/predict", files=form)).status_code != 200 else None)
        assert refused.status_code == 503, refused.text
        assert "the server cannot reach its storage" in refused.json()["error"]
        said = {"prediction": first["id"], "label": "cat", "id": "full", "note": "n" * 2000}
        heard = [served.ask("POST", "/feedback", json={**said, "id": f"full{turn}"}) for turn in range(20)]
        assert {answer.status_code for answer in heard} <= {200, 503}
        assert heard[-1].status_code == 503
        ledger = served.service.readiness.ledger
        sa.event.remove(engine, "connect", shut)
        engine.dispose()
        assert served.predict(picture("cat", 86))["ledger"] == ledger
        again = served.post("/feedback", {**said, "id": "full19"})
        assert again["ledger"] > ledger
        live = LiveModel(ready_project.workspace, ready_project.model("pets@1"))
        with ready_project.workspace.database.read() as connection:
            live.follow(connection)
        mine = served.service.live
        assert live.learnt() == mine.learnt()


def test_a_disk_that_takes_no_image_gives_no_answer(
    service: Service, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.store.blobs.write_whole", full)
        with pytest.raises(StorageError, match="No space left"):
            answers(service, picture("cat", 87))
    (found,) = answers(service, picture("cat", 87))
    assert found.label == "cat"
