"""Requests, counted and timed by their route's pattern, never by their path."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.samples import Sample
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid.serve.batcher import BatchStats
from pellucid.serve.pulse import Note, does_work

_LEFT = 499  # what is counted where the client went away and nobody was answered, as nginx has it
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # buckets of a request's time


class HttpMetrics:
    """What is counted of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "pellucid_http_requests_total", "Requests answered; 499 where the client had left.", ["route", "status"],
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "pellucid_http_request_seconds", "Time to answer.", ["route"], buckets=SECONDS, registry=registry
        )
        self.running = Gauge("pellucid_http_requests_running", "Requests that are being answered.", registry=registry)

    def take(self, stats: BatchStats) -> Note:
        """What has been counted until now of the requests that ask or say something, beside the batches."""
        counted, spent = np.zeros(len(SECONDS) + 1), 0.0
        for item in _samples(self.seconds):
            if does_work(item.labels["route"]) and item.name.endswith("_bucket"):
                counted[np.searchsorted(SECONDS, float(item.labels["le"]))] += item.value
            elif does_work(item.labels["route"]) and item.name.endswith("_sum"):
                spent += item.value
        statuses = {"": 0.0, "4": 0.0, "5": 0.0}
        for item in _samples(self.requests):
            if does_work(item.labels["route"]) and item.name.endswith("_total"):
                for group in ("", item.labels["status"][:1]):
                    statuses[group] = statuses.get(group, 0.0) + item.value
        return Note(
            at=datetime.now(UTC),
            requests=int(statuses[""]),
            errors=int(statuses["5"]),
            refused=int(statuses["4"]),
            seconds=counted,
            spent=spent,
            batches=stats.batches,
            items=stats.items,
            waiting=stats.waiting,
        )


def _samples(metric: Counter | Histogram) -> list[Sample]:
    return [item for family in metric.collect() for item in family.samples]


class Timing:
    """Middleware that counts and times every request."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
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

        self._metrics.running.inc()
        try:
            await self._app(scope, receive, watch)
        except BaseException:
            status = 500
            raise
        finally:
            self._metrics.running.dec()
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
