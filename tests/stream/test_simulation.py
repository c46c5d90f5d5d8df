from __future__ import annotations

import csv
import math
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from pellucid.errors import ImageError, StorageError, UsageError
from pellucid.features.decode import DEFAULT_LIMITS
from pellucid.flow.production.simulate import Picture, Play, Shown, Traffic, Visit
from pellucid.stream.sender import Halted, Reply
from pellucid.stream.simulation import parse_duration, parse_rate, play
from pellucid.stream.tally import Report


class Scripted:
    """Replies at once with the truth, after it has done what the test wants."""

    def __init__(self, parallel: int = 1, act: Callable[[int], None] = lambda number: None) -> None:
        self.parallel = parallel
        self.at: list[float] = []
        self.order: list[str] = []
        self.most = self.under_way = 0
        self._act = act
        self._lock = threading.Lock()

    def send(self, visit: Visit, shown: Shown, at: datetime, stop: threading.Event) -> Reply:
        with self._lock:
            self.at.append(time.monotonic())
            self.order.append(visit.id)
            number = len(self.at)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            self._act(number)
        finally:
            with self._lock:
                self.under_way -= 1
        if stop.is_set():
            raise Halted
        return Reply(prediction=visit.picture.truth)

    def gather(self) -> dict[str, Reply]:
        return {}

    def close(self) -> None:
        pass


def traffic_of(count: int, read: Callable[[], bytes] = lambda: b"data") -> Traffic:
    visits = tuple(
        Visit(f"v-{n}", "monday", Picture(f"{n:064x}", f"{n}.png", "cat", str(n), read), "user-1", "cat")
        for n in range(count)
    )
    return Traffic(Play(), visits, (), ("cat", "dog"), DEFAULT_LIMITS)


def ids(path: Path) -> list[str]:
    return [line["id"] for line in csv.DictReader(path.read_text(encoding="utf-8").splitlines())]


def test_everything_is_sent_once_and_in_order() -> None:
    sender, told = Scripted(), list[tuple[str, int, int | None]]()
    played = play(traffic_of(20), sender, progress=lambda *words: told.append(words))
    assert sender.order == [f"v-{n}" for n in range(20)] == [item.visit.id for item in played.outcomes]
    assert played.stopped is None
    assert told == [("simulating", n, 20) for n in range(1, 21)]


def test_no_image_comes_before_its_time() -> None:
    sender, began = Scripted(), time.monotonic()
    play(traffic_of(6), sender, rate=20.0)
    assert all(at - began >= number / 20 - 1e-3 for number, at in enumerate(sender.at))


def test_the_duration_ends_it_and_what_was_begun_is_finished() -> None:
    played = play(traffic_of(1000), Scripted(), rate=20.0, duration=0.25)
    assert 1 <= len(played.outcomes) <= 5  # those due at 0, 50, 100, 150 and 200 ms
    assert played.stopped is None


def test_the_duration_ends_a_slow_one_too() -> None:
    played = play(traffic_of(1000), Scripted(act=lambda number: time.sleep(0.05)), duration=0.3)
    assert 1 <= len(played.outcomes) < 20


def test_as_many_are_under_way_as_the_sender_takes() -> None:
    together = threading.Barrier(3, timeout=30)

    def meet(number: int) -> None:
        together.wait()

    sender = Scripted(3, meet)
    assert len(play(traffic_of(9), sender).outcomes) == 9
    assert sender.most == 3


def test_an_image_that_cannot_be_read_is_its_own_error() -> None:
    def read() -> bytes:
        raise ImageError("changed", "it was written to")

    played = play(traffic_of(3, read), Scripted())
    assert [item.reply.error for item in played.outcomes] == ["image: changed: it was written to"] * 3


@pytest.mark.parametrize("fault", [StorageError("the server is away"), ZeroDivisionError("a fault of ours")])
def test_what_no_later_visit_would_escape_ends_it_and_is_told(fault: Exception, tmp_path: Path) -> None:
    def act(number: int) -> None:
        if number == 4:
            raise fault

    with Report(tmp_path / "r.csv") as report:
        played = play(traffic_of(100), Scripted(act=act), report=report)
    assert played.stopped is fault
    assert [item.visit.id for item in played.outcomes] == ["v-0", "v-1", "v-2"] == ids(tmp_path / "r.csv")


def test_ctrl_c_ends_it_and_the_report_has_what_was_counted(tmp_path: Path) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def act(number: int) -> None:
        if number == 5:
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.2)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Report(tmp_path / "r.csv") as report:
            played = play(traffic_of(100), Scripted(act=act), report=report)
    finally:
        signal.signal(signal.SIGINT, before)
    assert isinstance(played.stopped, KeyboardInterrupt)
    assert [item.visit.id for item in played.outcomes] == ids(tmp_path / "r.csv")
    assert 4 <= len(played.outcomes) < 100


def test_what_comes_back_later_is_filled_in(tmp_path: Path) -> None:
    class Late(Scripted):
        def gather(self) -> dict[str, Reply]:
            return {"v-1": Reply(prediction="dog")}

    with Report(tmp_path / "r.csv") as report:
        played = play(traffic_of(3), Late(), report=report)
    assert [item.reply.prediction for item in played.outcomes] == ["cat", "dog", "cat"]
    lines = list(csv.DictReader((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()))
    assert [line["prediction"] for line in lines] == ["cat", "dog", "cat"]


@pytest.mark.parametrize(
    ("text", "rate"), [("10/s", 10.0), ("90/m", 1.5), ("3600 / h", 1.0), ("0.5/s", 0.5), ("max", math.inf)]
)
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "10", "0/s", "-1/s", "ten/s", "10/d", "inf/s", "nan/s", "/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(UsageError, match="wanted is N/s"):
        parse_rate(text)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0), ("7", 7.0)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "0s", "-5m", "inf", "nan", "5d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="wanted is a time above 0"):
        parse_duration(text)
