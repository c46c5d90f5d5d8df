"""What is made once for all viewers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from pellucid.errors import DataError
from pellucid.flow.live import LiveModel
from pellucid.web.made import Made


def beside(work: Coroutine[Any, Any, None]) -> None:
    """Runs it in a thread of its own: the browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def model() -> LiveModel:
    return cast("LiveModel", object())


def test_all_who_ask_get_what_is_made_once_for_each_model() -> None:
    made: list[Any] = []

    def make(live: LiveModel) -> int:
        made.append(live)
        return len(made)

    async def run() -> None:
        keeper, first, second = Made(make), model(), model()
        assert await asyncio.gather(*(keeper.of(first) for _ in range(5))) == [1] * 5
        assert await keeper.of(second) == 2
        assert made == [first, second]

    beside(run())


def test_it_is_made_anew_beside_the_viewers_where_something_has_changed() -> None:
    state, made, go = [0], [0], threading.Event()

    def make(live: LiveModel) -> int:
        if made[0]:
            go.wait(30)
        made[0] += 1
        return made[0]

    async def run() -> None:
        keeper, live = Made(make, state=lambda live: state[0], rests=0.0), model()
        assert await keeper.of(live) == 1
        state[0] = 1
        assert await keeper.of(live) == 1  # begins to make another one, and waits for nothing
        go.set()
        while await keeper.of(live) == 1:
            await asyncio.sleep(0.001)
        assert (await keeper.of(live), made[0]) == (2, 2)

    beside(run())


def test_it_rests_before_it_looks_again() -> None:
    looks = [0]

    def state(live: LiveModel) -> int:
        looks[0] += 1
        return looks[0]

    async def run() -> None:
        keeper, live = Made(lambda live: 1, state=state, rests=1000.0), model()
        for _ in range(20):
            await keeper.of(live)
        assert looks == [1]

    beside(run())


def test_what_fails_is_told_and_tried_again() -> None:
    found = [0]

    def make(live: LiveModel) -> int:
        found[0] += 1
        if found[0] == 1:
            raise DataError("no")
        return found[0]

    async def run() -> None:
        keeper, live = Made(make), model()
        with pytest.raises(DataError):
            await keeper.of(live)
        assert await keeper.of(live) == 2

    beside(run())
