"""What the records say: trainings, verdicts, firings, labels, the stream; one look for many who ask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pellucid.errors import NotReadyError
from pellucid.flow.workspace import Workspace
from pellucid.serve.metrics_cached import Cached
from pellucid.serve.service import Service
from pellucid.store.census import Census, DatasetCensus, Recent, take_census
from pellucid.store.firings import FiringState
from pellucid.stream.standing import Standing, standings
from pellucid.stream.transport import Transport, open_transport
from pellucid.types import JobState, Status

EVERY_SECONDS = 10.0  # between two looks
PATIENCE_SECONDS = 2.0  # that a page waits for a look that has just begun
OVERDUE_SECONDS = 5.0  # after which the database counts as down
BROKER_SECONDS = 5.0  # that a broker has to answer in
MOST_READERS = 50  # consumers and topics that have a series of their own
_WAITING = (Status.CONFLICT, Status.SUSPECT)  # images that somebody has to look at

Labelled = Iterable[tuple[Sequence[str], float]]


class RecordsCollector(Collector):
    """The families that the database tells; but for ``pellucid_database_up`` none is there while it is down."""

    def __init__(self, service: Service, *, every: float = EVERY_SECONDS) -> None:
        self._service = service
        self.cached = Cached(self._look, every=every, overdue=OVERDUE_SECONDS, name="the database")

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        seen = self.cached.get(PATIENCE_SECONDS)
        census = None if seen is None else seen.value
        yield GaugeMetricFamily("pellucid_database_up", "1 where the database answers.", float(census is not None))
        if seen is None or census is None:
            return
        yield GaugeMetricFamily(
            "pellucid_records_timestamp_seconds", "When what comes from the database was read.", seen.at
        )
        yield GaugeMetricFamily("pellucid_records_read_seconds", "Time that this reading took.", seen.seconds)
        yield from _of_project(census)
        if census.dataset is not None:
            yield from _of_dataset(census.dataset)

    def _look(self) -> Census:
        try:
            name: str | None = self._service.live.model.name
        except NotReadyError:
            name = None
        with self._service.workspace.database.read() as connection:
            return take_census(connection, name)


class StreamCollector(Collector):
    """How far everybody who reads or writes the stream has come; a broker that is down shows as such."""

    def __init__(self, workspace: Workspace, *, every: float = EVERY_SECONDS) -> None:
        self._workspace = workspace
        self._transport: Transport | None = None
        self.cached = Cached(self._look, every=every, name="the stream")

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        seen = self.cached.get(PATIENCE_SECONDS)
        if seen is None:
            return
        yield GaugeMetricFamily(
            "pellucid_stream_up", "1 where the stream tells how far it is.", float(seen.value is not None)
        )
        if seen.value is None:
            return
        found = sorted(seen.value, key=lambda item: (item.topic, item.role, item.name or ""))[:MOST_READERS]
        yield _gauge(
            "pellucid_stream_lag_messages",
            "Messages that a consumer has not read yet, or answers that a publisher has not sent.",
            ("consumer", "topic"),
            [((_consumer(item), item.topic), item.lag) for item in found],
        )
        yield _gauge(
            "pellucid_stream_set_aside_messages",
            "Messages that a consumer could not use.",
            ("consumer",),
            {(_consumer(item),): item.set_aside for item in found if item.role == "consumer"}.items(),
        )

    def close(self) -> None:
        """Ends the look that is under way, and the connections."""
        self.cached.close(BROKER_SECONDS)
        if self._transport is not None:
            with contextlib.suppress(Exception):
                self._transport.close()

    def _look(self) -> list[Standing]:
        settings, database = self._workspace.settings, self._workspace.database
        if self._transport is None:
            self._transport = open_transport(settings.stream_url, database, timeout=BROKER_SECONDS)
        return standings(database, self._transport, ())


def _of_project(census: Census) -> Iterator[Metric]:
    yield GaugeMetricFamily("pellucid_database_size_bytes", "Size of the database.", float(census.size))
    states = {(str(state),): float(census.jobs.get(state, 0)) for state in JobState}
    yield _gauge("pellucid_training_jobs", "Trainings by state.", ("state",), states.items())
    if census.last is not None:
        yield GaugeMetricFamily(
            "pellucid_training_last_seconds", "The last training's time, from being queued.", census.last.seconds
        )
        yield GaugeMetricFamily(
            "pellucid_training_last_timestamp_seconds", "When it ended.", census.last.finished_at.timestamp()
        )
    offsets = dict(sorted(census.offsets.items())[:MOST_READERS])
    yield _gauge(
        "pellucid_stream_offset_messages", "Offset to be read or sent next, over all partitions.",
        ("consumer", "topic"), offsets.items(),
    )  # fmt: skip


def _of_dataset(found: DatasetCensus) -> Iterator[Metric]:
    yield GaugeMetricFamily("pellucid_dataset_version", "The newest version of the dataset.", float(found.version))
    use = {(name,): float(n) for name, n in found.images.items()}
    yield _gauge("pellucid_dataset_images", "Images of the newest version, by use.", ("use",), use.items())
    waiting = {(str(status),): float(found.images.get(status, 0)) for status in _WAITING}
    yield _gauge("pellucid_review_images", "Images that wait for a person, by why.", ("why",), waiting.items())
    firings = {(str(state),): float(found.firings.get(state, 0)) for state in FiringState}
    yield _gauge("pellucid_retraining_firings", "Occasions to retrain by state.", ("state",), firings.items())
    verdicts = CounterMetricFamily("pellucid_gate_verdicts", "Verdicts of the gate.", labels=["outcome"])
    verdicts.add_metric(["passed"], float(found.passed))
    verdicts.add_metric(["refused"], float(found.refused))
    yield verdicts
    yield GaugeMetricFamily(
        "pellucid_gate_refused_in_row", "Candidates refused since one passed.", float(found.refused_in_row)
    )
    yield CounterMetricFamily("pellucid_champion_changes", "Promotions and rollbacks.", value=float(found.promotions))
    if found.champion_since is not None:
        yield GaugeMetricFamily(
            "pellucid_champion_timestamp_seconds", "When the champion was promoted.", found.champion_since.timestamp()
        )
    yield from _recent("trust", "Mean of P(label is right) of the newest labels, when each was said.", found.trust)
    yield from _recent("agreement", "Share of the newest labels that agree with the answer.", found.agreement)


def _recent(name: str, help: str, found: Recent) -> Iterator[Metric]:
    yield GaugeMetricFamily(f"pellucid_recent_{name}_labels", f"Labels behind recent {name}.", float(found.n))
    if found.n:
        yield GaugeMetricFamily(f"pellucid_recent_{name}_ratio", help, found.share)


def _consumer(item: Standing) -> str:
    """As the offsets have it."""
    return f"publish:{item.name}" if item.role == "publisher" else item.name or ""


def _gauge(name: str, help: str, labels: tuple[str, ...], values: Labelled) -> Metric:
    family = GaugeMetricFamily(name, help, labels=labels)
    for key, value in values:
        family.add_metric(key, float(value))
    return family
