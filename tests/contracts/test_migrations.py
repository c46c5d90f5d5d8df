"""Opening a database: fresh, old, newer, by several at once, and through a migration that fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from pellucid.errors import StorageError, VersionError
from pellucid.store import database as module
from pellucid.store.database import REVISION, VERSION_TABLE, Database
from pellucid.store.schema import metadata


def tables_of(url: str) -> set[str]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_a_fresh_database_gets_the_tables_of_the_schema(fresh_url: str) -> None:
    database = Database.open(fresh_url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == REVISION
    database.close()
    Database.open(fresh_url).close()  # a second time changes nothing


def test_the_revision_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(module._MIGRATIONS)).get_heads() == [REVISION]


def test_a_newer_database_is_left_alone(database_url: str) -> None:
    database = Database.open(database_url)
    with database.write() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    database.close()
    with pytest.raises(VersionError, match=r"at revision 9999.*upgrade"):
        Database.open(database_url)


def test_a_failing_migration_leaves_nothing(fresh_url: str) -> None:
    engine = sa.create_engine(fresh_url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE model (x INTEGER)"))  # in the way of a table that comes late
    with pytest.raises(StorageError, match="already exists"):
        Database.open(fresh_url)
    assert tables_of(fresh_url) == {"model"}
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE model"))
    Database.open(fresh_url).close()
    assert tables_of(fresh_url) == {*metadata.tables, VERSION_TABLE}


def test_another_program_may_keep_its_own_tables_beside_ours(fresh_url: str) -> None:
    with sa.create_engine(fresh_url, poolclass=sa.pool.NullPool).begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('theirs')"))
    Database.open(fresh_url).close()


def test_processes_may_open_a_fresh_database_at_once(fresh_url: str, child_environ: Mapping[str, str]) -> None:
    code = (
        "import sys, alembic.command\n"
        "from pellucid.store.database import Database\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "Database.open(sys.argv[1]).close()\n"
    )
    command = [sys.executable, "-c", code, fresh_url]
    pipe = subprocess.PIPE
    options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "text": True, "env": child_environ}
    processes = [subprocess.Popen(command, **options) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * 3
    assert tables_of(fresh_url) == {*metadata.tables, VERSION_TABLE}


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    with pytest.raises(StorageError, match="Connection refused") as caught:
        Database.open("postgresql+psycopg://ann:hun%40ter2@127.0.0.1:1/pellucid")
    assert "ann:***@" in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_a_server_that_refuses_is_quoted_without_the_password(postgres: sa.URL) -> None:
    url = postgres.set(username="nobody", password="hunter2", database="nowhere")
    with pytest.raises(StorageError, match="failed") as caught:
        Database.open(url.render_as_string(hide_password=False))
    assert "hunter2" not in str(caught.value)
