"""Samples: one row for each distinct image that the project has ever taken in."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.errors import NotFoundError
from pellucid.store.database import Database
from pellucid.store.schema import prediction
from pellucid.store.schema import sample as table
from pellucid.types import Sample

T = TypeVar("T")

IN_CHUNK = 5000  # identifiers in one IN (...); SQLite takes 32,766 parameters, PostgreSQL 65,535


def chunked(items: Iterable[T], size: int = IN_CHUNK) -> Iterator[list[T]]:
    """The items in lists of at most ``size``.

    >>> list(chunked("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def add_samples(
    database: Database,
    connection: sa.Connection,
    samples: Sequence[tuple[Sample, str, int]],
    *,
    lost: Container[str] = (),
) -> None:
    """Adds the samples that are not there yet, each with the pack that its image lies in and its offset there.

    Args:
        lost: ids of samples that are there, but whose image is not: they take the new place.
    """
    rows = [
        {
            "id": item.id,
            "media_type": item.media_type,
            "width": item.width,
            "height": item.height,
            "size": item.size,
            "pack": pack,
            "offset": offset,
            "sketch": item.sketch,
        }
        # in one order, so that two who add the same samples at once wait for each other and never in a circle
        for item, pack, offset in sorted(samples, key=lambda sample: sample[0].id)
    ]
    database.insert_new(connection, table, rows)
    for row in rows:
        if row["id"] in lost:
            place = {"pack": row["pack"], "offset": row["offset"]}
            connection.execute(sa.update(table).where(table.c.id == row["id"]).values(**place))


def stored_ids(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that are samples of the project."""
    queries = (sa.select(table.c.id).where(table.c.id.in_(chunk)) for chunk in chunked(ids))
    return {str(name) for query in queries for name in connection.execute(query).scalars()}


def known_ids(connection: sa.Connection) -> set[str]:
    """The ids of all samples."""
    return set(connection.execute(sa.select(table.c.id)).scalars())


def sketches_of(connection: sa.Connection, ids: Sequence[str]) -> NDArray[np.uint8]:
    """The sketches of the samples, (len(ids), 1024), in the order of ``ids``."""
    place = {name: index for index, name in enumerate(ids)}
    sketches = np.zeros((len(ids), 32 * 32), np.uint8)
    for chunk in chunked(ids):
        query = sa.select(table.c.id, table.c.sketch).where(table.c.id.in_(chunk))
        for name, sketch in connection.execute(query).all():
            sketches[place[name]] = np.frombuffer(sketch, np.uint8)
    return sketches


def media_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[str, int, int]]:
    """Media type, width and height of each sample."""
    columns = (table.c.id, table.c.media_type, table.c.width, table.c.height)
    return {
        row.id: (row.media_type, row.width, row.height)
        for chunk in chunked(ids)
        for row in connection.execute(sa.select(*columns).where(table.c.id.in_(chunk))).all()
    }


def find_id(connection: sa.Connection, prefix: str) -> str:
    """The id beginning with ``prefix`` (at least four digits), of a sample or of an image that was only predicted.

    Raises:
        NotFoundError: none does, or several do.
    """
    prefix = prefix.lower()
    if len(prefix) < 4 or not set(prefix) <= set("0123456789abcdef"):
        raise NotFoundError(f"{prefix!r} is no sample id; wanted are at least the first 4 of its 64 hexadecimal digits")
    # A range, which the key's index serves; "g" comes after every hexadecimal digit.
    columns = (table.c.id, prediction.c.sample_id)
    queries = [
        sa.select(column).where(column >= prefix, column < f"{prefix}g").distinct().limit(2) for column in columns
    ]
    found = {str(name) for query in queries for name in connection.execute(query).scalars()}
    if len(found) != 1:
        what = "several samples begin" if found else "no sample begins"
        raise NotFoundError(f"{what} with {prefix!r}; `pellucid datasets show NAME --rows` lists the ids")
    return found.pop()
