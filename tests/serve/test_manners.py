"""Work that nobody waits for rests where requests are answered meanwhile, and only there."""

from __future__ import annotations

import threading
import time

import pytest

from pellucid.serve.manners import Manners


class World:
    """A clock, and what was done by it."""

    def __init__(self) -> None:
        self.now = self.busy = self.spent = 0.0
        self.load = 0.0  # 0..1: how much of the time answers take
        self.slept: list[float] = []
        self.manners = Manners(
            lambda: self.busy, 0.02, spent=lambda: self.spent, clock=lambda: self.now, sleep=self._sleep
        )

    def work(self, seconds: float) -> None:
        self.spent += seconds
        self._pass(seconds)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.busy += seconds * self.load


def test_it_never_rests_where_nobody_asks_anything() -> None:
    world = World()
    for _ in range(5):
        world.manners()
        world.work(0.5)
    assert world.slept == []


@pytest.mark.parametrize(("load", "share"), [(1.0, 0.02), (0.5, 1 / 25.5)])
def test_its_share_falls_with_how_busy_the_server_is(load: float, share: float) -> None:
    world = World()
    world.load = load
    world.manners()
    for _ in range(20):
        world.work(0.1)
        world.manners()
    assert world.spent / world.now == pytest.approx(share)


def test_a_server_that_ends_does_not_wait_for_a_rest() -> None:
    busy = iter(range(0, 10_000_000, 1_000))
    manners = Manners(lambda: float(next(busy)), 0.02, spent=time.monotonic)

    def rest() -> None:
        for _ in range(3):
            manners()

    resting = threading.Thread(target=rest, daemon=True)
    resting.start()
    manners.close()
    resting.join(30)
    assert not resting.is_alive()
