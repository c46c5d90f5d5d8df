"""The real stores that the deployment is tried on."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from .reading import DEPLOY, services

Job = Callable[..., None]


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of this test process's own, with roles of its own."""

    folder: Path  # of its socket
    programs: Path  # psql, pg_dump, ...

    def url(self, user: str, database: str) -> str:
        """Where a database is, for SQLAlchemy."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"


@contextmanager
def started_postgres() -> Iterator[Server]:
    """PostgreSQL, as it is after its first start: the superuser postgres, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pgserver's parts warn about the machine, which is no fault of ours
        import pgserver

        folder = Path(tempfile.mkdtemp(prefix="pellucid-deploy-"))
        server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        host = re.search(r"host=([^&]+)", server.get_uri())
        assert host, server.get_uri()
        yield Server(Path(host[1]), Path(pgserver.__file__).parent / "pginstall" / "bin")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A server that the tests of this process share."""
    with started_postgres() as server:
        yield server


def make_databases(server: Server, **passwords: str) -> None:
    """Runs the job ``databases`` of compose.yaml on the real server."""
    service = services()["databases"]
    words = [word.replace("/databases.sql", str(DEPLOY / "databases.sql")) for word in service["entrypoint"]]
    words[0] = str(server.programs / words[0])
    environ = {**os.environ, **service["environment"], "PGHOST": str(server.folder), **passwords}
    ended = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert "ERROR" not in ended.stderr


@pytest.fixture
def databases(postgres_server: Server) -> Job:
    """databases(DATABASE_PASSWORD="..."): runs the job of that name on the shared server."""
    return functools.partial(make_databases, postgres_server)


def ask(server: Server, user: str, database: str, *statements: str) -> Any:
    """Executes the statements as that role and gives the last one's first value."""
    engine = sa.create_engine(server.url(user, database), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            result = connection.execute(sa.text(statement))
        return result.scalar() if result.returns_rows else None
