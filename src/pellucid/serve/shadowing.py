"""Shadowing: lets a candidate answer what the champion has answered, without anybody waiting for it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pellucid.flow.production.shadow import answer_in_shadow, is_drawn
from pellucid.flow.training.predict import open_predictor
from pellucid.flow.training.predictor import Predictor
from pellucid.flow.workspace import Workspace
from pellucid.serve.kinds import kind_of, log_error
from pellucid.store.models import get_model
from pellucid.store.shadows import Shadow, note_shadow, running_shadow
from pellucid.types import Answer

TICK_SECONDS = 0.25  # what came in between is answered together, and no request that is on its way is raced with
LOOK_TICKS = 4  # after so many it is looked whether a shadow has begun or ended
RETRY_SECONDS = 5.0  # after which a candidate that cannot be loaded is tried again
MOST = 64  # images that are answered together
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShadowStats:
    """What a server's candidate has done so far."""

    candidate: str | None  # "NAME@VERSION" that is loaded
    answered: int  # images that were new to the shadow
    dropped: int  # images that came while too many waited, or on which it failed
    waiting: int  # images at this moment


class Shadowing:
    """The candidate in the shadow of what a server answers. It has a thread of its own and never raises.

    Begun and ended by `pellucid.flow.production.shadow`, which every server's thread notices by itself. What waits is
    bounded: the rest is dropped and counted. A candidate that fails is reported in the log and in the shadow's row.

    Args:
        workspace: the project.
        name: gives the name of the models that answer; None while there is none.
        depth: answers that may wait.
    """

    def __init__(self, workspace: Workspace, name: Callable[[], str | None], *, depth: int = 1024) -> None:
        self._workspace = workspace
        self._name = name
        self._depth = depth
        self._shadow: Shadow | None = None
        self._predictor: Predictor | None = None
        self._queue: deque[Answer] = deque()
        self._lock = threading.Lock()  # of the queue and of the counters
        self._answered = self._dropped = 0
        self._trouble: str | None = None
        self._logged: str | None = None  # the error that the log has last
        self._told: tuple[int, str | None] = (0, None)  # dropped images and trouble that the row has from here
        self._rests_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pellucid-shadow", daemon=True)

    def start(self) -> None:
        """Looks from now on for shadows that begin and end."""
        self._thread.start()

    def close(self) -> None:
        """Ends after the images that are in work; what waits is dropped."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    @property
    def stats(self) -> ShadowStats:
        """What was done so far, all numbers of one moment."""
        with self._lock:
            loaded = self._shadow.ref if self._shadow is not None and self._predictor is not None else None
            return ShadowStats(loaded, self._answered, self._dropped, len(self._queue))

    def offer(self, answers: Sequence[Answer]) -> None:
        """Lets the candidate answer what the champion has; costs the caller a few microseconds."""
        with self._lock:
            if (shadow := self._shadow) is None or self._predictor is None:
                return
            drawn = [item for item in answers if item.model != shadow.ref and is_drawn(item.sample, shadow.share)]
            room = max(0, self._depth - len(self._queue))
            self._queue.extend(drawn[:room])
            self._dropped += len(drawn[room:])

    def _run(self) -> None:
        for tick in itertools.count():
            looks = tick % LOOK_TICKS == 0
            for part in (self._look, self._load, self._work_off, self._tell) if looks else (self._work_off,):
                try:
                    part()
                except Exception as error:  # noqa: BLE001 - the thread has to live on, whatever happens
                    self._note(error, blames=part in {self._load, self._work_off})
            if self._stop.wait(TICK_SECONDS):
                return

    def _look(self) -> None:
        """Takes in a shadow that has begun, and lets go of one that has ended."""
        name = self._name()
        if name is None:
            return
        with self._workspace.database.read() as connection:
            running = running_shadow(connection, name)
        if running is None or self._shadow is None or running.id != self._shadow.id:
            with self._lock:
                self._shadow, self._predictor = running, None
                self._queue.clear()
                self._rests_until = 0.0
                self._trouble, self._told = None, (self._dropped, None)

    def _load(self) -> None:
        shadow = self._shadow
        if shadow is None or self._predictor is not None or time.monotonic() < self._rests_until:
            return
        self._rests_until = time.monotonic() + RETRY_SECONDS
        with self._workspace.database.read() as connection:
            model = get_model(connection, shadow.ref)
        self._predictor = open_predictor(self._workspace, model)
        self._trouble = self._logged = None
        _LOG.info("%s answers in the shadow from now on", shadow.ref)

    def _work_off(self) -> None:
        while (shadow := self._shadow) is not None and (predictor := self._predictor) is not None:
            with self._lock:
                batch = [self._queue.popleft() for _ in range(min(MOST, len(self._queue)))]
            if not batch or self._stop.is_set():
                return
            try:
                answered = answer_in_shadow(self._workspace, shadow, predictor, batch)
            except Exception:
                with self._lock:
                    self._dropped += len(batch)
                raise
            with self._lock:
                self._answered += answered
                self._trouble = self._logged = None

    def _tell(self) -> None:
        """Writes down what went wrong, for the report, where there is something new."""
        with self._lock:
            shadow, now, told = self._shadow, (self._dropped, self._trouble), self._told
        if shadow is not None and now != told:
            with self._workspace.database.write() as connection:
                note_shadow(connection, shadow.id, dropped=now[0] - told[0], trouble=now[1])
            self._told = now

    def _note(self, error: Exception, *, blames: bool) -> None:
        """Notes an error; the log has it once while it lasts.

        Args:
            blames: whether it keeps the candidate from answering.
        """
        name = self._shadow.ref if self._shadow is not None else "a candidate"
        what = f"{name} cannot answer in the shadow" if blames else f"following the shadow of {name} failed"
        said = kind_of(error, what)
        if said != self._logged:
            log_error(_LOG, error, what)
        self._logged = said
        if blames:
            self._trouble = said
