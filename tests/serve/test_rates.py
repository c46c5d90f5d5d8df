from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import RateError
from pellucid.serve import rates as module
from pellucid.serve.rates import Rates


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def allowed(rates: Rates, name: str, limit: int, cost: int = 1) -> bool:
    try:
        rates.take(name, limit, cost)
    except RateError:
        return False
    return True


def test_a_minute_s_worth_at_once_and_then_evenly(clock: Clock) -> None:
    rates = Rates(clock)
    assert [allowed(rates, "ann", 6) for _ in range(7)] == [True] * 6 + [False]
    with pytest.raises(RateError, match="'ann' may ask 6 times a minute and has; try again in 10 s") as caught:
        rates.take("ann", 6)
    assert caught.value.retry_after == 10
    clock.now = 9.5
    assert not allowed(rates, "ann", 6)
    clock.now = 10
    assert [allowed(rates, "ann", 6) for _ in range(2)] == [True, False]
    clock.now = 1e6
    assert [allowed(rates, "ann", 6) for _ in range(7)] == [True] * 6 + [False], "no more than full"


def test_callers_do_not_pay_for_each_other(clock: Clock) -> None:
    rates = Rates(clock)
    assert [allowed(rates, name, 1) for name in ("ann", "bob", "ann")] == [True, True, False]
    for _ in range(100):
        rates.take("eve", None)


def test_many_images_cost_more_and_a_full_bucket_pays_for_any_number(clock: Clock) -> None:
    rates = Rates(clock)
    assert [allowed(rates, "ann", 10, cost) for cost in (8, 3, 2, 1)] == [True, False, True, False]
    clock.now = 60
    assert allowed(rates, "ann", 10, 500)
    assert not allowed(rates, "ann", 10)


def test_a_changed_limit_counts_at_once(clock: Clock) -> None:
    rates = Rates(clock)
    rates.take("ann", 1)
    assert [allowed(rates, "ann", 2) for _ in range(3)] == [True, True, False]


def test_a_clock_that_steps_back_gives_nothing_away(clock: Clock) -> None:
    rates = Rates(clock)
    clock.now = 100
    rates.take("ann", 1)
    clock.now = 50
    assert not allowed(rates, "ann", 1)


def test_full_buckets_are_forgotten_and_others_are_not(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BUCKETS", 3)
    rates = Rates(clock)
    for at, name in enumerate(("a", "b", "c")):
        clock.now = 30.0 * at
        rates.take(name, 1)
    rates.take("d", 1)
    assert set(rates._buckets) == {"b", "c", "d"}


def test_threads_share_one_bucket(clock: Clock) -> None:
    rates = Rates(clock)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: allowed(rates, "ann", 100), range(400))) == 100


@given(
    limit=st.integers(1, 20),
    steps=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 25)), max_size=40),
)
def test_it_agrees_with_exact_arithmetic(limit: int, steps: list[tuple[int, int]]) -> None:
    """Times in multiples of 15/16 s, so that the floating numbers of the bucket differ from the exact ones by rounding
    alone; where the exact bucket is at the very edge either answer is right."""
    clock = Clock()
    rates, left, at = Rates(clock), Fraction(limit), Fraction(0)
    for wait, cost in steps:
        clock.now += wait * 15 / 16
        now = Fraction(clock.now)
        left, at = min(left + (now - at) * limit / 60, Fraction(limit)), now
        wanted = min(cost, limit)
        given_ = allowed(rates, "ann", limit, cost)
        assert given_ == (left >= wanted) or abs(left - wanted) < Fraction(1, 10**9)
        left -= wanted if given_ else 0
