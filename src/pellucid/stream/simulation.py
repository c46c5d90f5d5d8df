"""Simulation: sends a traffic at its rate, a few visits at once, and keeps account of what comes back."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pellucid.errors import ImageError, UsageError
from pellucid.flow.production.simulate import Traffic, Visit
from pellucid.flow.workspace import Progress, no_progress
from pellucid.stream.sender import Halted, Reply, Sender
from pellucid.stream.tally import Outcome, Report

_GRACE = 5.0  # seconds for which visits under way are waited for, once all is to stop
_LOOK = 0.2  # seconds between two looks whether all is to stop
_UNITS = {"s": 1, "m": 60, "h": 3600}  # seconds


@dataclass(frozen=True, slots=True)
class Played:
    """What was sent, and how it ended."""

    outcomes: tuple[Outcome, ...]  # in the order in which they ended
    seconds: float
    stopped: BaseException | None  # Ctrl-C, or the error that no later visit would have escaped; None at the end


def play(
    traffic: Traffic,
    sender: Sender,
    *,
    rate: float = math.inf,
    duration: float = math.inf,
    report: Report | None = None,
    progress: Progress = no_progress,
) -> Played:
    """Sends the visits one after the other, each at its time or as soon as there is room for it.

    It is told and not raised what stopped it, so that what was sent before is accounted for.

    Args:
        rate: visits a second; infinity sends as fast as they are taken.
        duration: seconds after which no further visit is sent.
        report: is given every outcome as it comes.
        progress: told how many visits have ended.
    """
    stage = _Stage(traffic, sender, report, progress)
    stopped: BaseException | None = None
    started = time.monotonic()
    threads = [threading.Thread(target=stage.work, daemon=True) for _ in range(sender.parallel)]
    for thread in threads:
        thread.start()
    try:
        for number, visit in enumerate(traffic.visits):
            due = started + number / rate
            if due - started >= duration or stage.stop.wait(max(0.0, due - time.monotonic())):
                break
            if not stage.offer(visit, started + duration):
                break
        stage.end()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(_LOOK)
        seconds = time.monotonic() - started
        if stage.fault is None and (more := sender.gather()):
            stage.add_later(more)
    except KeyboardInterrupt as interrupt:
        stopped, seconds = interrupt, time.monotonic() - started
        stage.stop.set()
        for thread in threads:
            thread.join(max(0.0, started + seconds + _GRACE - time.monotonic()))
    return Played(stage.close(), seconds, stopped or stage.fault)


def parse_rate(text: str) -> float:
    """Visits a second of ``N/s``, ``N/m``, ``N/h`` or ``max``.

    >>> parse_rate("30/m"), parse_rate("max")
    (0.5, inf)

    Raises:
        UsageError: it is none of these.
    """
    if text.strip() == "max":
        return math.inf
    number, slash, unit = (part.strip() for part in text.partition("/"))
    value = _number(number)
    if not slash or unit not in _UNITS or not 0 < value < math.inf:
        raise UsageError(f"the rate is {text!r}; wanted is N/s, N/m or N/h with N above 0, as 10/s, or max")
    return value / _UNITS[unit]


def parse_duration(text: str) -> float:
    """Seconds of ``30s``, ``5m`` or ``1h``; a number alone is seconds.

    >>> parse_duration("5m"), parse_duration("1.5")
    (300.0, 1.5)

    Raises:
        UsageError: it is none of these.
    """
    text = text.strip()
    unit = _UNITS.get(text[-1:], 0)
    value = _number(text[:-1] if unit else text)
    if not 0 < value < math.inf:
        raise UsageError(f"the duration is {text!r}; wanted is a time above 0, as 30s, 5m or 1h")
    return value * (unit or 1)


class _Stage:
    """What the threads share."""

    def __init__(self, traffic: Traffic, sender: Sender, report: Report | None, progress: Progress) -> None:
        self.stop = threading.Event()
        self.fault: BaseException | None = None
        self._traffic = traffic
        self._sender = sender
        self._report = report
        self._progress = progress
        self._waiting: queue.Queue[Visit | None] = queue.Queue(maxsize=1)
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._closed = False

    def offer(self, visit: Visit, until: float) -> bool:
        """Hands the visit to a thread as soon as one is free; not where all is to stop, or the time is over."""
        return self._put(visit, lambda: time.monotonic() >= until)

    def end(self) -> None:
        """Lets the threads end once they have done what waits."""
        for _ in range(self._sender.parallel):
            self._put(None, lambda: False)

    def work(self) -> None:
        """Sends visits until there are no more, or all is to stop."""
        while not self.stop.is_set():
            try:
                visit = self._waiting.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if visit is None:
                return
            try:
                self._add(self._send(visit))
            except Halted:
                return
            except BaseException as error:  # noqa: BLE001 - it is handed to who waits for the threads
                self.fault = self.fault or error
                self.stop.set()
                return

    def add_later(self, more: dict[str, Reply]) -> None:
        """Fills in what came back after all was sent."""
        with self._lock:
            self._outcomes = [
                replace(item, reply=more[item.visit.id]) if item.visit.id in more else item for item in self._outcomes
            ]
            if self._report is not None:
                self._report.write_again(self._outcomes)

    def close(self) -> tuple[Outcome, ...]:
        """All outcomes; what a thread brings later is not counted."""
        with self._lock:
            self._closed = True
            return tuple(self._outcomes)

    def _send(self, visit: Visit) -> Outcome:
        at, corruption = datetime.now(UTC), ""
        try:
            shown = self._traffic.show(visit)
            corruption = shown.corruption
            reply = self._sender.send(visit, shown, at, self.stop)
        except ImageError as error:
            reply = Reply(error=f"image: {error}")
        return Outcome(visit, at, corruption, reply)

    def _add(self, outcome: Outcome) -> None:
        with self._lock:
            if self._closed:
                return
            self._outcomes.append(outcome)
            if self._report is not None:
                self._report.add(outcome)
            self._progress("simulating", len(self._outcomes), len(self._traffic.visits))

    def _put(self, visit: Visit | None, is_over: Callable[[], bool]) -> bool:
        while not self.stop.is_set() and not is_over():
            try:
                self._waiting.put(visit, timeout=_LOOK)
            except queue.Full:
                continue
            return True
        return False


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
