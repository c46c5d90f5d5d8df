"""The stores that the contracts run on: SQLite and folders, a real PostgreSQL, a real S3 server."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from pellucid.store.database import Database
from pellucid.store.datasets import commit_version, create_dataset, get_version, latest_version
from pellucid.store.jobs import JobSpec
from pellucid.store.samples import add_samples
from pellucid.types import Sample

MakeJobs = Callable[..., list[JobSpec]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """A PostgreSQL server of this test process's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pgserver's parts warn about the machine, which is no fault of ours
        import pgserver

        folder = Path(tempfile.mkdtemp(prefix="pellucid-pg-"))
        server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def administration(url: sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        yield connection


@contextmanager
def postgres_database(url: sa.URL, template: str = "template1") -> Iterator[str]:
    """A new database on the server, dropped in the end."""
    name = f"t{uuid.uuid4().hex}"
    with administration(url) as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    with administration(url) as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def postgres_template(postgres: sa.URL) -> Iterator[str]:
    """The name of a database on the server that has the tables and no rows."""
    with postgres_database(postgres) as url:
        Database.open(url).close()
        yield str(sa.make_url(url).database)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file that has the tables and no rows."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def fresh_postgres(postgres: sa.URL) -> Iterator[str]:
    """A database without any tables on a real PostgreSQL."""
    with postgres_database(postgres) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'fresh.db'}"
        return
    yield request.getfixturevalue("fresh_postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the tables and no rows."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "pellucid.db")
        yield f"sqlite:///{path}"
        return
    template = request.getfixturevalue("postgres_template")
    with postgres_database(request.getfixturevalue("postgres"), template) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def make_samples(database: Database) -> Callable[[int], list[str]]:
    """Add so many samples and name them."""

    def make(count: int) -> list[str]:
        ids = [f"{index:064x}" for index in range(count)]
        with database.write() as connection:
            samples = [Sample(name, "image/png", 8, 8, 3_000_000_000, bytes(1024)) for name in ids]
            add_samples(database, connection, [(item, "0" * 64, 0) for item in samples])
        return ids

    return make


@pytest.fixture
def make_jobs(database: Database) -> MakeJobs:
    """Describe so many jobs on a new version of a dataset."""

    def make(count: int, *, dataset: str = "d", priority: int = 0, model: str = "ridge") -> list[JobSpec]:
        with database.write() as connection:
            create_dataset(database, connection, dataset)
            parent = latest_version(connection, dataset)
            number = parent.number + 1 if parent else 1
            commit_version(
                connection,
                name=dataset,
                parent=parent,
                parents=[],
                content_id=f"{number:064x}",
                classes=["a", "b"],
                recipe={},
                counts={},
                findings=[],
            )
            version = get_version(connection, dataset)
        settings = [{"lambda": index} for index in range(count)]
        return [
            JobSpec(
                dataset,
                version.number,
                version.content_id,
                model,
                "classical",
                "f" * 64,
                item,
                2**32,
                priority=priority,
            )
            for item in settings
        ]

    return make


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new, empty bucket; the environment says how to reach it."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = f"bucket-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}"
