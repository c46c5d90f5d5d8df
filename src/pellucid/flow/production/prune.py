"""Prune: forget old answers that nobody said anything of, with their vectors and images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from pellucid.errors import UsageError
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.retention import (
    is_ingesting,
    prune_answers,
    prune_receipts,
    prune_samples,
    prune_shadows,
    prune_vectors,
    unused_packs,
)

_DAY_SECONDS = 86_400.0
_LONG_INGEST = timedelta(days=1)  # an ingest that has not ended after so long has died


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was forgotten, or would be."""

    before: datetime  # UTC: what is older
    answers: int
    shadow_answers: int  # what candidates said beside them
    receipts: int
    vectors: int
    images: int
    packs: int  # files of images that were removed
    dry_run: bool


class DailyPrune:
    """Prunes once a day where the setting ``keep_days`` is above 0; for `pellucid worker --watch`."""

    def __init__(self, workspace: Workspace, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspace = workspace
        self._clock = clock
        self._next = clock()

    def look(self) -> None:
        """Prunes where its time has come."""
        days = self._workspace.settings.keep_days
        if days > 0 and self._clock() >= self._next:
            self._next = self._clock() + _DAY_SECONDS
            prune(self._workspace, days)


def prune(workspace: Workspace, days: float, *, dry_run: bool = False, progress: Progress = no_progress) -> Pruned:
    """Forgets answers older than so many days that no vote names, and what only they referred to.

    Votes, the ledger, dataset versions and their images, models and the history are kept for ever. A pack of images
    goes once none of its images is needed.

    Raises:
        UsageError: the days are not above 0.
    """
    if not days > 0:
        raise UsageError(
            f"answers are to be kept for {days:g} days, of which keep_days = 0 is for ever and nothing goes; give more "
            "than 0: --days, or keep_days in pellucid.toml"
        )
    now = datetime.now(UTC)
    before = now - timedelta(days=days)

    def repeat(what: str, act: Callable[[sa.Connection], int]) -> int:
        total = 0
        while True:
            with workspace.database.write() as connection:
                done = act(connection)
            total += done
            progress(f"pruning {what}", total, None)
            if not done or dry_run:
                return total

    answers = repeat("answers", lambda connection: prune_answers(connection, before, dry_run=dry_run))
    shadows = repeat("shadows", lambda connection: prune_shadows(connection, before, dry_run=dry_run))
    receipts = repeat("receipts", lambda connection: prune_receipts(connection, before, dry_run=dry_run))
    vectors = repeat("vectors", lambda connection: prune_vectors(connection, before, dry_run=dry_run))
    packs: set[str] = set()

    def samples(connection: sa.Connection) -> int:
        count, left = prune_samples(connection, dry_run=dry_run)
        packs.update(left)
        return count

    with workspace.database.read() as connection:
        busy = is_ingesting(connection, now - _LONG_INGEST)
    images = 0 if busy else repeat("images", samples)
    with workspace.database.read() as connection:
        empty = set() if dry_run else unused_packs(connection, packs)
    for pack in sorted(empty):
        workspace.blobs.remove("packs", pack, suffix=".pack")
    return Pruned(before, answers, shadows, receipts, vectors, images, len(empty), dry_run)
