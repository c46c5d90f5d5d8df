"""Topics: what those of a project are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """Where events go, and where answers come from."""

    images: str = "images"
    feedback: str = "feedback"
    predictions: str = "predictions"
