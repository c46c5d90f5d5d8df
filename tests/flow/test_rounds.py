"""Rounds: what there is to do is done at once, and trouble is met with patience."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pellucid.errors import ConcurrencyError, PellucidError, StorageError
from pellucid.flow.rounds import go_round


class Clock(threading.Event):
    """Counts the waits instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


def refuse(error: PellucidError) -> None:
    raise AssertionError(f"no trouble was to be told, and it was {error}")


def script(*steps: bool | Exception, stop: threading.Event) -> Callable[[], bool]:
    left = list(steps)

    def act() -> bool:
        step = left.pop(0)
        if not left:
            stop.set()
        if isinstance(step, Exception):
            raise step
        return step

    return act


def test_it_pauses_only_where_there_is_nothing_to_do() -> None:
    stop = Clock()
    go_round(script(True, True, False, True, stop=stop), stop=stop, drain=False, trouble=refuse, wait=7.0)
    assert stop.waits == [7.0]


def test_a_drained_round_ends_where_there_is_nothing_to_do() -> None:
    stop = Clock()
    go_round(script(True, False, True, stop=stop), stop=stop, drain=True, trouble=refuse)
    assert not stop.is_set()
    assert stop.waits == []


def test_pauses_grow_with_each_trouble_and_are_forgotten_with_the_first_success() -> None:
    stop, told = Clock(), list[PellucidError]()
    troubles = [StorageError("down"), ConcurrencyError("raced"), StorageError("down")]
    go_round(script(*troubles, True, troubles[0], stop=stop), stop=stop, drain=False, trouble=told.append)
    assert told == [*troubles, troubles[0]]
    for wait, most in zip(stop.waits, (0.2, 0.4, 0.8, 0.2), strict=True):
        assert most / 2 <= wait <= most
    many = Clock()
    go_round(script(*troubles * 10, stop=many), stop=many, drain=False, trouble=told.append)
    assert max(many.waits) <= 30.0


def test_other_errors_and_those_of_a_drained_round_are_raised() -> None:
    for drain, error in ((False, ZeroDivisionError()), (True, StorageError("down"))):
        stop = Clock()
        with pytest.raises(type(error)):
            go_round(script(error, True, stop=stop), stop=stop, drain=drain, trouble=refuse)
