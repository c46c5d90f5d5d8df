"""The pulse: what happened between two notes, bounded, and quantiles as Prometheus has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pellucid.serve.pulse import FAR, NEAR, Note, Pulse, does_work, quantile

from ..conftest import until
from .conftest import Picture, Served

NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)
BOUNDS = (0.1, 1.0)


class Clockwork:
    """Notes of a server that answers ten requests every five seconds, one of which fails."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Note:
        n = self.count
        self.count += 1
        seconds = np.array([5.0 * n, 9.0 * n, 10.0 * n])
        return Note(NOON + timedelta(seconds=5 * n), 10 * n, n, 2 * n, seconds, 1.0 * n, 4 * n, 10 * n, n % 3)


def test_beats_are_differences() -> None:
    pulse = Pulse(Clockwork(), BOUNDS)
    for _ in range(13):
        pulse._note()
    beats = pulse.beats(NOON, most=4)
    assert [beat.requests for beat in beats] == [30, 30, 30, 30]
    assert (beats[0].start, beats[-1].end) == (NOON, NOON + timedelta(seconds=60))
    beat = beats[1]
    assert (beat.errors, beat.refused, beat.batch, beat.per_second) == (3, 6, 2.5, 2.0)
    assert beat.p50 == pytest.approx(0.1)
    assert beat.p95 == 1.0
    assert beat.error_share == pytest.approx(0.1)
    assert pulse.beats(NOON + timedelta(hours=1)) == []
    lately = pulse.lately(20)
    assert lately is not None
    assert lately.requests == 40


def test_a_day_is_kept_and_no_more() -> None:
    clockwork = Clockwork()
    pulse = Pulse(clockwork, BOUNDS)
    for _ in range(NEAR + 12 * FAR + 500):
        pulse._note()
    beats = pulse.beats(NOON, most=10_000)
    assert len(beats) < NEAR + FAR
    span = beats[-1].end - beats[0].start
    assert timedelta(hours=23) < span < timedelta(hours=25)
    assert sum(beat.requests for beat in beats) == 2 * span.total_seconds()


@pytest.mark.parametrize(
    ("share", "counts", "value"),
    [(0.5, [2, 2, 2], 0.05), (0.5, [0, 4, 4], 0.55), (0.99, [0, 0, 7], 1.0), (0.5, [0, 0, 0], None)],
)
def test_quantiles_are_those_of_prometheus(share: float, counts: list[float], value: float | None) -> None:
    found = quantile(share, BOUNDS, np.array(counts, float))
    assert found == (None if value is None else pytest.approx(value))


def test_pages_and_health_checks_are_no_work() -> None:
    routes = ("/predict", "/feedback", "/samples", "/invocations", "/v2/models/{name}/infer")
    assert all(map(does_work, routes))
    assert not any(map(does_work, ("/", "/voters", "/v2/health/live", "/metrics", "none", "/predictions/{uid}")))


def test_a_server_has_a_pulse(served: Served, picture: Picture) -> None:
    served.predict(picture("cat", 77))
    served.ask("POST", "/predict", content=b"x", headers={"content-type": "image/png"})
    served.ask("GET", "/health/live")
    pulse = served.app.state.doors.pulse
    beat = until(lambda: pulse.lately(60))
    assert (beat.requests, beat.refused, beat.errors, beat.batch) == (2, 1, 0, 1.0)
    assert beat.p95 is not None
