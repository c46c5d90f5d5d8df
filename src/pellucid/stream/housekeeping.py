"""Housekeeping: what a consumer has kept for too long goes: feedback whose image never came, and old receipts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pellucid.flow.workspace import Workspace
from pellucid.store.retention import prune_receipts
from pellucid.stream.waiting import give_up

WAIT_DAYS = 30.0  # that feedback waits for its image where the setting keep_days names none
_EVERY_SECONDS = 3600.0


class Housekeeping:
    """Tidies up after the consumers of a dataset, once an hour; for `consume`'s ``between``.

    Feedback whose image has not come within ``keep_days``, or WAIT_DAYS where answers are kept for ever, is set aside
    with its reason. Receipts go after ``keep_days``, as the answers do: what comes again after so long counts again.

    Args:
        workspace: the project.
        dataset: whose champion the consumer answers by.
        clock: seconds that never go back.
    """

    def __init__(self, workspace: Workspace, dataset: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = workspace.database
        self._dataset = dataset
        self._days = workspace.settings.keep_days
        self._clock = clock
        self._next = clock()

    def look(self) -> int:
        """Tidies up where its time has come; returns how many feedback events were set aside.

        Raises:
            StorageError: what is done stands, and the rest is done the next time.
        """
        if self._clock() < self._next:
            return 0
        given_up = self._end_waits()
        if self._days > 0:
            self._prune()
        self._next = self._clock() + _EVERY_SECONDS
        return given_up

    def _end_waits(self) -> int:
        days = self._days or WAIT_DAYS
        before, total = datetime.now(UTC) - timedelta(days=days), 0
        reason = f"its image has not come within {days:g} days"
        while True:
            with self._database.write() as connection:
                done = give_up(connection, self._dataset, before, reason)
            total += done
            if not done:
                return total

    def _prune(self) -> None:
        before, done = datetime.now(UTC) - timedelta(days=self._days), 1
        while done:
            with self._database.write() as connection:
                done = prune_receipts(connection, before)
