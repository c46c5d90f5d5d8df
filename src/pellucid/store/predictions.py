"""Predictions: which model answered what, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.errors import NotFoundError
from pellucid.store.schema import prediction
from pellucid.store.sources.names import printable
from pellucid.types import Answer, ModelVersion, Prediction


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


def add_answers(connection: sa.Connection, model: ModelVersion, answers: Sequence[Answer]) -> None:
    """Records answers that their askers know by a uid."""
    rows = [
        {
            "at": item.at,
            "model_name": model.name,
            "model_version": model.version,
            "sample_id": item.sample,
            "path": printable(item.name),
            "label": item.label,
            "confidence": item.confidence,
            "probabilities": dict(item.probabilities),
            "uid": item.uid,
            "actor": item.actor,
            "details": {
                "likely": list(item.likely),
                "entropy": item.entropy,
                "novelty": item.novelty,
                "ledger": item.ledger,
            },
        }
        for item in answers
    ]
    if rows:
        connection.execute(sa.insert(prediction), rows)


def newest_answered(connection: sa.Connection, model: ModelVersion, most: int) -> list[str]:
    """The samples of the model's newest answers, each once; of so many answers at most."""
    mine = (prediction.c.model_name == model.name, prediction.c.model_version == model.version)
    query = sa.select(prediction.c.sample_id).where(*mine, prediction.c.uid.is_not(None))
    return list(dict.fromkeys(connection.execute(query.order_by(prediction.c.id.desc()).limit(most)).scalars()))


def answer_of(connection: sa.Connection, uid: str) -> Answer:
    """The answer of that uid.

    Raises:
        NotFoundError: there is none, or it is older than answers are kept.
    """
    row = connection.execute(sa.select(prediction).where(prediction.c.uid == uid)).first()
    if row is None:
        raise NotFoundError(f"there is no prediction {uid[:40]!r}; give the id that the answer came with")
    details = row.details or {}
    return Answer(
        uid=row.uid,
        sample=row.sample_id,
        label=row.label,
        confidence=row.confidence,
        probabilities=row.probabilities,
        likely=tuple(details.get("likely", ())),
        entropy=details.get("entropy", 0.0),
        novelty=details.get("novelty"),
        model=f"{row.model_name}@{row.model_version}",
        ledger=details.get("ledger", 0),
        at=row.at,
        actor=row.actor,
        name=row.path,
    )
