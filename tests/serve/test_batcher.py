"""Whatever comes together, everybody gets his own answer, in order, and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import BusyError, UsageError
from pellucid.serve.batcher import Batcher

WAIT = 30  # seconds, far more than anything here takes


class Gate:
    """Work that keeps what it is given, and waits at its gate while that is shut."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began = threading.Semaphore(0)
        self._open = threading.Event()
        self._open.set()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.began.release()
        assert self._open.wait(WAIT)
        return [-item for item in items]

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()


Held = Callable[..., Batcher[int, int]]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def held(gate: Gate) -> Iterator[Held]:
    """held(most=..., depth=...): a batcher that is at work on item 0 until the gate opens."""
    made: list[Batcher[int, int]] = []

    def make(most: int = 32, depth: int = 256) -> Batcher[int, int]:
        gate.shut()
        made.append(Batcher(gate, most=most, depth=depth))
        made[-1].enqueue(0)
        assert gate.began.acquire(timeout=WAIT)
        return made[-1]

    yield make
    gate.open()
    for batcher in made:
        batcher.close()


def test_one_alone_is_answered_at_once() -> None:
    with Batcher(Gate(), most=1, depth=1) as batcher:
        assert asyncio.run(batcher.submit(7)) == -7
        assert batcher.stats.sizes == {1: 1}


def test_what_is_ready_shares_a_batch_and_never_more_than_the_most(gate: Gate, held: Held) -> None:
    batcher = held(most=4)
    futures = [batcher.enqueue(item) for item in range(1, 11)]
    gate.open()
    assert [future.result(WAIT) for future in futures] == [-item for item in range(1, 11)]
    assert gate.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    stats = batcher.stats
    assert (stats.batches, stats.items, stats.sizes) == (4, 11, {1: 1, 2: 1, 4: 2})
    assert (stats.dropped, stats.refused, stats.waiting) == (0, 0, 0)


def test_a_full_queue_refuses_and_says_when_to_come_back(gate: Gate, held: Held) -> None:
    batcher = held(most=2, depth=3)
    futures = [batcher.enqueue(item) for item in range(3)]
    with pytest.raises(BusyError, match="3 requests are waiting already; try again in") as caught:
        batcher.enqueue(9)
    assert 1 <= caught.value.retry_after <= 60
    assert (batcher.stats.refused, batcher.stats.waiting) == (1, 3)
    gate.open()
    assert [future.result(WAIT) for future in futures] == [0, -1, -2]
    assert batcher.enqueue(9).result(WAIT) == -9


def test_the_estimate_grows_with_what_waits_and_what_a_batch_takes(gate: Gate, held: Held) -> None:
    batcher = held(most=2, depth=8)
    assert batcher._estimate() == 1.0
    for item in range(8):
        batcher.enqueue(item)
    assert batcher._estimate() == 5.0, "the batch at work and four more, a second each while none has ended"
    batcher._seconds = 100.0
    assert batcher._estimate() == 60.0


def test_abandoned_requests_never_reach_the_model(gate: Gate, held: Held) -> None:
    batcher = held(most=8)

    async def ask() -> None:
        tasks = [asyncio.create_task(batcher.submit(item)) for item in range(1, 7)]
        while batcher.stats.waiting < 6:
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks[::2])
        await asyncio.sleep(0.01)  # a cancellation takes one more turn of the loop to arrive
        gate.open()
        await asyncio.wait(tasks, timeout=WAIT)
        assert [task.cancelled() for task in tasks] == [True, False] * 3
        assert [task.result() for task in tasks[1::2]] == [-2, -4, -6]

    asyncio.run(ask())
    assert gate.batches == [[0], [2, 4, 6]]
    assert batcher.stats.dropped == 3


def test_the_abandoned_make_room_for_others(gate: Gate, held: Held) -> None:
    batcher = held(most=8, depth=2)
    gone = [batcher.enqueue(item) for item in (1, 2)]
    assert all(future.cancel() for future in gone)
    stays = batcher.enqueue(3)
    gate.open()
    assert stays.result(WAIT) == -3
    assert gate.batches == [[0], [3]]
    assert (batcher.stats.dropped, batcher.stats.refused) == (2, 0)


