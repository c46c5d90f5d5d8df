"""Values as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pellucid.evaluate.evaluation import Estimate


def moment(at: datetime, *, seconds: bool = False) -> str:
    """A time, UTC.

    >>> at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    >>> moment(at), moment(at, seconds=True)
    ('4 Mar 2026, 05:06 UTC', '05:06:07')
    """
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S}" if seconds else f"{at.day} {at:%b %Y, %H:%M} UTC"


def day(at: datetime) -> str:
    """The day of a time, UTC.

    >>> day(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    '4 Mar 2026'
    """
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y}"


def short_spec(extractor: str) -> str:
    """An extractor's specification without the folders.

    >>> short_spec("onnx:/data/weights/mobilenetv2_100.onnx"), short_spec("classical")
    ('onnx:mobilenetv2_100.onnx', 'classical')
    """
    kind, colon, place = extractor.partition(":")
    return f"{kind}:{place.rpartition('/')[2]}" if colon and kind == "onnx" else extractor


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """A head's settings.

    >>> settings_in_words({"lambda": 0.1, "epochs": 5}), settings_in_words({})
    ('lambda 0.1, epochs 5', 'defaults')
    """
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "defaults"


def share(value: float) -> str:
    """A share of 0 to 1.

    >>> share(0.8725)
    '87.2\\xa0%'
    """
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def metric(name: str, value: float) -> str:
    """A metric of an evaluation: log loss in nats, all others shares."""
    return f"{value:.3f}" if name == "log_loss" else share(value)


def interval(name: str, estimate: Estimate) -> str:
    """The interval of a metric."""
    return f"{metric(name, estimate.low)} to {metric(name, estimate.high)}"


def points(estimate: Estimate) -> str:
    """A difference of two shares, with its interval.

    >>> points(Estimate(0.02, -0.01, 0.05))
    '+2.0 points (-1.0 to +5.0)'
    """
    low, value, high = (100 * part for part in (estimate.low, estimate.value, estimate.high))
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"
