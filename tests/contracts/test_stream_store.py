"""Receipts, offsets and the embedded stream's log: the same on SQLite and on PostgreSQL, whoever comes at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.store.database import Database, now_of
from pellucid.store.events import (
    NewEvent,
    append_events,
    earliest_event,
    events_from,
    newest_event,
    prune_events,
)
from pellucid.store.offsets import advance, lock_offsets, move_to, next_offsets
from pellucid.store.receipts import answer_to, claim, count_receipts, receipts_of, settle
from pellucid.store.schema import stream_event


def put(database: Database, topic: str, count: int, *, body: bytes = b"") -> None:
    with database.write() as connection:
        append_events(connection, topic, [NewEvent((("n", str(n)),), body or b"%d" % n) for n in range(count)])


def ids_of(database: Database, topic: str) -> list[int]:
    with database.read() as connection:
        return [item.id for item in events_from(connection, topic, 0, limit=100_000, max_bytes=2**40)]


def test_only_the_first_claim_counts(database: Database) -> None:
    with database.write() as connection:
        assert claim(connection, "a", "1", {"vote": 1}) is None
        assert claim(connection, "a", "1", {"vote": 2}) == {"vote": 1}
        assert claim(connection, "b", "1", {}) is None
        assert claim(connection, "b", "1", {"x": 1}) == {}
    with database.write() as connection:
        settle(connection, "a", "1", {"vote": 3})
        assert claim(connection, "a", "1", {}) == answer_to(connection, "a", "1") == {"vote": 3}
        assert answer_to(connection, "a", "2") is None
        assert claim(connection, "a", "2", {"n": 2}) is None
        assert {item.key for item in receipts_of(connection, "a")} == {"1", "2"}
        assert [item.answer for item in receipts_of(connection, "a", limit=1)] == [{"n": 2}]
        assert count_receipts(connection, "a") == 2


def test_names_of_any_length_stay_apart(database: Database) -> None:
    names = ["x" * 256, "x" * 257, "x" * 258, "x" * 300 + "a", "x" * 300 + "b"]
    with database.write() as connection:
        for name in names:
            assert claim(connection, name, name, {"n": len(name)}) is None
            assert claim(connection, name, name, {}) == {"n": len(name)}
            assert count_receipts(connection, name) == 1


def test_a_claim_that_is_rolled_back_was_none(database: Database) -> None:
    with database.engine.connect() as connection, connection.begin() as transaction:
        assert claim(connection, "a", "1", {"n": 1}) is None
        transaction.rollback()
    with database.write() as connection:
        assert claim(connection, "a", "1", {"n": 2}) is None


def test_of_many_who_claim_at_once_one_is_first(database: Database) -> None:
    together = threading.Barrier(6)

    def run(number: int) -> object:
        together.wait()
        with database.write() as connection:
            return claim(connection, "a", "1", {"n": number})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(run, range(6)))
    first = answers.index(None)
    assert answers.count(None) == 1
    assert all(answer == {"n": first} for answer in answers if answer is not None)


def test_offsets_go_forward_only_unless_they_are_moved(database: Database) -> None:
    with database.write() as connection:
        assert next_offsets(connection, "c", "t") == {}
        advance(connection, "c", "t", 0, 5)
        advance(connection, "c", "t", 0, 5)
        advance(connection, "c", "t", 3, 2**40)
        advance(connection, "other", "t", 0, 1)
        advance(connection, "c", "other", 0, 2)
        with pytest.raises(ConcurrencyError, match=r"at offset 5 of t/0 already and was to be set back to 4"):
            advance(connection, "c", "t", 0, 4)
    with database.write() as connection:
        assert next_offsets(connection, "c", "t") == {0: 5, 3: 2**40}
        move_to(connection, "c", "t", 0, 1)
        move_to(connection, "new", "t", 0, 9)
        assert next_offsets(connection, "c", "t") == {0: 1, 3: 2**40}
        assert next_offsets(connection, "new", "t") == {0: 9}


def test_who_locks_offsets_sees_what_the_one_before_committed(database: Database) -> None:
    def step(_: int) -> None:
        with database.write() as connection:
            found = lock_offsets(connection, "c", "t").get(0, 0)
            advance(connection, "c", "t", 0, found + 1)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(step, range(30)))
    with database.read() as connection:
        assert next_offsets(connection, "c", "t") == {0: 30}


def test_the_log_gives_what_was_appended_in_order(database: Database) -> None:
    put(database, "t", 2500)
    put(database, "other", 3)
    put(database, "t", 2)
    with database.read() as connection:
        found = events_from(connection, "t", 0, limit=3000, max_bytes=2**40)
        assert [item.body for item in found] == [b"%d" % n for n in [*range(2500), 0, 1]]
        assert found[7].headers == (("n", "7"),)
        assert events_from(connection, "t", found[9].id, limit=5, max_bytes=2**40) == found[9:14]
        assert events_from(connection, "t", found[-1].id + 1, limit=5, max_bytes=2**40) == []
        assert newest_event(connection, "t") == found[-1].id
        assert newest_event(connection, "nobody's") == 0


def test_a_read_is_bounded_in_bytes_and_never_empty(database: Database) -> None:
    put(database, "t", 5, body=bytes(100))
    with database.read() as connection:
        for most, count in ((0, 1), (100, 1), (101, 2), (200, 2), (10_000, 5)):
            assert len(events_from(connection, "t", 0, limit=9, max_bytes=most)) == count


def test_a_reader_never_misses_an_id_that_commits_later(database: Database) -> None:
    """Without the lock a slow publisher's smaller ids appear behind the back of whoever has read a fast one's."""
    over = threading.Event()

    def publish(number: int) -> None:
        for _ in range(15):
            put(database, "t", 1 + number)

    seen: list[int] = []

    def follow() -> None:
        ending = False
        while True:
            with database.read() as connection:
                found = events_from(connection, "t", seen[-1] + 1 if seen else 0, limit=7, max_bytes=2**40)
            seen.extend(item.id for item in found)
            if not found and ending:
                return
            ending = over.is_set()

    with ThreadPoolExecutor(5) as pool:
        following = pool.submit(follow)
        list(pool.map(publish, range(4)))
        over.set()
        following.result(timeout=60.0)
    assert seen == ids_of(database, "t")
    assert len(seen) == 15 * (1 + 2 + 3 + 4)


def test_what_is_too_many_or_too_old_is_removed_and_the_beginning_known(database: Database) -> None:
    put(database, "t", 10)
    put(database, "other", 1)
    before = ids_of(database, "t")
    with database.write() as connection:
        assert prune_events(connection, "t", before=None, keep=None) == 0
        assert prune_events(connection, "t", before=None, keep=10) == 0
        assert earliest_event(connection, "t") == 0
        assert prune_events(connection, "t", before=None, keep=4) == 6
        assert earliest_event(connection, "t") == before[6]
        assert earliest_event(connection, "other") == 0
        assert prune_events(connection, "t", before=now_of(connection) - timedelta(days=1), keep=4) == 0
    assert ids_of(database, "t") == before[6:]
    with database.write() as connection:
        assert prune_events(connection, "t", before=now_of(connection) + timedelta(days=1), keep=None) == 4
        assert earliest_event(connection, "t") == before[-1] + 1
    assert ids_of(database, "t") == []


def test_an_id_is_never_given_twice(database: Database) -> None:
    """SQLite gives the largest id anew where its row is gone; a reader who stands behind it would wait for ever."""
    put(database, "t", 5)
    before = ids_of(database, "t")
    with database.write() as connection:
        assert prune_events(connection, "t", before=None, keep=0) == 4
        assert connection.execute(sa.select(sa.func.count()).select_from(stream_event)).scalar_one() == 1
    put(database, "t", 1)
    assert ids_of(database, "t")[0] == before[-1]
    assert ids_of(database, "t")[-1] > before[-1]
