"""The stream's sender: images and feedback as events, and the predictions that somebody makes of them."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from datetime import datetime
from typing import Any

from pellucid.flow.production.simulate import Shown, Visit
from pellucid.stream.event import PREDICTION, Event
from pellucid.stream.payload import Feedback, feedback_event, image_event
from pellucid.stream.sender import Reply
from pellucid.stream.topics import Topics
from pellucid.stream.transport import Transport, check_topic

SOURCE = "/pellucid/simulate"  # what the events name as their origin

_BATCH = 500  # events that one read takes
_CONSUMER = "simulate"


class EventSender:
    """Publishes an image, and then feedback that brings the image along: neither waits for the other's consumer.

    Predictions are matched to images by content, so that whoever makes them need not know of the simulation.

    Args:
        wait: seconds without any new prediction after which the rest is no longer waited for; 0 waits for none.

    Raises:
        UsageError: a topic cannot be called that.
        StorageError: the stream cannot be reached.
    """

    parallel = 1  # a transport is used by one thread at a time

    def __init__(self, transport: Transport, topics: Topics | None = None, *, wait: float = 10.0) -> None:
        self._transport = transport
        self._topics = topics or Topics()
        for topic in (self._topics.images, self._topics.feedback, self._topics.predictions):
            check_topic(topic)
        self._wait = wait
        self._start = dict(transport.ends(self._topics.predictions))
        self._waiting: dict[str, list[str]] = {}  # ids of visits by the sha256 of what was sent

    def send(self, visit: Visit, shown: Shown, at: datetime, stop: threading.Event) -> Reply:
        """See ``Sender``.

        Raises:
            StorageError: the stream does not take it.
        """
        common: dict[str, Any] = {"source": SOURCE, "time": at, "subject": visit.picture.name}
        image = image_event(shown.data, id=visit.id, media_type=shown.media_type, **common)
        said = Feedback(visit.said, visit.user, image=shown.data)
        self._transport.publish(self._topics.images, [image], key=visit.user)
        self._waiting.setdefault(hashlib.sha256(shown.data).hexdigest(), []).append(visit.id)
        told = feedback_event(said, id=visit.id, **common)
        self._transport.publish(self._topics.feedback, [told], key=visit.user)  # a user's words keep their order
        return Reply()

    def gather(self) -> dict[str, Reply]:
        """See ``Sender``; the first prediction of an image counts.

        Raises:
            StorageError: the stream cannot be reached.
        """
        found: dict[str, Reply] = {}
        until = time.monotonic() + self._wait
        while self._wait and self._waiting and (left := until - time.monotonic()) > 0:
            received = self._transport.read(
                self._topics.predictions, _CONSUMER, start=self._start, limit=_BATCH, timeout=min(left, 1.0)
            )
            for item in received:
                self._start[item.partition] = item.next
                if item.event is not None and (answer := _answer(item.event)):
                    sample, reply = answer
                    for name in self._waiting.pop(sample, ()):
                        found[name] = reply
                        until = time.monotonic() + self._wait
        return found

    def close(self) -> None:
        """See ``Sender``."""
        self._transport.close()


def _answer(event: Event) -> tuple[str, Reply] | None:
    """The sample that a prediction is of, and the prediction; None for what is none."""
    if event.type != PREDICTION:
        return None
    try:
        said = json.loads(event.data)
        sample, label, confidence = (said.get(name) for name in ("sample", "label", "confidence"))
    except (ValueError, AttributeError):
        return None
    if not isinstance(sample, str) or not isinstance(label, str):
        return None
    return sample, Reply(label, float(confidence) if isinstance(confidence, int | float) else None)
