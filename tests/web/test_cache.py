"""What many ask for is computed once for all of them, and no more often than it is worth."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pellucid.errors import DataError
from pellucid.web.cache import Cache


def run(play: Coroutine[Any, Any, None]) -> None:
    """In a thread: the browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, play).result()


async def rest() -> None:
    """Until all that can go on without being waited for has done so."""
    for _ in range(10):
        await asyncio.sleep(0)


class Work:
    """Counts how often it is done, and takes as long as it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.takes = 0.0
        self.done = 0
        self.fails = False
        self.gate: asyncio.Event | None = None

    def clock(self) -> float:
        return self.now

    async def __call__(self) -> int:
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        self.now += self.takes
        if self.fails:
            raise DataError("no")
        self.done += 1
        return self.done


def test_a_value_is_kept_as_long_as_it_is_young_enough() -> None:
    async def play() -> None:
        work = Work()
        cache = Cache(clock=work.clock)
        assert [await cache.get("a", work), await cache.get("a", work), await cache.get("b", work)] == [1, 1, 2]
        work.now = 9.0
        assert [await cache.get("a", work, seconds=10.0), await cache.get("a", work, seconds=8.0)] == [1, 3]
        cache.forget("a")
        assert await cache.get("a", work) == 4

    run(play())


@pytest.mark.parametrize("stale", [False, True])
def test_those_who_ask_at_once_wait_for_one_value(*, stale: bool) -> None:
    async def play() -> None:
        work = Work()
        cache = Cache(clock=work.clock)
        asked = (cache.get("a", work, seconds=0.0, stale=stale) for _ in range(9))
        assert await asyncio.gather(*asked) == [1] * 9

    run(play())


def test_whoever_takes_a_stale_value_gets_the_old_one_while_another_one_comes() -> None:
    async def play() -> None:
        work = Work()
        cache = Cache(clock=work.clock)
        assert await cache.get("a", work) == 1
        work.now, work.gate = 6.0, asyncio.Event()
        assert [await cache.get("a", work, seconds=5.0, stale=True) for _ in range(3)] == [1] * 3
        assert cache.peek("a") == 1
        work.gate.set()
        await rest()
        assert cache.peek("a") == await cache.get("a", work, seconds=5.0, stale=True) == 2

    run(play())


def test_what_takes_long_is_kept_for_longer_where_it_may_be_stale() -> None:
    async def play() -> None:
        work = Work()
        work.takes = 2.0
        cache = Cache(share=0.02, clock=work.clock)
        assert await cache.get("a", work, seconds=5.0, stale=True) == 1
        work.now = 99.0
        await cache.get("a", work, seconds=5.0, stale=True)
        await rest()
        assert work.done == 1
        work.now = 101.0
        await cache.get("a", work, seconds=5.0, stale=True)
        await rest()
        assert work.done == 2
        work.now += 6.0
        assert await cache.get("a", work, seconds=5.0) == 3

    run(play())


def test_who_does_not_wait_gets_nothing_and_it_comes_all_the_same() -> None:
    async def play() -> None:
        work = Work()
        work.gate = asyncio.Event()
        cache = Cache(clock=work.clock)
        assert await cache.glimpse("a", work, seconds=5.0, patience=0.01) is None
        work.gate.set()
        await rest()
        assert await cache.glimpse("a", work, seconds=5.0) == 1

    run(play())


def test_one_who_leaves_takes_nobodys_value_away() -> None:
    async def play() -> None:
        work, cache = Work(), Cache()
        leaving = asyncio.ensure_future(cache.get("a", work))
        await asyncio.sleep(0)
        staying = asyncio.ensure_future(cache.get("a", work))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == 1

    run(play())


def test_a_failure_is_told_and_not_kept() -> None:
    async def play() -> None:
        work = Work()
        work.fails = True
        cache = Cache(clock=work.clock)
        with pytest.raises(DataError):
            await cache.glimpse("a", work, seconds=5.0)
        with pytest.raises(DataError):
            await cache.get("a", work)
        work.fails = False
        assert await cache.get("a", work) == 1

    run(play())


def test_an_old_value_outlives_a_failure_where_it_may_be_stale() -> None:
    async def play() -> None:
        work = Work()
        cache = Cache(clock=work.clock)
        assert await cache.get("a", work) == 1
        work.now, work.fails = 6.0, True
        assert await cache.get("a", work, seconds=5.0, stale=True) == 1
        await rest()
        assert await cache.get("a", work, seconds=5.0, stale=True) == 1
        with pytest.raises(DataError):
            await cache.get("a", work, seconds=5.0)

    run(play())


def test_what_was_forgotten_while_it_came_is_not_kept() -> None:
    async def play() -> None:
        work = Work()
        work.gate = asyncio.Event()
        cache = Cache(clock=work.clock)
        stale = asyncio.create_task(cache.get("a", work))
        await asyncio.sleep(0)
        cache.forget("a")
        work.gate.set()
        assert await stale == 1
        assert cache.peek("a") is None
        assert await cache.get("a", work) == 2

    run(play())


def test_only_those_that_were_asked_for_last_are_kept() -> None:
    async def play() -> None:
        work, cache = Work(), Cache(most=2)
        for key in ("a", "b", "a", "c"):
            await cache.get(key, work)
        assert [cache.peek(key) for key in ("a", "b", "c")] == [1, None, 3]

    run(play())


def test_what_comes_late_takes_no_others_place() -> None:
    async def play() -> None:
        slow, work, cache = Work(), Work(), Cache(most=1)
        slow.gate = asyncio.Event()
        late = asyncio.create_task(cache.get("old", slow))
        await asyncio.sleep(0)
        assert await cache.get("new", work) == 1
        slow.gate.set()
        assert await late == 1
        assert (cache.peek("old"), cache.peek("new")) == (None, 1)

    run(play())


def test_what_fails_takes_no_others_place() -> None:
    async def play() -> None:
        work, failing, cache = Work(), Work(), Cache(most=2)
        failing.fails = True
        assert await cache.get("a", work) == 1
        for key in ("b", "c", "d"):
            with pytest.raises(DataError):
                await cache.get(key, failing)
        assert await cache.get("a", work) == 1

    run(play())
