"""What is shown to many is found out once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pellucid.web.memo import MOST, Memo

Make = Callable[[], Awaitable[int]]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """In a thread: the browser's own loop may run in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def counter() -> Make:
    made = iter(range(1000))

    async def make() -> int:
        found = next(made)
        await asyncio.sleep(0)
        return found

    return make


def test_an_answer_is_kept_as_long_as_it_is_young_enough() -> None:
    async def ask() -> list[int]:
        memo, make = Memo(), counter()
        answers = [await memo.get("x", make), await memo.get("x", make), await memo.get("y", make)]
        answers.append(await memo.get("x", make, seconds=-1.0))
        memo.forget("x")
        return [*answers, await memo.get("x", make)]

    assert run(ask()) == [0, 0, 1, 2, 3]


def test_those_who_ask_at_once_wait_for_one_answer() -> None:
    async def ask() -> list[int]:
        memo, make = Memo(), counter()
        return list(await asyncio.gather(*(memo.get("x", make, seconds=0.0) for _ in range(5))))

    assert run(ask()) == [0] * 5


def test_one_who_leaves_takes_nobodys_answer_away() -> None:
    async def ask() -> int:
        memo, make = Memo(), counter()
        leaving = asyncio.ensure_future(memo.get("x", make))
        await asyncio.sleep(0)
        staying = asyncio.ensure_future(memo.get("x", make))
        await asyncio.sleep(0)
        leaving.cancel()
        return int(await staying)

    assert run(ask()) == 0


def test_an_error_is_told_and_not_kept() -> None:
    async def ask() -> int:
        memo = Memo()

        async def fail() -> int:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await memo.get("x", fail)
        return int(await memo.get("x", counter()))

    assert run(ask()) == 0


def test_only_so_many_are_kept() -> None:
    async def ask() -> tuple[int, int]:
        memo, make = Memo(), counter()
        for key in range(MOST + 1):
            await memo.get(key, make)
        return await memo.get(MOST, make), await memo.get(0, make)

    assert run(ask()) == (MOST, MOST + 1)
