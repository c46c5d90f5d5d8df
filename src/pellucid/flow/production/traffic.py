"""Traffic: how many answers were given over time, how sure they were, and of which classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from pellucid.errors import UsageError
from pellucid.flow.workspace import Workspace
from pellucid.store.database import now_of
from pellucid.store.traffic import answer_number_at, answers_at

BUCKETS = 60  # points of a history
SAMPLED = 200  # answers of a bucket that are looked at; of more, so many spread evenly over it


@dataclass(frozen=True, slots=True)
class Bucket:
    """One stretch of time."""

    start: datetime  # UTC
    answers: float  # given in it; an estimate where only some were looked at
    confidence: float | None  # 0..1, the mean; None where nothing was answered
    low: float | None  # 0..1, a tenth of the answers was less sure
    classes: Mapping[str, float] = field(hash=False)  # by class answered, its share, 0..1
    models: tuple[int, ...]  # versions that answered


@dataclass(frozen=True, slots=True)
class Traffic:
    """The answers of a name's models over time, by all servers and streams together."""

    name: str
    width: timedelta  # of a bucket
    buckets: tuple[Bucket, ...]  # oldest first; the last one has not ended
    looked_at: int  # answers

    @property
    def answers(self) -> float:
        """Given in all of the time."""
        return sum(item.answers for item in self.buckets)


def read_traffic(
    workspace: Workspace, name: str, span: timedelta, buckets: int = BUCKETS, *, now: datetime | None = None
) -> Traffic:
    """What was answered in the time before now, in buckets that begin at whole multiples of their width.

    However many answers there are, no more than 200 of each bucket are read, by their numbers, spread evenly over it:
    sums are scaled up by the share that was read, and shares have a standard error of at most four points.

    Args:
        span: how far back.
        now: UTC; the database's clock where None.

    Raises:
        UsageError: nothing is left of the span in so many buckets.
    """
    if buckets < 1 or span < timedelta(seconds=buckets):
        raise UsageError(f"a span of {span} in {buckets} buckets; wanted are buckets of at least a second")
    width = timedelta(seconds=round(span.total_seconds() / buckets))
    with workspace.database.read() as connection:
        moment = now or now_of(connection)
        last = datetime.fromtimestamp(
            moment.timestamp() // width.total_seconds() * width.total_seconds(), moment.tzinfo
        )
        starts = [last - place * width for place in reversed(range(buckets))]
        edges = [answer_number_at(connection, starts[0])]
        for start in (*starts[1:], last + width):
            edges.append(answer_number_at(connection, start, low=edges[-1]))
        found, looked_at = [], 0
        for start, first, end in zip(starts, edges[:-1], edges[1:], strict=True):
            asked = np.unique(np.linspace(first, end - 1, min(SAMPLED, end - first)).round().astype(int)).tolist()
            rows = answers_at(connection, name, asked) if asked else []
            looked_at += len(rows)
            found.append(_bucket(start, rows, (end - first) / max(1, len(asked))))
    return Traffic(name, width, tuple(found), looked_at)


def _bucket(start: datetime, rows: list[tuple[str, float, int]], scale: float) -> Bucket:
    sure = [confidence for _, confidence, _ in rows]
    counts = Counter(label for label, _, _ in rows)
    return Bucket(
        start=start,
        answers=len(rows) * scale,
        confidence=float(np.mean(sure)) if sure else None,
        low=float(np.quantile(sure, 0.1)) if sure else None,
        classes={label: count / len(rows) for label, count in sorted(counts.items())},
        models=tuple(sorted({version for _, _, version in rows})),
    )
