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


def newest_said(connection: sa.Connection, sample: str, most: int) -> tuple[int, list[Answer]]:
    """How often the sample was asked about, and the newest answers, newest first; of files' the uid is empty."""
    mine = prediction.c.sample_id == sample
    count = connection.execute(sa.select(sa.func.count()).select_from(prediction).where(mine)).scalar_one()
    rows = connection.execute(sa.select(prediction).where(mine).order_by(prediction.c.id.desc()).limit(most)).all()
    return int(count), [_answer(row) for row in rows]


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
    return _answer(row)


def newest_answers(connection: sa.Connection, model: ModelVersion, most: int) -> list[Answer]:
    """The newest answers of the model that were asked for from outside, newest first."""
    query = sa.select(prediction).where(*_of(model), prediction.c.uid.is_not(None))
    return [_answer(row) for row in connection.execute(query.order_by(prediction.c.id.desc()).limit(most))]


def count_answers_of(connection: sa.Connection, model: ModelVersion) -> int:
    """How many answers the model has given."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(prediction).where(*_of(model))).scalar_one())


def _of(model: ModelVersion) -> tuple[sa.ColumnElement[bool], ...]:
    return (prediction.c.model_name == model.name, prediction.c.model_version == model.version)


def settled_answers(connection: sa.Connection) -> int:
    """The highest number of a recorded answer, 0 where there is none; no lower number will appear any more.

    For that it waits for the writers that have taken a number and not yet committed, so it needs a write transaction.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE prediction IN SHARE MODE"))
    return newest_answer(connection)


def newest_answer(connection: sa.Connection) -> int:
    """The highest number of an answer that has a uid, 0 where there is none."""
    query = sa.select(sa.func.max(prediction.c.id)).where(prediction.c.uid.is_not(None))
    return int(connection.execute(query).scalar() or 0)


def count_answers(connection: sa.Connection, start: int) -> int:
    """How many answers with a uid have the number ``start`` or a higher one."""
    query = sa.select(sa.func.count()).select_from(prediction)
    return int(connection.execute(query.where(prediction.c.id >= start, prediction.c.uid.is_not(None))).scalar_one())


def answers_from(connection: sa.Connection, start: int, upto: int, *, limit: int) -> list[tuple[int, Answer]]:
    """Answers with a uid and their numbers, from ``start`` to ``upto``, in order: at most ``limit``."""
    query = sa.select(prediction).where(
        prediction.c.id >= start, prediction.c.id <= upto, prediction.c.uid.is_not(None)
    )
    rows = connection.execute(query.order_by(prediction.c.id).limit(limit)).all()
    return [(row.id, _answer(row)) for row in rows]


def _answer(row: sa.Row[Any]) -> Answer:
    details = row.details or {}
    return Answer(
        uid=row.uid or "",
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
