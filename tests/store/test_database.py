"""URLs, SQLite's own behaviour, and what faults of the driver mean to people."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import sqlalchemy as sa

from pellucid.errors import ConfigError, MissingExtraError, StorageError
from pellucid.store import database as module
from pellucid.store.database import Database, parse_url, probe
from pellucid.store.datasets import create_dataset, dataset_names
from pellucid.store.samples import add_samples
from pellucid.store.schema import dataset
from pellucid.types import Sample


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a b.db"


def test_sqlite_writes_ahead_and_keeps_its_promises(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}")
    with database.read() as connection:
        pragmas = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        found = [connection.execute(sa.text(f"PRAGMA {name}")).scalar() for name in pragmas]
    assert found == ["wal", 1, 1, 60_000]
    database.close()


def test_a_reader_and_a_writer_do_not_wait_for_each_other(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}")
    with database.write() as writer:
        create_dataset(database, writer, "d")
        with database.read() as reader:
            assert reader.execute(sa.select(dataset)).all() == []
    database.close()


def test_writers_take_turns(path: Path) -> None:
    """What a writer has read stays true until it commits: no update is lost."""
    database = Database.open(f"sqlite:///{path}")
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(sa.text("INSERT INTO counter VALUES (0)"))
    barrier = threading.Barrier(4)

    def count() -> None:
        barrier.wait()
        for _ in range(25):
            with database.write() as connection:
                n = connection.execute(sa.text("SELECT n FROM counter")).scalar_one()
                connection.execute(sa.text("UPDATE counter SET n = :n"), {"n": n + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT n FROM counter")).scalar_one() == 100
    database.close()


def test_a_database_that_is_held_too_long_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database.open(f"sqlite:///{path}").close()
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.05)
    database = Database.open(f"sqlite:///{path}")
    with (
        database.write(),
        pytest.raises(StorageError, match="database is locked; another process has held it"),
        database.write(),
    ):
        pass
    database.close()


def test_a_full_disk_loses_nothing(path: Path, no_space: Callable[[int], AbstractContextManager[None]]) -> None:
    database = Database.open(f"sqlite:///{path}")
    samples = [Sample(f"{index:064x}", "image/png", 1, 1, 1, bytes(1024)) for index in range(2000)]
    with database.write() as connection:
        create_dataset(database, connection, "d")
    with (
        no_space(300_000),
        pytest.raises(StorageError, match=r"failed: (database or disk is full|disk I/O error)"),
        database.write() as connection,
    ):
        add_samples(database, connection, [(item, "0" * 64, 0) for item in samples])
    with database.write() as connection:
        assert connection.execute(sa.select(dataset.c.name)).scalars().all() == ["d"]
        assert dataset_names(connection) == []
        add_samples(database, connection, [(item, "0" * 64, 0) for item in samples])
    database.close()


def test_a_damaged_file_is_said(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StorageError, match="not a database; the file is damaged or is something else"):
        Database.open(f"sqlite:///{path}")


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="unable to open database file; check that it exists"):
        Database.open(f"sqlite:///{tmp_path}/none/x.db")


def test_a_table_that_somebody_dropped_is_said(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE prediction")
    connection.close()
    with database.read() as reader, pytest.raises(StorageError, match="no such table: prediction"):
        reader.execute(sa.text("SELECT * FROM prediction"))
    database.close()


def test_a_broken_constraint_is_left_to_who_knows_what_it_means(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}")
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        connection.execute(sa.insert(dataset), [{"name": "d", "created_at": None}])
    database.close()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgres://a:b@h/d", "postgresql+psycopg://a:b@h/d"),
        ("postgresql://a:b%40c@h:5/d", "postgresql+psycopg://a:b%40c@h:5/d"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg://h/d"),
        ("sqlite:////a b/c.db", "sqlite:////a b/c.db"),
    ],
)
def test_urls_get_the_driver_that_we_bring(url: str, found: str) -> None:
    assert parse_url(url).render_as_string(hide_password=False) == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pellucid.db",
        "mysql://ann:hunter2@db/x",
        "postgresql://ann:hun@ter2:x@db/y",
        "postgresql://ann:hunter2@db:port/y",
    ],
)
def test_what_is_no_database_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("wanted is sqlite:///PATH or postgresql+psycopg://")) as caught:
        parse_url(url, "mlflow_url")
    assert "mlflow_url is" in str(caught.value)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize("driver", ["nodriver", "asyncpg"])
def test_a_driver_that_is_missing_is_named(driver: str) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[postgres\]'") as caught:
        Database.open(f"postgresql+{driver}://ann:hunter2@db/x")
    assert driver in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_probe_finds_out_whether_somebody_is_there(path: Path) -> None:
    probe(parse_url(f"sqlite:///{path}"))
    with pytest.raises(StorageError, match="Connection refused"):
        probe(parse_url("postgresql://127.0.0.1:1/x?password=hunter2"))
