"""The real stores that the deployment is tried on."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of this test process's own, with roles of its own."""

    folder: Path  # of its socket
    programs: Path  # psql, pg_dump, ...

    def url(self, user: str, database: str) -> str:
        """Where a database is, for SQLAlchemy."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
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
def store_url() -> Iterator[str]:
    """The address of an S3 server of this test process's own."""
    from moto.server import ThreadedMotoServer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
