"""What Prometheus is told: requests, answers, feedback, and what service, records, stream, drift and disk tell."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import Metric

from pellucid.flow.online.feedback import Heard
from pellucid.serve.metrics_disk import DiskCollector
from pellucid.serve.metrics_drift import DriftCollector
from pellucid.serve.metrics_http import HttpMetrics
from pellucid.serve.metrics_records import RecordsCollector, StreamCollector
from pellucid.serve.metrics_service import ServiceCollector
from pellucid.serve.pulse import Note
from pellucid.serve.service import Service
from pellucid.types import Answer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_CLASSES = 50  # that have a series of their own
OTHER = "other"  # the class that stands for all further ones
_ACTIONS = ("learnt", "unlearnt", "undone", "recorded")  # what becomes of a label
_TENTHS = tuple(step / 10 for step in range(1, 11))  # buckets of a share


class Metrics:
    """The metrics of one server, in a registry of their own.

    What needs the database is looked up every ten seconds at most, in threads of their own, and only while somebody
    asks for the page; where the database is down the page comes without it and says so.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.registry = _Registry()
        self.http = HttpMetrics(self.registry)
        self.answers = Counter("pellucid_predictions_total", "Answers by class.", ["class"], registry=self.registry)
        self.confidence = Histogram(
            "pellucid_prediction_confidence_ratio", "Confidence of the answers.", buckets=_TENTHS,
            registry=self.registry,
        )  # fmt: skip
        self.novelty = Histogram(
            "pellucid_prediction_novelty_ratio", "Share of training images that are nearer to what was learnt.",
            buckets=_TENTHS, registry=self.registry,
        )  # fmt: skip
        self.heard = Counter(
            "pellucid_feedback_total", "Labels that were said, by what became of them.", ["action"],
            registry=self.registry,
        )  # fmt: skip
        for action in _ACTIONS:  # from the beginning, so that the first one shows as a rise
            self.heard.labels(action)
        self.trust = Histogram(
            "pellucid_feedback_trust_ratio", "P(label is right) of what was said.", buckets=_TENTHS,
            registry=self.registry,
        )  # fmt: skip
        self.started = Gauge("pellucid_start_time_seconds", "When the server started.", registry=self.registry)
        self.started.set(time.time())
        self._classes: set[str] = set()
        self._records = RecordsCollector(service)
        self._stream = StreamCollector(service.workspace)
        self._drift = DriftCollector(service)
        disk = DiskCollector(service.workspace)
        for collector in (ServiceCollector(service), self._records, self._stream, self._drift, disk):
            self.registry.register(collector)
        ProcessCollector(registry=self.registry)

    def note_answer(self, answer: Answer) -> None:
        """Counts an answer."""
        self.answers.labels(self._class_of(answer.label)).inc()
        self.confidence.observe(answer.confidence)
        if answer.novelty is not None:
            self.novelty.observe(answer.novelty)

    def note_heard(self, heard: Heard) -> None:
        """Counts what became of a label."""
        self.heard.labels(heard.action).inc()
        self.trust.observe(heard.trust)

    def take(self) -> Note:
        """What has been counted until now, for the pulse."""
        return self.http.take(self._service.stats)

    def page(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self.registry)

    def close(self) -> None:
        """Ends the looks that are under way."""
        self._records.cached.close()
        self._drift.cached.close()
        self._stream.close()

    def _class_of(self, label: str) -> str:
        """The class as long as there are few; clients may make new ones, and each series costs."""
        if label in self._classes:
            return label
        if len(self._classes) >= MOST_CLASSES:
            return OTHER
        self._classes.add(label)
        return label


class _Registry(CollectorRegistry):
    """A registry without the time at which each series began: twice the series, and nobody reads them."""

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
