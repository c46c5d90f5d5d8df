"""The table's sender: each visit is a row, for those who take images and labels out of a database."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa

from pellucid.config import hide_secrets
from pellucid.errors import MissingExtraError, StorageError, UsageError
from pellucid.flow.production.simulate import Shown, Visit
from pellucid.store.database import parse_url
from pellucid.stream.sender import Reply

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class TableSender:
    """Inserts rows of id, time, image, label and voter; the table is made where it is missing.

    A row that is there already stays as it is, so that the same simulation again inserts only what is missing.

    Args:
        url: of the database, SQLite or PostgreSQL.
        table: its name.

    Raises:
        ConfigError, UsageError: the URL is none, or a table cannot be called that.
        StorageError: the database cannot be reached, or has another table of that name.
    """

    parallel = 1  # SQLite has one writer

    def __init__(self, url: str, table: str = "live_images") -> None:
        if not _NAME.fullmatch(table):
            raise UsageError(f"a table cannot be called {table!r}; wanted are 1 to 63 of a-z, A-Z, 0-9 and '_'")
        parsed = parse_url(url, "--url")
        self._shown = hide_secrets(parsed.render_as_string(hide_password=True))
        self.table = sa.Table(
            table,
            sa.MetaData(),
            sa.Column("id", sa.String(64), primary_key=True),
            sa.Column("time", sa.DateTime(timezone=True), nullable=False),  # UTC
            sa.Column("image", sa.LargeBinary, nullable=False),  # encoded
            sa.Column("label", sa.String(256), nullable=True),  # as a user gave it
            sa.Column("voter", sa.String(256), nullable=True),
        )
        try:
            self._engine = sa.create_engine(parsed, hide_parameters=True)
        except (ImportError, sa.exc.NoSuchModuleError) as error:
            raise MissingExtraError(f"{self._shown} has no driver: {error}; pip install 'pellucid[postgres]'") from None
        with self._storage():
            self.table.metadata.create_all(self._engine)
            there = {column["name"] for column in sa.inspect(self._engine).get_columns(table)}
        if missing := [column.name for column in self.table.columns if column.name not in there]:
            self.close()
            raise StorageError(f"the table {table} of {self._shown} has no {', '.join(missing)}; name another --table")

    def send(self, visit: Visit, shown: Shown, at: datetime, stop: threading.Event) -> Reply:
        """See ``Sender``.

        Raises:
            StorageError: the database does not take it.
        """
        row = {"id": visit.id, "time": at, "image": shown.data, "label": visit.said, "voter": visit.user}
        with self._storage(), self._engine.begin() as connection:
            there = sa.select(self.table.c.id).where(self.table.c.id == visit.id)
            if connection.execute(there).first() is None:
                connection.execute(sa.insert(self.table), row)
        return Reply()

    def gather(self) -> dict[str, Reply]:
        """See ``Sender``; a table gives no answers."""
        return {}

    def close(self) -> None:
        """See ``Sender``."""
        self._engine.dispose()

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            why = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
            raise StorageError(
                f"the database {self._shown} failed: {hide_secrets(why)}; check that it is there and may be written to"
            ) from None