def test_a_queue_of_abandoned_requests_runs_no_batch(gate: Gate, held: Held) -> None:
    batcher = held(most=8)
    for item in (1, 2):
        batcher.enqueue(item).cancel()
    gate.open()
    batcher.close()
    assert gate.batches == [[0]]
    assert batcher.stats.dropped == 2


def test_who_leaves_while_his_batch_runs_disturbs_nobody(gate: Gate) -> None:
    gate.shut()

    async def ask(batcher: Batcher[int, int]) -> int:
        first, second = (asyncio.create_task(batcher.submit(item)) for item in (1, 2))
        assert await asyncio.to_thread(gate.began.acquire, timeout=WAIT)
        first.cancel()
        await asyncio.wait([first])
        gate.open()
        return await second

    with Batcher(gate, most=2, linger=WAIT) as batcher:
        assert asyncio.run(ask(batcher)) == -2
        assert batcher.stats.dropped == 0


def test_an_error_in_one_place_reaches_its_submitter_alone() -> None:
    def work(items: list[int]) -> list[int | Exception]:
        return [ValueError(f"bad {item}") if item % 2 else item for item in items]

    async def ask(batcher: Batcher[int, int]) -> list[int | BaseException]:
        return await asyncio.gather(*map(batcher.submit, range(4)), return_exceptions=True)

    with Batcher(work, linger=WAIT, most=4) as batcher:
        answers = asyncio.run(ask(batcher))
    assert [str(answer) for answer in answers] == ["0", "bad 1", "2", "bad 3"]
    assert batcher.stats.sizes == {4: 1}


@pytest.mark.parametrize(
    ("error", "raised"),
    [(KeyError("x"), KeyError), (StopIteration(), RuntimeError), (SystemExit(3), RuntimeError)],
)
def test_an_error_of_the_work_reaches_the_whole_batch_and_the_next_one_runs(
    error: BaseException, raised: type[Exception]
) -> None:
    def work(items: list[int]) -> list[int]:
        if -1 in items:
            raise error
        return items

    async def ask(batcher: Batcher[int, int], *items: int) -> list[int | BaseException]:
        return await asyncio.wait_for(asyncio.gather(*map(batcher.submit, items), return_exceptions=True), WAIT)

    with Batcher(work, linger=WAIT, most=2) as batcher:
        assert [type(answer) for answer in asyncio.run(ask(batcher, 1, -1))] == [raised, raised]
        assert asyncio.run(ask(batcher, 1, 2)) == [1, 2]


def test_a_wrong_number_of_results_is_told_to_all() -> None:
    def work(items: list[int]) -> list[int]:
        return items[1:]

    with Batcher(work) as batcher, pytest.raises(RuntimeError, match="0 results for 1 items"):
        batcher.enqueue(1).result(WAIT)


def test_lingering_waits_for_others_and_not_for_ever() -> None:
    gate = Gate()
    with Batcher(gate, most=3, linger=0.01) as batcher:
        assert batcher.enqueue(1).result(WAIT) == -1
    gate = Gate()
    with Batcher(gate, most=3, linger=WAIT) as batcher:
        futures = [batcher.enqueue(item) for item in range(3)]
        assert [future.result(WAIT) for future in futures] == [0, -1, -2]
    assert gate.batches == [[0, 1, 2]]


