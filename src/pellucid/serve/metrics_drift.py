"""Whether the data have moved, looked at again whenever enough has been answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pellucid.drift.watching import DriftReport
from pellucid.errors import ConfigError, DataError, MissingExtraError, NotReadyError
from pellucid.flow.online.drift_stream import StreamDrift, follow_stream
from pellucid.flow.production.drift import LEAST, find_drift
from pellucid.serve.metrics_cached import Cached
from pellucid.serve.service import Service
from pellucid.store.predictions import newest_answer

EVERY_SECONDS = 10.0  # between two looks at whether there is anything new


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found when the answers had come so far."""

    model: str  # "NAME@VERSION"
    newest: int  # number of the newest answer
    report: DriftReport | None  # None where nobody can tell
    stream: StreamDrift | None  # None where [drift] names no detector, or one that cannot be had
    at: float  # Unix time


class DriftCollector(Collector):
    """The families of the newest comparison; a page never waits for one."""

    def __init__(self, service: Service, *, every: float = EVERY_SECONDS) -> None:
        self._service = service
        self._last: _Look | None = None
        self.cached = Cached(self._look, every=every, name="drift")

    def collect(self) -> Iterator[Metric]:
        """One family after the other; none before the first comparison."""
        seen = self.cached.get()
        if seen is None or seen.value is None:
            return
        if seen.value.report is not None:
            yield from _compared(seen.value.report, seen.value.at)
        if seen.value.stream is not None:
            yield from _followed(seen.value.stream)

    def _look(self) -> _Look | None:
        try:
            model = self._service.live.model
        except NotReadyError:
            return None
        last = self._last
        with self._service.workspace.database.read() as connection:
            newest = newest_answer(connection)
        if last is not None and last.model == model.ref and newest - last.newest < LEAST:
            return last
        at = time.time()
        try:
            report = find_drift(self._service.workspace, model.name)
        except DataError:  # too few answers, or no test images
            report = None
        try:
            stream = follow_stream(self._service.workspace, model.name)
        except (ConfigError, MissingExtraError):  # the Monitor page and the worker say so
            stream = None
        self._last = _Look(model.ref, newest, report, stream, at)
        return self._last


def _compared(report: DriftReport, at: float) -> Iterator[Metric]:
    effect = GaugeMetricFamily(
        "pellucid_drift_effect_ratio", "How far it has moved: 0 the same, 1 nothing in common.", labels=["aspect"]
    )
    p_value = GaugeMetricFamily("pellucid_drift_p_value", "Chance of such a move without drift.", labels=["aspect"])
    drifted = GaugeMetricFamily("pellucid_drift_detected", "1 where it has drifted.", labels=["aspect"])
    for aspect, shift in report.shifts.items():
        effect.add_metric([aspect], shift.effect)
        p_value.add_metric([aspect], shift.p_value)
        drifted.add_metric([aspect], float(shift.drifted))
    images = GaugeMetricFamily("pellucid_drift_images", "Images that were compared.", labels=["window"])
    images.add_metric(["reference"], float(report.n_reference))
    images.add_metric(["current"], float(report.n_current))
    yield from (effect, p_value, drifted, images)
    yield GaugeMetricFamily("pellucid_drift_timestamp_seconds", "When the windows were compared.", at)


def _followed(stream: StreamDrift) -> Iterator[Metric]:
    """The detector is one that the configuration names, so there is one series of each."""
    alarms = GaugeMetricFamily(
        "pellucid_drift_stream_alarms", "Drifts that the stream's detector called.", labels=["detector"]
    )
    alarms.add_metric([stream.detector], float(len(stream.alarms)))
    yield alarms
    yield GaugeMetricFamily("pellucid_drift_stream_answers", "Newest answers it was told.", float(stream.answers))
    last = GaugeMetricFamily("pellucid_drift_stream_last_alarm_timestamp_seconds", "When it called the last one.")
    if stream.alarms:
        last.add_metric([], stream.alarms[-1].at.timestamp())
    yield last
