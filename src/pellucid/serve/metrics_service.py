"""What the service knows by itself, read when it is asked for: readiness, batches, the queue, the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pellucid.errors import NotReadyError
from pellucid.serve.service import Service
from pellucid.types import ModelVersion

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # buckets; a server's --batch is 1024 at most


class ServiceCollector(Collector):
    """The families of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        stats, readiness = self._service.stats, self._service.readiness
        yield GaugeMetricFamily("pellucid_ready", "1 where the server can do its work.", float(readiness.ready))
        yield from _model(_model_of(self._service))
        yield GaugeMetricFamily("pellucid_ledger_entries", "The newest ledger entry learnt.", float(readiness.ledger))
        yield GaugeMetricFamily("pellucid_lost_images", "Labelled images that are gone.", float(readiness.lost))
        yield GaugeMetricFamily("pellucid_queue_images", "Images that wait for a batch.", float(stats.waiting))
        yield _batches(stats.sizes)
        yield CounterMetricFamily("pellucid_refused_images", "Images refused, full.", value=float(stats.refused))
        yield CounterMetricFamily("pellucid_dropped_images", "Images whose asker had left.", value=float(stats.dropped))
        shadow = self._service.shadowing.stats
        yield GaugeMetricFamily(
            "pellucid_shadow_running", "1 where a candidate answers too.", float(shadow.candidate is not None)
        )
        yield CounterMetricFamily("pellucid_shadow_images", "Images it answered.", value=float(shadow.answered))
        yield CounterMetricFamily("pellucid_shadow_dropped_images", "Images it missed.", value=float(shadow.dropped))


def _model_of(service: Service) -> ModelVersion | None:
    try:
        return service.live.model
    except NotReadyError:
        return None


def _model(model: ModelVersion | None) -> Iterator[Metric]:
    info = GaugeMetricFamily("pellucid_model_info", "The model that answers.", labels=["model"])
    version = GaugeMetricFamily("pellucid_model_version", "The version of the model that answers.")
    trained = GaugeMetricFamily("pellucid_model_created_timestamp_seconds", "When the model was trained.")
    accuracy = GaugeMetricFamily("pellucid_model_test_accuracy_ratio", "Accuracy on its test images, as trained.")
    if model is not None:
        info.add_metric([model.ref], 1.0)
        version.add_metric([], float(model.version))
        trained.add_metric([], model.created_at.timestamp())
        if "accuracy" in model.metrics:
            accuracy.add_metric([], float(model.metrics["accuracy"]))
    yield from (info, version, trained, accuracy)


def _batches(sizes: Mapping[int, int]) -> Metric:
    """How many batches had at most so many images."""
    buckets = [(str(float(most)), float(sum(n for size, n in sizes.items() if size <= most))) for most in BATCH_SIZES]
    buckets.append(("+Inf", float(sum(sizes.values()))))
    images = float(sum(size * n for size, n in sizes.items()))
    return HistogramMetricFamily(
        "pellucid_batch_images", "Images answered together.", buckets=buckets, sum_value=images
    )
