"""One database, SQLite or PostgreSQL: connections, transactions and migrations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from pellucid.config import hide_secrets
from pellucid.errors import (
    ConcurrencyError,
    ConfigError,
    MissingExtraError,
    PellucidError,
    StorageError,
    UsageError,
    VersionError,
)

REVISION = "0006"  # the newest migration in store/migrations/versions; a test holds the two together
VERSION_TABLE = "pellucid_revision"  # not Alembic's default: MLflow may live in the same database and uses that
LOCK_TIMEOUT = 60.0  # seconds that a writer waits for another one before it gives up

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x70656C6C  # PostgreSQL's advisory lock that lets one process migrate at a time
_WAL_PAGES = 8000  # 4 KiB pages after which SQLite copies its log into the database: a third faster than at 1,000
_WAL_LIMIT = 64 * 2**20  # bytes to which the log is cut back then
_WANTED = "wanted is sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME"
_LIVELY = {  # libpq would wait for hours for a server that no longer answers at all; the URL's own values go first
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
_RACED = {"40001", "40P01"}  # PostgreSQL: serialization failure, deadlock
_FULL = {"53100"}


class Database:
    """Hands out read and write transactions and turns the driver's faults into Pellucid's errors.

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
        database = cls(_engine(parse_url(url)))
        try:
            revision = database._revision()
            if revision != REVISION:
                database._migrate(revision)
        except BaseException:
            database.close()
            raise
        return database

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, blocks nobody, and sees one state of the database from beginning to end."""
        with self.engine.connect() as connection:
            if self.dialect == "postgresql":  # SQLite's transactions are like this without being told
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is committed where the block ends well and rolled back where it does not.

        On SQLite it takes the write lock at once, so that what it reads stays true until it commits.
        """
        with self.engine.connect() as connection:
            connection = connection.execution_options(pellucid_write=True)
            with connection.begin():
                yield connection

    def insert_new(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> None:
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
            if not sa.inspect(connection).has_table(VERSION_TABLE):
                return None
            return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant

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
        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            # From here on this process is alone; what another one has migrated meanwhile is not migrated again.
            config.attributes.update(connection=connection, version_table=VERSION_TABLE)
            command.upgrade(config, "head")


def probe(url: sa.URL) -> None:
    """Connects once, so that a library that would try for minutes is not asked at all.

    Raises:
        MissingExtraError, StorageError: there is no connection to be had.
    """
    database = Database(_engine(url))
    try:
        with database.read():
            pass
    finally:
        database.close()


def now_of(connection: sa.Connection) -> datetime:
    """The time, UTC, by the one clock that all who use the database share: PostgreSQL's, or this machine's.

    >>> with Database.open("sqlite://").read() as connection:
    ...     now_of(connection).tzinfo
    datetime.timezone.utc
    """
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)
    found: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return found.astimezone(UTC)


def parse_url(url: str, setting: str = "database_url", *, or_else: str = "") -> sa.URL:
    """The database URL, with the driver that Pellucid brings along where it names none.

    >>> str(parse_url("postgres://db/pellucid"))
    'postgresql+psycopg://db/pellucid'

    Args:
        setting: where the URL stands, for the message.
        or_else: what else may stand there.

    Raises:
        ConfigError: it is no URL, or of a database other than SQLite and PostgreSQL.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # their messages may quote a piece of the password
        wanted = f"{_WANTED}, with '@', ':' and '/' in a password as %40, %3A and %2F"
        raise ConfigError(f"{setting} is no database URL; {wanted}{or_else}") from None
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(f"{setting} is {_shown(parsed)}; {_WANTED}{or_else}")
    return parsed


def translate_faults(engine: sa.Engine) -> None:
    """Makes the engine raise Pellucid's errors in place of its driver's; passwords are hidden."""
    event.listen(engine, "handle_error", _translate)


def _engine(url: sa.URL) -> sa.Engine:
    options: dict[str, Any] = {"hide_parameters": True}
    if url.get_backend_name() != "sqlite":
        options["pool_pre_ping"] = True  # a connection that a restart of the server has cut is made anew
        options["connect_args"] = {name: value for name, value in _LIVELY.items() if name not in url.query}
    elif url.database in {None, "", ":memory:"}:
        options |= {"poolclass": sa.pool.StaticPool}
        options["connect_args"] = {"check_same_thread": False, "isolation_level": None}
    else:
        options["connect_args"] = {"timeout": LOCK_TIMEOUT, "isolation_level": None}
    try:
        engine = sa.create_engine(url, **options)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise MissingExtraError(f"{_shown(url)} has no driver: {error}; pip install 'pellucid[postgres]'") from None
    translate_faults(engine)
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    pragmas = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")
    for pragma in (*pragmas, f"wal_autocheckpoint = {_WAL_PAGES}", f"journal_size_limit = {_WAL_LIMIT}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("pellucid_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _shown(url: sa.URL) -> str:
    return str(hide_secrets(url.render_as_string(hide_password=True)))


def _translate(context: sa.ExceptionContext) -> PellucidError | None:
    """What a fault of the driver means to the user; None leaves a broken constraint, or a fault of ours, as it is."""
    if context.is_pre_ping:  # a connection that was cut is made anew, and only what fails then is a fault
        return None
    error, url = context.original_exception, context.engine.url if context.engine else None
    text = next(iter(str(error).strip().splitlines()), "no reason given")
    if url is not None and url.password:
        text = text.replace(str(url.password), "***")
    where = f"the database {_shown(url)}" if url is not None else "the database"
    state = getattr(error, "sqlstate", None)
    raised = context.sqlalchemy_exception
    if isinstance(raised, sa.exc.DataError) or isinstance(error, OverflowError | UnicodeError):
        return UsageError(f"{where} cannot hold a value: {text}; wanted are numbers below 2^63 and text without NUL")
    if state in _RACED:
        return ConcurrencyError(f"{where} was changed by others at the same time; nothing was changed, try again")
    ours = isinstance(raised, sa.exc.ProgrammingError) and state is None  # the driver's own, not the server's
    if not isinstance(raised, sa.exc.DBAPIError) or isinstance(raised, sa.exc.IntegrityError) or ours:
        return None
    if state in _FULL or "is full" in text:
        cure = "free some space and run the same command again; nothing was lost"
    elif "locked" in text:
        cure = f"another process has held it for over {LOCK_TIMEOUT:.0f} s; wait for it or stop it"
    elif "malformed" in text or "not a database" in text:
        cure = "the file is damaged or is something else; restore it from a backup"
    else:
        cure = "check that it exists, is reachable and may be written to"
    return StorageError(f"{where} failed: {text}; {cure}")
