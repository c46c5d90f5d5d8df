"""What a worker says of its job: steps, warnings and the end, kept with the job for whoever looks."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from pellucid.errors import StorageError
from pellucid.flow.workspace import Workspace
from pellucid.store.job_lines import Line, add_lines
from pellucid.types import Job

_MOST = 500  # lines of one attempt; a head that warns at every step fills no database
_LONGEST = 2000  # letters of a line


class JobLog:
    """Collects lines from entry to exit, Pellucid's own warnings in this thread among them."""

    def __init__(self, workspace: Workspace, job: Job) -> None:
        self._workspace = workspace
        self._job = job
        self._lock = threading.Lock()
        self._lines: list[Line] = []
        self._said = 0
        self._step = ""
        self._ear = _Ear(self, threading.get_ident())

    def step(self, what: str) -> None:
        """What is being done now; one line, however often it is said."""
        if what != self._step:
            self._step = what
            self.say(what)

    def say(self, text: str) -> None:
        """One more line; those beyond the last that is kept are dropped."""
        with self._lock:
            self._said += 1
            if self._said <= _MOST:
                self._lines.append(Line(datetime.now(UTC), " ".join(text.split())[:_LONGEST]))

    def write(self, connection: sa.Connection) -> None:
        """Keeps what was said since the last time."""
        with self._lock:
            lines, self._lines = self._lines, []
        add_lines(connection, self._job.id, lines)

    def __enter__(self) -> Self:
        logging.getLogger("pellucid").addHandler(self._ear)
        self.say(f"started by {self._job.worker}, attempt {self._job.attempt}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("pellucid").removeHandler(self._ear)
        with suppress(StorageError), self._workspace.database.write() as connection:
            self.write(connection)


class _Ear(logging.Handler):
    """Hears the warnings of one thread."""

    def __init__(self, log: JobLog, thread: int) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record over."""
        if record.thread == self._thread:
            self._log.say(f"{record.levelname.lower()}: {record.getMessage()}")
