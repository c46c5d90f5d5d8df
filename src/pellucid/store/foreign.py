"""Somebody else's database: tables are looked at as they are, and nothing is migrated or set up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from pellucid.errors import ConfigError, MissingExtraError, NotFoundError, UsageError
from pellucid.store.database import translate_faults


class Foreign:
    """A database at any SQLAlchemy URL.

    >>> with Foreign("sqlite://").engine.connect() as connection:
    ...     connection.execute(sa.text("select 1")).scalar()
    1

    Raises:
        ConfigError: the URL is none.
        MissingExtraError: its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):  # their messages may quote a piece of the password
            raise ConfigError("the table's database is no URL; wanted is postgresql+psycopg://USER@HOST/NAME") from None
        if parsed.drivername in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        try:
            pre_ping = parsed.get_backend_name() != "sqlite"
            self.engine = sa.create_engine(parsed, hide_parameters=True, pool_pre_ping=pre_ping)
        except (ImportError, sa.exc.NoSuchModuleError) as error:
            raise MissingExtraError(
                f"{parsed.drivername} has no driver: {error}; install it, such as pip install 'pellucid[postgres]'"
            ) from None
        translate_faults(self.engine)

    def table(self, name: str, columns: Sequence[str]) -> sa.Table:
        """The table, ``NAME`` or ``SCHEMA.NAME``, with those of its columns.

        Raises:
            NotFoundError: there is no such table.
            UsageError: it has no such column.
            StorageError: the database cannot be reached.
        """
        schema, _, plain = name.rpartition(".")
        try:
            known = {item["name"]: item for item in sa.inspect(self.engine).get_columns(plain, schema or None)}
        except sa.exc.NoSuchTableError:
            raise NotFoundError(f"the database has no table {name!r}; name one, or SCHEMA.NAME") from None
        missing = [column for column in columns if column not in known]
        if missing:
            raise UsageError(f"the table {name} has no column {missing[0]!r}; it has: {', '.join(known)}")
        found = [sa.Column(column, known[column]["type"]) for column in dict.fromkeys(columns)]
        return sa.Table(plain, sa.MetaData(), *found, schema=schema or None)

    def make(self, name: str, columns: Mapping[str, sa.types.TypeEngine[object]], key: str) -> sa.Table:
        """The table with these columns; made where it does not exist."""
        schema, _, plain = name.rpartition(".")
        if sa.inspect(self.engine).has_table(plain, schema or None):
            return self.table(name, list(columns))
        table = sa.Table(
            plain,
            sa.MetaData(),
            *(sa.Column(column, kind, primary_key=column == key) for column, kind in columns.items()),
            schema=schema or None,
        )
        table.create(self.engine, checkfirst=True)
        return table

    def close(self) -> None:
        """Gives every connection back."""
        self.engine.dispose()