def test_closing_answers_what_waits_and_takes_nothing_more(gate: Gate, held: Held) -> None:
    batcher = held(most=2)
    futures = [batcher.enqueue(item) for item in range(1, 6)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    while not batcher._closed:
        pass
    with pytest.raises(BusyError, match="stopping"):
        batcher.enqueue(9)
    gate.open()
    closing.join(WAIT)
    assert [future.result(0) for future in futures] == [-1, -2, -3, -4, -5]
    batcher.close()  # a second time
    assert not batcher._thread.is_alive()


def test_nothing_is_kept_alive_between_batches() -> None:
    class Big:
        pass

    def work(items: list[Big]) -> list[int]:
        return [0] * len(items)

    with Batcher(work) as batcher:
        big = Big()
        kept = weakref.ref(big)
        future = batcher.enqueue(big)
        future.result(WAIT)
        del big, future
        batcher.enqueue(Big()).result(WAIT)
        gc.collect()
        assert kept() is None


@pytest.mark.parametrize("options", [{"most": 0}, {"depth": 0}, {"linger": -1.0}, {"linger": float("nan")}])
def test_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="wanted are at least 1"):
        Batcher(lambda items: items, **options)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(
    most=st.integers(1, 6),
    asked=st.lists(st.lists(st.tuples(st.integers(), st.booleans()), max_size=12), min_size=1, max_size=4),
)
def test_every_answer_belongs_to_its_item_whoever_asks(most: int, asked: list[list[tuple[int, bool]]]) -> None:
    """Threads ask at the same time, and give up some of what they asked; the rest is all there and in order."""
    seen: list[list[tuple[int, int]]] = []

    def work(items: list[tuple[int, int, int]]) -> list[tuple[int, int, int] | Exception]:
        seen.append([(asker, at) for asker, at, _ in items])
        return [ArithmeticError(str(item)) if item[2] % 3 == 0 else item for item in items]

    with Batcher(work, most=most, depth=1000) as batcher:

        def ask(asker: int) -> tuple[int, int]:
            items = [(asker, at, value) for at, (value, _) in enumerate(asked[asker])]
            futures = [batcher.enqueue(item) for item in items]
            gone = [future.cancel() for future, (_, leaves) in zip(futures, asked[asker], strict=True) if leaves]
            for item, future, (_, leaves) in zip(items, futures, asked[asker], strict=True):
                if future.cancelled():
                    assert leaves, "only who left has no answer"
                elif item[2] % 3:
                    assert future.result(WAIT) == item
                else:
                    assert str(future.exception(WAIT)) == str(item)
            return len(items), sum(gone)

        with ThreadPoolExecutor(len(asked)) as pool:
            counts = list(pool.map(ask, range(len(asked))))
    total, gone = (sum(column) for column in zip(*counts, strict=True))
    stats = batcher.stats
    assert (stats.items + stats.dropped, stats.dropped) == (total, gone)
    assert all(1 <= len(batch) <= most for batch in seen)
    assert stats.sizes == {size: [len(batch) for batch in seen].count(size) for size in {len(b) for b in seen}}
    for asker in range(len(asked)):
        mine = [at for batch in seen for who, at in batch if who == asker]
        assert mine == sorted(mine)
        assert len(set(mine)) == len(mine)


def test_many_tasks_of_several_event_loops() -> None:
    gate = Gate()

    async def ask(batcher: Batcher[int, int], start: int) -> list[int]:
        return await asyncio.gather(*(batcher.submit(start + step) for step in range(100)))

    with Batcher(gate, most=16, depth=1000) as batcher, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda at: asyncio.run(ask(batcher, 100 * at)), range(4)))
    assert answers == [[-(100 * at + step) for step in range(100)] for at in range(4)]
    assert batcher.stats.items == 400
    assert max(batcher.stats.sizes) <= 16


def test_those_who_come_back_one_by_one_are_waited_for(gate: Gate) -> None:
    with Batcher(gate, most=8, lull=WAIT) as batcher:
        batcher._askers = 3
        futures = []
        for item in (1, 2, 3):  # without a lull the first would be a batch of its own
            futures.append(batcher.enqueue(item))
            threading.Event().wait(0.01)
        assert [future.result(WAIT) for future in futures] == [-1, -2, -3]
    assert gate.batches == [[1, 2, 3]]


def test_those_who_missed_a_batch_wait_for_those_who_were_in_it(gate: Gate) -> None:
    with Batcher(gate, most=4, lull=WAIT) as batcher:
        gate.shut()
        first = [batcher.enqueue(1)]
        assert gate.began.acquire(timeout=WAIT)
        late = [batcher.enqueue(item) for item in (2, 3)]
        gate.open()
        assert first[0].result(WAIT) == -1
        late.append(batcher.enqueue(4))  # whom the other two would else not have waited for
        assert [future.result(WAIT) for future in late] == [-2, -3, -4]
    assert gate.batches == [[1], [2, 3, 4]]


def test_who_does_not_come_back_is_not_waited_for_long(gate: Gate) -> None:
    with Batcher(gate, most=8, lull=0.001) as batcher:
        batcher._askers = 4
        assert batcher.enqueue(1).result(WAIT) == -1
    assert gate.batches == [[1]]
