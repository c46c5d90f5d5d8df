"""Formats: values as people read them; times are UTC, a share has no line break before its sign."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pellucid.evaluate.evaluation import Estimate

_STEPS = ((60, "s", 1), (90 * 60, "min", 60), (48 * 3600, "h", 3600))  # below so many seconds; the unit; its seconds
_MOST_DIGITS, _ALMOST = 2, "99.99"  # of a share that is almost all
_PERCENT = "\N{NO-BREAK SPACE}%"


def moment(at: datetime) -> str:
    """A time.

    >>> moment(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    '4 Mar 2026, 05:06 UTC'
    """
    return f"{day(at)}, {at.astimezone(UTC):%H:%M} UTC"


def day(at: datetime) -> str:
    """The day of a time.

    >>> day(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    '4 Mar 2026'
    """
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y}"


def clock(at: datetime) -> str:
    """A time within its day.

    >>> clock(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    '05:06:07'
    """
    return f"{at.astimezone(UTC):%H:%M:%S}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago; what is long ago by its day."""
    if now - at > timedelta(days=14):
        return day(at)
    return f"{lasted(now - at)} ago" if now - at >= timedelta(seconds=5) else "just now"


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


def took(seconds: float | None) -> str:
    """A time to answer.

    >>> took(0.0213), took(1.5), took(0.0002), took(None)
    ('21 ms', '1.5 s', '1 ms', 'none')
    """
    if seconds is None:
        return "none"
    return f"{max(1.0, 1000 * seconds):.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def share(value: float | None, digits: int = 0) -> str:
    """A share of 0 to 1. What is not all is never rounded up to it.

    >>> share(0.8665, 1), share(None), share(1.0)
    ('86.7\xa0%', 'unknown', '100\xa0%')
    >>> share(0.997), share(0.9999), share(0.999999)
    ('99.7\xa0%', '99.99\xa0%', 'over 99.99\xa0%')
    """
    return "unknown" if value is None else f"{_per_cent(value, digits)}{_PERCENT}"


def between(estimate: Estimate, digits: int = 0) -> str:
    """The interval of a share.

    >>> between(Estimate(0.9, 0.596, 0.982)), between(Estimate(0.99, 0.97, 0.998))
    ('60 to 98\xa0%', '97 to 99.8\xa0%')
    """
    return f"{_per_cent(estimate.low, digits)} to {share(estimate.high, digits)}"


def _per_cent(value: float, digits: int) -> str:
    """The number before the sign."""
    places = (f"{100 * value:.{more}f}" for more in range(digits, max(digits, _MOST_DIGITS) + 1))
    return next((shown for shown in places if value >= 1 or float(shown) < 100), f"over {_ALMOST}")


def points(estimate: Estimate) -> str:
    """A difference of two shares, with its interval.

    >>> points(Estimate(0.02, -0.01, 0.05))
    '+2.0 points (-1.0 to +5.0)'
    """
    low, value, high = (100 * part for part in (estimate.low, estimate.value, estimate.high))
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"


def metric(name: str, value: float) -> str:
    """A metric of an evaluation: log loss in nats, all others shares."""
    return f"{value:.3f}" if name == "log_loss" else share(value, 1)


def interval(name: str, estimate: Estimate) -> str:
    """The interval of a metric.

    >>> interval("log_loss", Estimate(0.5, 0.4, 0.6)), interval("accuracy", Estimate(0.9, 0.596, 0.982))
    ('0.400 to 0.600', '59.6 to 98.2\\xa0%')
    """
    if name == "log_loss":
        return f"{metric(name, estimate.low)} to {metric(name, estimate.high)}"
    return between(estimate, 1)


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


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """A head's settings.

    >>> settings_in_words({"lambda": 0.1, "epochs": 5}), settings_in_words({})
    ('lambda 0.1, epochs 5', 'defaults')
    """
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "defaults"
