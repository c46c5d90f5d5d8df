"""Figures and times in words."""

from __future__ import annotations

from datetime import datetime, timedelta

from pellucid.evaluate.evaluation import Estimate

_STEPS = ((60, "s", 1), (90 * 60, "min", 60), (48 * 3600, "h", 3600))  # below so many seconds; the unit; its seconds


def lasted(time: timedelta) -> str:
    """About how long.

    >>> lasted(timedelta(seconds=42)), lasted(timedelta(minutes=75)), lasted(timedelta(days=3))
    ('42 s', '75 min', '3 days')
    """
    seconds = max(0.0, time.total_seconds())
    for below, unit, size in _STEPS:
        if seconds < below:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def ago(at: datetime, now: datetime) -> str:
    """How long ago; what is long ago by its date."""
    if now - at > timedelta(days=14):
        return f"{at:%d %b %Y}"
    return f"{lasted(now - at)} ago" if now - at >= timedelta(seconds=5) else "just now"


def share(value: float | None, digits: int = 0) -> str:
    """A share as a percentage.

    >>> share(0.8665, 1), share(None)
    ('86.7 %', 'unknown')
    """
    return "unknown" if value is None else f"{100 * value:.{digits}f} %"


def between(estimate: Estimate, digits: int = 0) -> str:
    """An interval of percentages.

    >>> between(Estimate(0.9, 0.596, 0.982))
    '60 to 98 %'
    """
    return f"{100 * estimate.low:.{digits}f} to {100 * estimate.high:.{digits}f} %"


def took(seconds: float | None) -> str:
    """A time to answer.

    >>> took(0.0213), took(1.5), took(0.0002), took(None)
    ('21 ms', '1.5 s', '1 ms', 'none')
    """
    if seconds is None:
        return "none"
    return f"{max(1.0, 1000 * seconds):.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def size(count: float) -> str:
    """Bytes.

    >>> size(532), size(1_500_000), size(65_834_463_232)
    ('532 B', '1.5 MB', '65.8 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def many(count: int, noun: str) -> str:
    """A number with its noun.

    >>> many(1, "vote"), many(2000, "vote")
    ('1 vote', '2,000 votes')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
