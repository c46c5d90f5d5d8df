"""A PostgreSQL that is restarted, or away for a while, under server and worker: said, survived, and nothing lost."""

from __future__ import annotations

import shutil
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.flow.online.live import LiveModel
from pellucid.flow.tokens import create_token
from pellucid.flow.training.worker import work
from pellucid.store.votes import find_votes
from pellucid.store.workers import workers_alive
from pellucid.types import JobState, Right

from ..conftest import until
from ..serve.conftest import Served
from .conftest import administration

Picture = Callable[..., bytes]


class Server:
    """A PostgreSQL of its own, which can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as of the fixture `postgres`
            import pgserver

            self._server = pgserver.get_server(folder, cleanup_mode="delete")
        self.url = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")

    def stop(self) -> None:
        """As a crash would: whoever is connected is cut off, and nothing is written any more."""
        from pgserver._commands import pg_ctl

        pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        """At the same address; returns once it takes connections."""
        self._server.ensure_postgres_running()
        until(self._is_up)

    def _is_up(self) -> bool:
        try:
            with administration(self.url):
                return True
        except sa.exc.OperationalError:  # it recovers
            return False

    def cut(self) -> None:
        """Ends every connection, as a restart between two requests does."""
        with administration(self.url) as connection:
            others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            connection.execute(sa.text(f"{others} AND backend_type = 'client backend'"))

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL of this module's own, up at the beginning of every test that leaves it up."""
    folder = Path(tempfile.mkdtemp(prefix="pellucid-pg-"))
    made = Server(folder / "data")
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def away(server: Server) -> Iterator[None]:
    """In the block there is no database."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@pytest.fixture(scope="module")
def pets(
    server: Server, tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path]
) -> Iterator[Project]:
    """A project on that PostgreSQL: 30 cats and 30 dogs, and the champion pets@1. The tests of this module share it."""
    name = f"t{uuid.uuid4().hex}"
    with administration(server.url) as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    root = tmp_path_factory.mktemp("outage")
    Project.init(root / "project").close()
    url = server.url.set(database=name).render_as_string(hide_password=False)
    settings = {"database_url": url, "threads": 2, "poll_seconds": 0.02}
    with pytest.MonkeyPatch.context() as patch, Project(root / "project", settings=settings, environ={}) as project:
        patch.setattr("pellucid.flow.training.job._try_to_complete", lambda workspace, model: False)
        patch.setattr("pellucid.flow.training.worker.complete_all", lambda workspace, **options: 0)
        project.ingest(class_folders(root / "source", {"cat": 30, "dog": 30}), "pets", test_fraction=0.2)
        project.train("pets", models="ridge")
        project.promote("pets@1")
        yield project


def is_watching(project: Project) -> bool:
    with project.workspace.database.read() as connection:
        return bool(workers_alive(connection))


def unless(answer: Any, status: int) -> Any:
    return None if answer.status_code == status else answer


def test_connections_that_were_cut_are_made_anew_and_nobody_notices(
    server: Server, pets: Project, picture: Picture
) -> None:
    with Served(pets) as served:
        first = served.predict(picture("cat", 600))
        server.cut()
        served.predict(picture("cat", 601))
        server.cut()
        assert served.post("/feedback", {"prediction": first["id"], "label": "cat"})["action"] == "learnt"
        until(lambda: served.service.readiness.ready)
        assert served.service.dead == ()


def test_while_it_is_away_that_is_said_and_then_all_goes_on(server: Server, pets: Project, picture: Picture) -> None:
    tokens = {"admin": create_token(pets.workspace, f"admin-{uuid.uuid4().hex}", [Right.ADMIN]).secret}
    image: dict[str, Any] = {"content": picture("cat", 610), "headers": {"content-type": "image/png"}}
    with Served(pets, tokens) as served:
        first = served.predict(picture("cat", 611))
        said = {"prediction": first["id"], "label": "cat", "id": f"away-{uuid.uuid4().hex}"}
        with away(server):
            refused = until(lambda: unless(served.ask("POST", "/predict", **image), 200))
            for answer in (refused, served.ask("POST", "/feedback", json=said), served.ask("GET", "/history")):
                assert answer.status_code == 503, answer.text
                assert answer.json()["error"].startswith("the server cannot reach its storage; try again in ")
                assert int(answer.headers["retry-after"]) >= 1
            reasons = until(lambda: served.ask("GET", "/health/ready").json()["reasons"])
            assert reasons == ["following the ledger failed: the storage fails; the log says more"]
            assert served.ask("GET", "/health/live").status_code == 200, "a new process would not mend it"
            assert served.ask("GET", "/metrics").status_code == 200
        until(lambda: served.service.readiness.ready)
        assert served.predict(picture("cat", 612))["model"] == "pets@1"
        heard = served.post("/feedback", said)
        assert heard["action"] == "learnt"
        assert served.post("/feedback", said) == heard
        assert served.get("/health/ready")["ledger"] == heard["ledger"]


def test_of_votes_in_a_storm_of_restarts_none_that_was_heard_is_lost_and_none_counts_twice(
    server: Server, pets: Project, picture: Picture
) -> None:
    keys = [f"storm-{uuid.uuid4().hex}" for _ in range(24)]
    with Served(pets) as served, ThreadPoolExecutor(4) as pool:
        asked = [served.predict(picture("cat", 620 + number))["id"] for number in range(len(keys))]
        begun = threading.Semaphore(0)

        def tell(number: int) -> Any:
            """As a client does: again with the same id, until the server has heard."""
            said = {"prediction": asked[number], "label": "cat", "voter": "storm", "id": keys[number]}

            def once() -> Any:
                answer = served.ask("POST", "/feedback", json=said)
                assert answer.status_code in {200, 503}, answer.text
                begun.release()
                return unless(answer, 503)

            return until(once).json()

        telling = [pool.submit(tell, number) for number in range(len(keys))]
        for _ in range(3):
            for _ in range(3):
                begun.acquire()
            with away(server):
                begun.acquire()
        heard = [future.result() for future in telling]
        assert len({item["vote"] for item in heard}) == len(keys)
        newest = max(item["ledger"] for item in heard)
        until(lambda: served.service.readiness.ready and served.service.readiness.ledger >= newest)
        with pets.workspace.database.read() as connection:
            kept = find_votes(connection, "pets", voter="anybody/storm")
        assert set(kept) == {item["vote"] for item in heard}, "each once, and no other"
        replayed = LiveModel(pets.workspace, pets.model("pets@1"))
        with pets.workspace.database.read() as connection:
            replayed.follow(connection)
        assert replayed.learnt() == served.service.live.learnt()


def test_a_watching_worker_lives_through_it_and_goes_on(
    server: Server, pets: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pellucid.flow.training.grid import Grid

    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work, pets.workspace, watch=True, stop=stop)
        try:
            until(lambda: is_watching(pets))
            with away(server):
                until(lambda: "the worker tries again soon" in caplog.text)
            (job,) = pets.submit(Grid(("pets",), models=("ridge",), settings={"ridge.lambda": (0.25,)}))
            until(lambda: pets.jobs([job.id])[0].state is JobState.DONE)
        finally:
            stop.set()
        assert working.result() == 1
