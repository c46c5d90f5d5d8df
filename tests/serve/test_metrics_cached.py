"""Looks that are shared: one for many who ask, none where nobody does, and nobody is kept waiting by one that hangs."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from pellucid.errors import StorageError
from pellucid.serve.metrics_cached import SHARE, Cached

from ..conftest import PATIENCE, until


def test_one_look_serves_all_who_ask_until_it_is_time_for_the_next() -> None:
    looks: list[int] = []

    def look() -> int:
        looks.append(0)
        return len(looks)

    cached = Cached(look, every=3600.0)
    assert not looks, "nobody has asked yet"
    assert [getattr(cached.get(PATIENCE), "value", None) for _ in range(5)] == [1] * 5
    cached.close()


def test_it_looks_again_when_it_is_time() -> None:
    numbers = iter(range(1, 4))
    cached = Cached(lambda: next(numbers), every=0.0)
    until(lambda: (seen := cached.get(PATIENCE)) is not None and seen.value == 3)
    cached.close()


def test_who_does_not_wait_is_told_what_was_seen_before() -> None:
    gate = threading.Event()
    cached = Cached(lambda: gate.wait(PATIENCE), every=0.0)
    assert cached.get() is None
    gate.set()
    assert until(cached.get).value is True
    cached.close()


def test_a_failure_is_told_and_the_next_look_mends_it(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[Exception | int] = [
        StorageError("the database is away"),
        ValueError("a bug"),
        ValueError("a bug"),
        7,
    ]

    def look() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    cached = Cached(look, every=0.0, name="a thing")
    errors = []
    with caplog.at_level(logging.ERROR):
        while True:
            seen = cached.get(PATIENCE)
            assert seen is not None
            if seen.value is not None:
                break
            errors.append(seen.error)
            time.sleep(0.01)
    assert list(dict.fromkeys(errors)) == ["the database is away", "ValueError; the log says more"]
    assert seen.value == 7
    assert [record.getMessage() for record in caplog.records] == ["looking at a thing failed"], "once while it lasts"
    cached.close()


def test_a_look_that_hangs_counts_as_failed_until_it_ends() -> None:
    gate, hangs = threading.Event(), threading.Event()

    def look() -> int:
        if hangs.is_set():
            gate.wait(PATIENCE)
        return 1

    cached = Cached(look, every=0.0, overdue=0.05, name="the database")
    assert getattr(cached.get(PATIENCE), "value", None) == 1
    hangs.set()
    late = until(lambda: (seen := cached.get()) is not None and seen.value is None and seen)
    assert late.error.startswith("the database has not answered for ")
    gate.set()
    assert until(lambda: (seen := cached.get()) is not None and seen.value == 1)
    cached.close()


def test_what_takes_long_is_looked_up_more_rarely() -> None:
    looks: list[float] = []

    def look() -> None:
        looks.append(time.monotonic())
        time.sleep(0.02)

    cached = Cached(look, every=0.0)
    until(lambda: cached.get() and len(looks) == 2)
    assert looks[1] - looks[0] >= 0.02 / SHARE
    cached.close()


def test_a_closed_one_looks_no_more() -> None:
    looks: list[int] = []
    cached = Cached(lambda: looks.append(0), every=0.0)
    cached.get(PATIENCE)
    cached.close()
    seen = len(looks)
    cached.get(PATIENCE)
    assert len(looks) == seen
