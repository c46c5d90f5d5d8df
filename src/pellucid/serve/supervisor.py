"""The supervisor: starts parts as processes, starts again what dies, and ends them together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

GRACE_SECONDS = 20.0  # that a part has to end in before it is killed
STEADY_SECONDS = 30.0  # a part that has lived so long died of something new: it is started again at once
MOST_WAIT = 30.0  # seconds between two starts of a part that dies at once
_LOOK_SECONDS = 0.1
LIFELINE = "PELLUCID_LIFELINE"  # variable: a file of which a part reads the end once its supervisor is gone


@dataclass(frozen=True, slots=True)
class Part:
    """One process."""

    name: str
    command: tuple[str, ...]


class _Kept:
    """A part that is kept alive."""

    def __init__(
        self, part: Part, environ: Mapping[str, str], lifeline: Sequence[int], tell: Callable[[str], None]
    ) -> None:
        self.part = part
        self._environ = environ
        self._lifeline = lifeline
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._wait = 0.0  # seconds before the next start
        self._next = 0.0

    def look(self, now: float) -> None:
        """Starts the part where it does not run and its time has come."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._process = None
            self._rest(now, f"ended with {code}")
        if now >= self._next:
            self._started = now
            try:
                # a group of its own, so that Ctrl-C reaches the supervisor alone, which ends the parts in order
                self._process = subprocess.Popen(
                    self.part.command, env=dict(self._environ), start_new_session=True, pass_fds=self._lifeline
                )
            except OSError as error:
                self._rest(now, f"cannot be started: {error.strerror}")

    def _rest(self, now: float, what: str) -> None:
        steady = now - self._started > STEADY_SECONDS
        self._wait = 0.0 if steady else min(MOST_WAIT, max(1.0, 2 * self._wait))
        self._next = now + self._wait
        self._tell(f"{self.part.name} {what}; it is started again {f'in {self._wait:.0f} s' if self._wait else 'now'}")

    def ask_to_end(self) -> None:
        """SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Waits until the part has ended, and kills it where that takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._tell(f"{self.part.name} does not end; it is killed")
            self._process.kill()
            self._process.wait()


def supervise(
    parts: Sequence[Part],
    *,
    tell: Callable[[str], None],
    environ: Mapping[str, str],
    stop: threading.Event | None = None,
) -> None:
    """Keeps the parts running until Ctrl-C, SIGTERM, or ``stop`` is set; then ends them, the last one first.

    A supervisor that is killed can end nothing. Its parts see it at their lifeline, and end by themselves: see
    ``pellucid.cli.ending.as_service``.
    """
    with _lifeline() as line:
        named = {LIFELINE: str(line[0])} if line else {}
        _keep([_Kept(part, {**environ, **named}, line, tell) for part in parts], stop)


def _keep(kept: Sequence[_Kept], stop: threading.Event | None) -> None:
    with _ending(kept):
        while stop is None or not stop.is_set():
            now = time.monotonic()
            for part in kept:
                part.look(now)
            time.sleep(_LOOK_SECONDS)


@contextlib.contextmanager
def _lifeline() -> Iterator[tuple[int, ...]]:
    """The end of a pipe that reads as long as this process lives, because it alone holds the other one."""
    if os.name != "posix":  # no file can be handed on
        yield ()
        return
    read, write = os.pipe()
    try:
        yield (read,)
    finally:
        os.close(read)
        os.close(write)


@contextlib.contextmanager
def _ending(kept: Sequence[_Kept]) -> Iterator[None]:
    try:
        yield
    finally:
        for part in reversed(kept):
            part.ask_to_end()
        deadline = time.monotonic() + GRACE_SECONDS
        for part in reversed(kept):
            part.end(deadline)
