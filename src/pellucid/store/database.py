"""One database, SQLite or PostgreSQL: connections, transactions and migrations."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

from pellucid.errors import ConfigError, MissingExtraError, StorageError, VersionError

REVISION = "0001"  # the newest migration in store/migrations/versions; a test holds the two together
LOCK_TIMEOUT = 60.0  # seconds that a writer waits for another one before it gives up

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x70656C6C  # PostgreSQL's advisory lock that lets one process migrate at a time


class Database:
    """Hands out read and write transactions and turns the driver's faults into StorageError.

    >>> database = Database.open("sqlite://")
    >>> with database.read() as connection:
    ...     connection.execute(sa.text("select 1")).scalar()
    1
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Database:
        """Connects, and brings the tables up to date.

        Args:
            url: an SQLAlchemy URL; SQLite and PostgreSQL (``postgresql+psycopg://``) are supported.

        Raises:
            ConfigError: the URL is none, or of another kind of database.
            MissingExtraError: the driver is not installed.
            StorageError: there is no connection to be had.
            VersionError: the database was written by a newer Pellucid.
        """
        database = cls(_engine(url))
        with _translated(database.engine):
            revision = database._revision()
            if revision != REVISION:
                database._migrate(revision)
        return database

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads and blocks nobody."""
        with _translated(self.engine), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is committed where the block ends well and rolled back where it does not.

        On SQLite it takes the write lock at once, so that what it reads stays true until it commits.
        """
        with _translated(self.engine), self.engine.connect() as connection:
            connection = connection.execution_options(pellucid_write=True)
            with connection.begin():
                yield connection

    def insert_new(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, object]]) -> None:
        """Inserts the rows whose primary key or unique key is not there yet."""
        if not rows:
            return
        if self.dialect == "sqlite":
            from sqlalchemy.dialects.sqlite import insert as insert_sqlite

            connection.execute(insert_sqlite(table).on_conflict_do_nothing(), rows)
        else:
            from sqlalchemy.dialects.postgresql import insert as insert_postgresql

            connection.execute(insert_postgresql(table).on_conflict_do_nothing(), rows)

    def close(self) -> None:
        """Gives every connection back."""
        self.engine.dispose()

    def _revision(self) -> str | None:
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

    def _migrate(self, revision: str | None) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if revision is not None and revision not in known:
            raise VersionError(
                f"the database is at revision {revision}, this Pellucid knows up to {REVISION}; "
                "it was written by a newer Pellucid: upgrade this one (pip install -U pellucid)"
            )
        with self.engine.connect() as connection:
            connection = connection.execution_options(pellucid_write=True)
            with connection.begin():
                if self.dialect == "postgresql":
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise ConfigError(
            "database_url is no database URL; wanted is sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME"
        ) from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(f"database_url is {shown}; wanted is sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(parsed)
        return sa.create_engine(parsed, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{shown} needs {error.name}; pip install 'pellucid[postgres]'") from None


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    if url.database in {None, "", ":memory:"}:
        engine = sa.create_engine(
            url,
            poolclass=sa.pool.StaticPool,
            connect_args={"check_same_thread": False, "isolation_level": None},
        )
    else:
        engine = sa.create_engine(url, connect_args={"timeout": LOCK_TIMEOUT, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _configure(connection: object, record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("pellucid_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


@contextlib.contextmanager
def _translated(engine: sa.Engine) -> Iterator[None]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except sa.exc.OperationalError as error:
        text = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason given"
        if "full" in text or "No space" in text:
            cure = "free some space and run the same command again; nothing was lost"
        elif "locked" in text:
            cure = f"another process has held it for over {LOCK_TIMEOUT:.0f} s; wait for it or stop it"
        else:
            cure = "check that it exists, is reachable and may be written to"
        raise StorageError(f"the database {where} failed: {text}; {cure}") from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StorageError("no space left on the device; free some and run the same command again") from error
