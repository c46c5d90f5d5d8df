"""Kafka's wire protocol: topics on a broker, by librdkafka."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pellucid.errors import DataError, MissingExtraError, StorageError
from pellucid.stream.event import MAX_HEADER_BYTES, Event, check_data
from pellucid.stream.kafka_reader import KafkaFacts, KafkaReader
from pellucid.stream.transport import MAX_BATCH_BYTES, Received, check_consumer, check_topic

if TYPE_CHECKING:
    import confluent_kafka

_QUEUE_FULL = 0.25  # seconds that librdkafka has to send some of its queue before it is offered more
_SHARED = frozenset({"bootstrap.servers", "client.id", "logger", "reconnect.backoff.ms", "reconnect.backoff.max.ms"})
_DOWN = "start it again, or check the address and the network; nothing is lost, and going on is safe"


class KafkaTransport:
    """Events on a Kafka broker; see ``Transport``.

    Nothing is committed to the broker: partitions are assigned by hand at the offsets that the caller keeps.

    Args:
        servers: ``HOST:PORT``, comma-separated.
        timeout: seconds after which the broker counts as down.
        max_bytes: an event of more data is not published, and is malformed where it is read.

    Raises:
        MissingExtraError: confluent-kafka is not installed.
    """

    transactional = False

    def __init__(self, servers: str, *, timeout: float, max_bytes: int) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            hint = f"Kafka needs the extra 'kafka': pip install 'pellucid[kafka]' ({error})"
            raise MissingExtraError(hint) from None
        self._kafka = confluent_kafka
        self._servers = servers
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._producer: confluent_kafka.Producer | None = None
        self._facts: KafkaFacts | None = None
        self._readers: dict[tuple[str, str], KafkaReader] = {}

    def publish(
        self,
        topic: str,
        events: Sequence[Event],
        *,
        key: str | None = None,
        connection: sa.Connection | None = None,
    ) -> None:
        """See ``Transport``."""
        check_topic(topic)
        for event in events:
            check_data(event.data, self._max_bytes)
        failed: list[confluent_kafka.KafkaError] = []
        taken = 0

        def told(error: confluent_kafka.KafkaError | None, message: object) -> None:
            nonlocal taken
            if error is None:
                taken += 1
            else:
                failed.append(error)

        producer = self._open_producer()
        until = time.monotonic() + self._timeout
        try:
            for event in events:
                named = key or event.extensions.get("partitionkey")
                headers: list[tuple[str, str | bytes | None]] = list(event.headers())
                while True:
                    try:
                        producer.produce(topic, value=event.data, key=named, headers=headers, on_delivery=told)
                        break
                    except BufferError:  # librdkafka's queue is full: let it send some
                        if failed or time.monotonic() > until:
                            break
                        producer.poll(_QUEUE_FULL)
                if failed:
                    break
            # Every message is taken or given up within message.timeout.ms; the rest is for surprises.
            producer.flush(self._timeout + 5.0)
        except self._kafka.KafkaException as error:
            failed.append(error.args[0])
        if failed or taken < len(events):
            self._give_up_producer()
            reason = failed[0].str() if failed else "no answer"
            if failed and failed[0].code() == self._kafka.KafkaError.MSG_SIZE_TOO_LARGE:
                raise DataError(
                    f"Kafka at {self._servers} takes no message as large as one of these for {topic}: {reason}; raise "
                    "message.max.bytes on the broker or max.message.bytes on the topic, or publish smaller images"
                )
            raise StorageError(
                f"Kafka at {self._servers} took {taken} of {len(events)} events for {topic} within "
                f"{self._timeout:g} s: {reason}; {_DOWN}: publish all of them again, they are recognised by their ids"
            )

    def read(
        self, topic: str, consumer: str, *, start: Mapping[int, int], limit: int, timeout: float
    ) -> list[Received]:
        """See ``Transport``."""
        check_topic(topic)
        check_consumer(consumer)
        reader = self._readers.get((topic, consumer))
        if reader is None:
            config = self._config() | {"group.id": f"pellucid-{consumer}"}
            reader = KafkaReader(
                self._kafka, config, self._open_facts(), topic, timeout=self._timeout, max_bytes=self._max_bytes
            )
            self._readers[topic, consumer] = reader
        try:
            return reader.read(start, limit, timeout)
        except self._kafka.KafkaException as error:
            raise StorageError(
                f"Kafka at {self._servers} does not give {topic}: {error.args[0].str()}; {_DOWN}"
            ) from None

    def ends(self, topic: str) -> dict[int, int]:
        """See ``Transport``."""
        return {partition: high for partition, (_, high) in self._bounds(topic).items() if high > 0}

    def lag(self, topic: str, start: Mapping[int, int]) -> int:
        """See ``Transport``; markers of transactions count as messages."""
        return sum(
            max(0, high - max(low, start.get(partition, low))) for partition, (low, high) in self._bounds(topic).items()
        )

    def close(self) -> None:
        """See ``Transport``."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        if self._facts is not None:
            self._facts.close()
            self._facts = None
        self._give_up_producer()

    def _bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """The offsets of each partition's first message and behind its last."""
        check_topic(topic)
        facts = self._open_facts()
        try:
            return {partition: facts.bounds(topic, partition) for partition in facts.partitions(topic)}
        except self._kafka.KafkaException as error:
            raise StorageError(
                f"Kafka at {self._servers} does not say where {topic} ends: {error.args[0].str()}; {_DOWN}"
            ) from None

    def _config(self) -> dict[str, Any]:
        logger = logging.getLogger(__name__)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # what librdkafka tells while it reconnects is for those who ask
        return {
            "bootstrap.servers": self._servers,
            "client.id": "pellucid",
            "logger": logger,
            "socket.timeout.ms": max(1000, int(self._timeout * 1000)),
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 2000,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",  # what was removed unread is said, not skipped
            "enable.partition.eof": True,
            "receive.message.max.bytes": min(max(100_000_000, 2 * self._max_bytes), 2_000_000_000),
            "fetch.wait.max.ms": 100,  # a reader that is sent elsewhere waits as long as the last answer may take
            "queued.max.messages.kbytes": 2 * MAX_BATCH_BYTES // 1024,
        }

    def _open_facts(self) -> KafkaFacts:
        if self._facts is None:
            self._facts = KafkaFacts(self._kafka, self._config(), self._timeout)
        return self._facts

    def _open_producer(self) -> confluent_kafka.Producer:
        if self._producer is None:
            self._producer = self._kafka.Producer(
                {
                    **{name: value for name, value in self._config().items() if name in _SHARED},
                    "enable.idempotence": True,  # a message that is sent again after a lost answer stands there once
                    "acks": "all",
                    "message.timeout.ms": int(self._timeout * 1000),
                    "message.max.bytes": min(self._max_bytes + MAX_HEADER_BYTES + 4096, 1_000_000_000),
                    "linger.ms": 5,
                    "compression.type": "none",  # images are compressed already
                }
            )
        return self._producer

    def _give_up_producer(self) -> None:
        # After a failure it may hold messages that would still be sent, behind the caller's back and out of order.
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1.0)
            self._producer = None
