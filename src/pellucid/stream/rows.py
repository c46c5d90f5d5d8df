"""Rows: a table of images in somebody else's database, read in the order of time and id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pellucid.errors import DataError, StorageError, UsageError
from pellucid.flow.training.predict import read_bounded
from pellucid.store.foreign import Foreign


@dataclass(frozen=True, slots=True)
class Columns:
    """What the table calls its columns."""

    id: str = "id"  # names a row for good
    time: str = "time"  # a timestamp or a number; grows from row to row, except for a few that come late
    image: str = "image"  # the encoded image, or its file's path
    label: str | None = "label"  # what people say that it shows, NULL where nobody has; None for no such column


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in the order; ``id`` None is before all rows of that time."""

    time: Any
    id: Any


@dataclass(frozen=True, slots=True)
class Line:
    """A row without its image."""

    place: Place
    label: str | None  # None where there is none, or a blank one

    @property
    def id(self) -> str:
        """The row's id as text."""
        return str(self.place.id)

    @property
    def at(self) -> datetime | None:
        """The row's time, UTC; None where it is a number, or a day."""
        time = self.place.time
        if not isinstance(time, datetime):
            return None
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class Rows:
    """The table's rows; those without a time are not seen.

    Args:
        foreign: the database that the table lies in.
        table: ``NAME`` or ``SCHEMA.NAME``.
        folder: below which image files may lie; paths in the table start there. None where the table holds the bytes.
        max_bytes: a larger image is refused.

    Raises:
        NotFoundError: there is no such table or folder.
        UsageError: a column is missing or of another kind.
    """

    def __init__(self, foreign: Foreign, table: str, columns: Columns, *, folder: Path | None, max_bytes: int) -> None:
        names = [columns.id, columns.time, columns.image, *([columns.label] if columns.label else [])]
        self._foreign = foreign
        self._table = foreign.table(table, names)
        self._id, self._time, self._image = (self._table.c[name] for name in names[:3])
        self._label = self._table.c[columns.label] if columns.label else sa.null()
        self._folder = folder
        self._max_bytes = max_bytes
        self._clock = _python_type(self._time)
        if not issubclass(self._clock, date | int | float):
            raise UsageError(f"{table}.{columns.time} is of type {self._time.type}; wanted is a timestamp or a number")
        if _python_type(self._image) is str and folder is None:
            raise UsageError(f"{table}.{columns.image} holds paths; name the folder that images may lie in")
        self._check_folder()

    @property
    def id_type(self) -> sa.types.TypeEngine[Any]:
        """The type of the ids."""
        return self._id.type

    def after(self, place: Place | None, limit: int) -> list[Line]:
        """The first rows after the place, or of all; at most ``limit``."""
        label = self._label.label("label")
        query = sa.select(self._id.label("id"), self._time.label("time"), label).where(self._time.is_not(None))
        if place is not None and place.id is None:
            query = query.where(self._time >= place.time)
        elif place is not None:
            same = sa.and_(self._time == place.time, self._id > place.id)
            query = query.where(sa.or_(self._time > place.time, same))
        with self._foreign.engine.connect() as connection:
            found = connection.execute(query.order_by(self._time, self._id).limit(limit)).all()
        return [Line(Place(row.time, row.id), str(row.label).strip() or None if row.label else None) for row in found]

    def image(self, line: Line) -> bytes:
        """The row's image, encoded.

        Raises:
            DataError, ImageError: it has none that can be read.
            StorageError: the folder is out of reach.
        """
        query = sa.select(self._image).where(self._id == line.place.id)
        with self._foreign.engine.connect() as connection:
            value = connection.execute(query).scalar()
        if value is None:
            raise DataError(f"row {line.id} has no image")
        if not isinstance(value, str):
            data = bytes(value)
            if len(data) > self._max_bytes:
                raise DataError(f"the image of row {line.id} has more than {self._max_bytes} bytes")
            return data
        self._check_folder()
        assert self._folder is not None  # noqa: S101 - checked where paths were found
        base = self._folder.resolve()
        try:
            path = (base / value).resolve()
            usable = path.is_relative_to(base) and path.is_file()
        except (OSError, ValueError) as error:
            raise DataError(f"row {line.id} names {value[:80]!r}, which is no path: {error}") from None
        if not usable:
            raise DataError(f"row {line.id} names {value[:80]!r}, which is no file below {base}")
        return read_bounded(path, self._max_bytes)

    def before(self, place: Place, seconds: float) -> Place:
        """The beginning of what lies at most so many seconds before the place."""
        step = timedelta(seconds=seconds) if isinstance(place.time, date) else seconds
        return Place(place.time - step, None)

    def to_json(self, place: Place) -> dict[str, Any]:
        """The place as JSON has it."""
        time = place.time.isoformat() if isinstance(place.time, date) else float(place.time)
        return {"time": time, "id": place.id if isinstance(place.id, int) else str(place.id)}

    def from_json(self, found: Any) -> Place:
        """The place that ``to_json`` wrote."""
        time = self._clock.fromisoformat(found["time"]) if isinstance(found["time"], str) else found["time"]
        return Place(time, self.to_id(found["id"]))

    def to_id(self, value: Any) -> Any:
        """An id as the table has it. Raises ValueError where it cannot be one."""
        return _python_type(self._id)(value)

    def _check_folder(self) -> None:
        if self._folder is not None and not self._folder.is_dir():
            raise StorageError(f"{self._folder} is no folder, or out of reach; name the folder that images lie in")


def _python_type(column: sa.Column[Any]) -> Any:
    try:
        return column.type.python_type
    except NotImplementedError:
        return str
