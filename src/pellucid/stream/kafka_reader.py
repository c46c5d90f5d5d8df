"""One consumer's reading of one Kafka topic, by librdkafka."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pellucid.errors import DataError
from pellucid.stream.event import from_headers
from pellucid.stream.transport import MAX_BATCH_BYTES, Received

if TYPE_CHECKING:
    import confluent_kafka

_GATHER = 0.01  # seconds to wait for more messages once the first is there
_GATHERED = 64  # messages taken from librdkafka at once, between two looks at their size
_STEP = 0.25  # seconds between two looks at whether a partition is at its end, where nothing comes
_PARTITIONS_AFTER = 30.0  # seconds after which a topic is asked again how many partitions it has


class KafkaFacts:
    """What a broker says of its topics, over a connection of its own: on a reader's one it would wait for messages."""

    def __init__(self, kafka: Any, config: Mapping[str, Any], timeout: float) -> None:
        self._kafka = kafka
        self._timeout = timeout
        self._client: confluent_kafka.Consumer = kafka.Consumer({**config, "group.id": "pellucid-facts"})

    def partitions(self, topic: str) -> tuple[int, ...]:
        """The topic's partitions, none where it does not exist yet; raises KafkaException."""
        found = self._client.list_topics(topic, timeout=self._timeout).topics.get(topic)
        return () if found is None else tuple(sorted(found.partitions))

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The offsets of the partition's first message and behind its last, now; raises KafkaException."""
        place = self._kafka.TopicPartition(topic, partition)
        found = self._client.get_watermark_offsets(place, timeout=self._timeout, cached=False)
        if found is None:
            error = self._kafka.KafkaError(self._kafka.KafkaError._TIMED_OUT, "no answer about its offsets")
            raise self._kafka.KafkaException(error)
        low, high = found
        return low, high

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()


class KafkaReader:
    """One consumer of one topic: knows where librdkafka stands, and moves it only where the caller says otherwise."""

    def __init__(
        self, kafka: Any, config: Mapping[str, Any], facts: KafkaFacts, topic: str, *, timeout: float, max_bytes: int
    ) -> None:
        self._kafka = kafka
        self._facts = facts
        self._topic = topic
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._consumer: confluent_kafka.Consumer = kafka.Consumer(dict(config))
        self._partitions: tuple[int, ...] = ()
        self._asked_at = -math.inf  # for the partitions, on the monotonic clock
        self._position: dict[int, int] = {}  # the next offset by partition; OFFSET_BEGINNING where none was read
        self._ended: dict[int, int] = {}  # where librdkafka last met the end of a partition

    def read(self, start: Mapping[int, int], limit: int, timeout: float) -> list[Received]:
        """See ``Transport``; raises KafkaException."""
        try:
            return self._read(start, limit, timeout)
        except self._kafka.KafkaException:
            self._position = {}  # what librdkafka has stopped or given in vain is assigned anew by the next read
            raise

    def close(self) -> None:
        """Gives the connections back."""
        self._consumer.close()

    def _read(self, start: Mapping[int, int], limit: int, timeout: float) -> list[Received]:
        self._assign(start)
        began = time.monotonic()
        wait = min(max(timeout, _GATHER), _STEP)
        while True:
            found = self._take(limit, wait)
            if found:
                return found
            waited = time.monotonic() - began
            if waited >= timeout and self._at_end():
                return []
            if waited >= timeout + self._timeout:
                error = self._kafka.KafkaError(self._kafka.KafkaError._TIMED_OUT, "it has messages and gives none")
                raise self._kafka.KafkaException(error)
            wait = min(timeout - waited, _STEP) if waited < timeout else _STEP
            if not self._partitions:
                time.sleep(wait)
                self._assign(start)

    def _assign(self, start: Mapping[int, int]) -> None:
        if not self._partitions or time.monotonic() - self._asked_at > _PARTITIONS_AFTER:
            self._partitions = self._facts.partitions(self._topic)
            self._asked_at = time.monotonic()
        wanted = {partition: start.get(partition, self._kafka.OFFSET_BEGINNING) for partition in self._partitions}
        if wanted != self._position:
            places = [self._kafka.TopicPartition(self._topic, *place) for place in wanted.items()]
            self._consumer.assign(places)
            self._position, self._ended = wanted, {}

    def _take(self, limit: int, wait: float) -> list[Received]:
        found: list[Received] = []
        size = 0
        messages = self._consumer.consume(1, wait) if self._partitions else []
        while messages:
            for message in messages:
                found += self._received(message)
                size += len(message.value() or b"")
            if len(found) >= limit or size >= MAX_BATCH_BYTES:
                break
            messages = self._consumer.consume(min(limit - len(found), _GATHERED), _GATHER)
        return found

    def _received(self, message: confluent_kafka.Message) -> Iterable[Received]:
        error, partition, offset = message.error(), message.partition(), message.offset()
        if error is None and partition is not None and offset is not None:
            self._position[partition] = offset + 1
            headers: Any = message.headers() or []
            value: Any = message.value()
            try:
                event = from_headers(headers, value, max_data_bytes=self._max_bytes)
            except DataError as refused:
                return [Received(self._topic, partition, offset, offset + 1, None, str(refused))]
            return [Received(self._topic, partition, offset, offset + 1, event)]
        if error is None or partition is None:
            return []
        if error.code() == self._kafka.KafkaError._PARTITION_EOF and offset is not None:
            self._ended[partition] = offset
        elif error.code() == self._kafka.KafkaError._AUTO_OFFSET_RESET:
            return [self._lost(partition)]
        elif error.fatal() or not (error.retriable() or error.code() in self._passing()):
            raise self._kafka.KafkaException(error)
        return []

    def _lost(self, partition: int) -> Received:
        was = max(self._position[partition], 0)
        low, high = self._facts.bounds(self._topic, partition)
        if was < low:
            reason = f"messages from offset {was} to {low - 1} were removed from the topic before they were read; "
            reason += "keep them longer (retention.ms, retention.bytes), or consume more often"
        else:
            reason = f"offset {was} is wanted and the topic ends at {high}: it was made anew or restored; "
            reason += f"it is read again from {low}, and what was received before does not count again"
        # librdkafka has stopped reading this partition: the next read finds it elsewhere and assigns it anew.
        self._position[partition] = self._kafka.OFFSET_INVALID
        return Received(self._topic, partition, was, low, None, reason, lost=True)

    def _at_end(self) -> bool:
        for partition in self._partitions:
            low, high = self._facts.bounds(self._topic, partition)
            # The end that librdkafka has met lies behind the markers of transactions, which are no messages.
            position = max(self._position[partition], self._ended.get(partition, low))
            if position < high or self._position[partition] > high:
                return False
        return True

    def _passing(self) -> set[int]:
        kinds = self._kafka.KafkaError
        return {kinds._TRANSPORT, kinds._ALL_BROKERS_DOWN, kinds._TIMED_OUT, kinds._RESOLVE, kinds._UNKNOWN_PARTITION}
