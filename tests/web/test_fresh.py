"""Fresh values: computed once for all who look, and no more often than they are worth."""

from __future__ import annotations

import asyncio

import pytest

from pellucid.errors import DataError
from pellucid.web.fresh import Fresh


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


def test_many_who_look_at_once_cost_one_look() -> None:
    async def play() -> None:
        work = Work()
        fresh = Fresh(work.clock)
        assert await asyncio.gather(*(fresh.get("a", work) for _ in range(9))) == [1] * 9
        work.now = 6
        assert await fresh.get("a", work) == 1  # the old one, while the new one comes
        await asyncio.sleep(0.01)
        assert await fresh.get("a", work) == 2

    asyncio.run(play())


def test_what_takes_long_is_kept_for_longer() -> None:
    async def play() -> None:
        work = Work()
        work.takes = 2.0
        fresh = Fresh(work.clock)
        assert await fresh.get("a", work, 5) == 1
        work.now += 99
        await fresh.get("a", work, 5)
        await asyncio.sleep(0.01)
        assert work.done == 1
        work.now += 2
        await fresh.get("a", work, 5)
        await asyncio.sleep(0.01)
        assert work.done == 2

    asyncio.run(play())


def test_who_does_not_wait_gets_nothing_and_it_comes_all_the_same() -> None:
    async def play() -> None:
        work = Work()
        work.gate = asyncio.Event()
        fresh = Fresh(work.clock)
        assert await fresh.glimpse("a", work, patience=0.01) is None
        work.gate.set()
        await asyncio.sleep(0.01)
        assert await fresh.glimpse("a", work) == 1

    asyncio.run(play())


def test_a_failure_is_told_and_not_kept() -> None:
    async def play() -> None:
        work = Work()
        work.fails = True
        fresh = Fresh(work.clock)
        with pytest.raises(DataError):
            await fresh.glimpse("a", work)
        work.fails = False
        assert await fresh.get("a", work) == 1

    asyncio.run(play())


def test_what_was_dropped_while_it_came_is_not_kept() -> None:
    async def play() -> None:
        work = Work()
        work.gate = asyncio.Event()
        fresh = Fresh(work.clock)
        stale = asyncio.create_task(fresh.get("a", work))
        await asyncio.sleep(0)
        fresh.drop("a")
        work.gate.set()
        assert await stale == 1
        assert await fresh.get("a", work) == 2

    asyncio.run(play())
