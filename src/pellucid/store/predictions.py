"""Predictions: which model answered what, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.schema import prediction
from pellucid.store.sources.names import printable
from pellucid.types import ModelVersion, Prediction


def add_predictions(connection: sa.Connection, model: ModelVersion, predictions: Sequence[Prediction]) -> None:
    """Records the answers; those without a label are not answers."""
    now = datetime.now(UTC)
    rows = [
        {
            "at": now,
            "model_name": model.name,
            "model_version": model.version,
            "sample_id": item.sample,
            "path": printable(item.path),
            "label": item.label,
            "confidence": item.confidence,
            "probabilities": dict(item.probabilities),
        }
        for item in predictions
        if item.label is not None
    ]
    if rows:
        connection.execute(sa.insert(prediction), rows)


def predictions_of(connection: sa.Connection, sample: str) -> list[dict[str, Any]]:
    """Every answer about the sample, oldest first."""
    rows = connection.execute(sa.select(prediction).where(prediction.c.sample_id == sample).order_by(prediction.c.id))
    return [dict(row._mapping) for row in rows]


def count_by_model(connection: sa.Connection) -> dict[str, int]:
    """How many predictions each model, ``NAME@VERSION``, has given."""
    keys = (prediction.c.model_name, prediction.c.model_version)
    rows = connection.execute(sa.select(*keys, sa.func.count().label("n")).group_by(*keys))
    return {f"{row.model_name}@{row.model_version}": row.n for row in rows}
