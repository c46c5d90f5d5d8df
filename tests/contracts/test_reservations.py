"""Reservations on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from pellucid.store.database import Database
from pellucid.store.datasets import create_dataset
from pellucid.store.reservations import give_back, holders_now, reserve

LONG, OVER = timedelta(minutes=5), timedelta(seconds=-1)


@pytest.fixture
def names(database: Database) -> list[str]:
    """Samples of the dataset ``d``, the most wanted first; images need not be stored to be held."""
    with database.write() as connection:
        for dataset in ("d", "e"):
            create_dataset(database, connection, dataset)
    return [f"{number:064x}" for number in range(12)]


def take(database: Database, names: list[str], holder: str, most: int, lasts: timedelta = LONG) -> list[str]:
    with database.write() as connection:
        return reserve(connection, "d", names, holder, most, lasts)


def held(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return holders_now(connection, "d")


def test_nobody_gets_what_another_one_holds(database: Database, names: list[str]) -> None:
    assert take(database, names, "ann", 3) == names[:3]
    assert take(database, names, "bob", 3) == names[3:6]
    assert take(database, names[:6], "eve", 3) == []
    assert held(database) == {**dict.fromkeys(names[:3], "ann"), **dict.fromkeys(names[3:6], "bob")}


def test_what_one_has_already_counts_among_those_taken(database: Database, names: list[str]) -> None:
    take(database, names, "ann", 2)
    take(database, names[2:], "bob", 1)
    assert take(database, names, "ann", 4) == [names[0], names[1], names[3], names[4]]


def test_what_is_given_back_is_free(database: Database, names: list[str]) -> None:
    take(database, names, "ann", 3)
    take(database, names, "bob", 1)
    with database.write() as connection:
        give_back(connection, "d", "ann", names[1:2])
        give_back(connection, "d", "bob", names[:1])  # not bob's to give
    assert held(database) == {names[0]: "ann", names[2]: "ann", names[3]: "bob"}
    with database.write() as connection:
        give_back(connection, "d", "ann")
    assert take(database, names, "eve", 2) == names[:2]


def test_what_has_expired_is_free_unless_it_is_renewed(database: Database, names: list[str]) -> None:
    take(database, names, "ann", 2, OVER)
    assert held(database) == {}
    assert take(database, names[1:], "bob", 1) == [names[1]]
    assert take(database, names, "ann", 2, LONG) == [names[0], names[2]]
    take(database, names[:1], "ann", 1, OVER)  # ends what was held
    assert held(database) == {names[1]: "bob"}


def test_what_one_no_longer_asks_for_is_free(database: Database, names: list[str]) -> None:
    """As where the order has changed: nobody holds ever more."""
    take(database, names, "ann", 3)
    take(database, names, "bob", 1)
    assert take(database, [names[5], names[2], names[6]], "ann", 2) == [names[5], names[2]]
    assert held(database) == {names[3]: "bob", names[5]: "ann", names[2]: "ann"}
    take(database, names, "ann", 0)
    assert held(database) == {names[3]: "bob"}


def test_another_dataset_has_its_own(database: Database, names: list[str]) -> None:
    take(database, names, "ann", 1)
    with database.write() as connection:
        assert reserve(connection, "e", names, "bob", 1, LONG) == names[:1]
        assert reserve(connection, "e", names, "eve", 0, LONG) == []


def test_of_many_at_once_each_gets_others(database: Database, names: list[str]) -> None:
    barrier = Barrier(4)

    def run(number: int) -> list[str]:
        barrier.wait()
        return take(database, names, f"holder {number}", 3)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, range(4)))
    assert sorted(name for part in found for name in part) == names
