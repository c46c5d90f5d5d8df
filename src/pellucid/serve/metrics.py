"""What Prometheus is told: requests, batches, the queue, the model, feedback."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid.flow.feedback import Heard
from pellucid.serve.service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LEFT = 499  # what is counted where the client went away and nobody was answered, as nginx has it
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # buckets of a request's time


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, service: Service) -> None:
        self.registry = _Registry()
        self.requests = Counter(
            "pellucid_http_requests_total", "Requests answered.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "pellucid_http_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.heard = Counter(
            "pellucid_feedback_total", "Labels that were said, by what became of them.", ["action"],
            registry=self.registry,
        )  # fmt: skip
        self.trust = Histogram(
            "pellucid_feedback_trust_ratio", "P(label is right) of what was said.",
            buckets=tuple(step / 10 for step in range(1, 11)), registry=self.registry,
        )  # fmt: skip
        self.confidence = Histogram(
            "pellucid_prediction_confidence_ratio", "Confidence of the answers.",
            buckets=tuple(step / 10 for step in range(1, 11)), registry=self.registry,
        )  # fmt: skip
        self.started = Gauge("pellucid_start_time_seconds", "When the server started.", registry=self.registry)
        self.started.set(time.time())
        self.registry.register(_ServiceCollector(service))

    def note_heard(self, heard: Heard) -> None:
        """Counts what became of a label."""
        self.heard.labels(heard.action).inc()
        self.trust.observe(heard.trust)

    def page(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self.registry)


class _Registry(CollectorRegistry):
    """A registry without the time at which each series began: twice the series, and nobody reads them."""

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class Timing:
    """Middleware that counts and times every request, by its route's pattern, never by its path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as the app does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _LEFT

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except BaseException:
            status = 500
            raise
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)


class _ServiceCollector(Collector):
    """What the service knows by itself, read when it is asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        stats, readiness = self._service.stats, self._service.readiness
        yield GaugeMetricFamily("pellucid_ready", "1 where the server can do its work.", float(readiness.ready))
        model = GaugeMetricFamily("pellucid_model_info", "The model that answers.", labels=["model"])
        if readiness.model is not None:
            model.add_metric([readiness.model], 1.0)
        yield model
        yield GaugeMetricFamily("pellucid_ledger_entries", "The newest ledger entry learnt.", float(readiness.ledger))
        yield GaugeMetricFamily("pellucid_queue_images", "Images that wait for a batch.", float(stats.waiting))
        yield CounterMetricFamily("pellucid_batches", "Batches answered.", value=float(stats.batches))
        yield CounterMetricFamily("pellucid_batch_images", "Images answered in batches.", value=float(stats.items))
        yield CounterMetricFamily("pellucid_refused_images", "Images refused, full.", value=float(stats.refused))
        yield CounterMetricFamily("pellucid_dropped_images", "Images whose asker had left.", value=float(stats.dropped))
        shadow = self._service.shadowing.stats
        yield GaugeMetricFamily(
            "pellucid_shadow_running", "1 where a candidate answers too.", float(shadow.candidate is not None)
        )
        yield CounterMetricFamily("pellucid_shadow_images", "Images it answered.", value=float(shadow.answered))
        yield CounterMetricFamily("pellucid_shadow_dropped_images", "Images it missed.", value=float(shadow.dropped))
