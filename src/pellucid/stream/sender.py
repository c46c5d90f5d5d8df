"""Sender: the contract of whatever takes a simulation's images and labels, and what comes back."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pellucid.flow.production.simulate import Shown, Visit


class Halted(Exception):  # noqa: N818 - no error: somebody wanted it to stop
    """The sender was told to stop before the image was sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one image and its label; None is what did not."""

    prediction: str | None = None  # the label that the model gave
    confidence: float | None = None  # 0..1
    action: str | None = None  # what became of the user's label: "learnt", "unlearnt", "undone" or "recorded"
    label: str | None = None  # what all votes on the image say together
    trust: float | None = None  # 0..1: P(that label is right)
    weight: float | None = None  # 0..1: with which it is learnt
    predict_seconds: float | None = None  # of the request that was answered, without those before it
    feedback_seconds: float | None = None
    retries: int = 0  # requests that had to be sent again
    error: str = ""  # why something is missing


class Sender(Protocol):
    """Takes images and labels, one visit at a call; safe to call from as many threads as ``parallel``."""

    parallel: int  # visits that may be under way at once

    def send(self, visit: Visit, shown: Shown, at: datetime, stop: threading.Event) -> Reply:
        """Sends the image and then the label. What concerns this visit alone is the reply's error.

        Raises:
            Halted: ``stop`` was set before anything was taken.
            PellucidError: nothing that comes after would be taken either.
        """

    def gather(self) -> dict[str, Reply]:
        """What came back later, whole, by the visit's id; called once, when all is sent."""

    def close(self) -> None:
        """Gives all connections back."""
