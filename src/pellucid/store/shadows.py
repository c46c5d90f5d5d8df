"""Shadows: candidates that answer beside a champion, to nobody, and what both said of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.errors import UsageError
from pellucid.store.database import Database, now_of
from pellucid.store.samples import chunked
from pellucid.store.schema import shadow, shadow_answer, vote


@dataclass(frozen=True, slots=True)
class Shadow:
    """A candidate in the shadow of its name's champion."""

    id: int  # later ones have higher ones
    name: str  # of the models
    candidate: int  # version
    share: float  # of the images that it answers too, above 0 and at most 1
    actor: str  # who began it
    started_at: datetime  # UTC
    ended_at: datetime | None = None  # UTC; None while it runs
    dropped: int = 0  # images that servers were too busy for, or that failed
    trouble: str | None = None  # what keeps the candidate from answering; None where nothing does

    @property
    def ref(self) -> str:
        """The candidate, as people name it: ``trash@2``."""
        return f"{self.name}@{self.candidate}"


@dataclass(frozen=True, slots=True)
class ShadowAnswer:
    """What champion and candidate said of one image when it came first."""

    sample: str  # Sample.id
    prediction: str  # Answer.uid of the champion's answer
    champion: int  # the version that gave it
    champion_label: str
    champion_confidence: float  # 0..1
    label: str  # the candidate's
    confidence: float  # 0..1, the candidate's
    at: datetime  # UTC, of the champion's answer


@dataclass(frozen=True, slots=True)
class ShadowFigures:
    """The answers of a shadow, counted."""

    images: int
    agreed: int  # images of which both said the same
    champions: tuple[int, ...]  # versions that the candidate was beside, in order
    champion_confidence: float | None  # mean, 0..1; None without an image
    confidence: float | None  # the candidate's
    confusion: tuple[tuple[str, str, int], ...]  # champion's label, candidate's, images; differing ones, most first


def add_shadow(connection: sa.Connection, name: str, candidate: int, share: float, actor: str) -> Shadow:
    """Begins a shadow.

    Raises:
        UsageError: one is running for the name already; nothing was changed.
    """
    values = {"model_name": name, "candidate": candidate, "share": share, "actor": actor, "dropped": 0}
    values["started_at"] = now_of(connection)
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(shadow).values(**values))
    except sa.exc.IntegrityError:
        check_free(connection, name)
        raise  # the row itself is wrong
    begun = running_shadow(connection, name)
    assert begun is not None  # noqa: S101 - it was begun in this transaction
    return begun


def check_free(connection: sa.Connection, name: str) -> None:
    """Raises UsageError where a shadow is running for the name."""
    if (running := running_shadow(connection, name)) is not None:
        raise UsageError(
            f"{running.ref} is in the shadow of {name}'s champion already, since "
            f"{running.started_at:%Y-%m-%d %H:%M} UTC; `pellucid models shadow --end {name}` ends that"
        )


def end_shadows(connection: sa.Connection, name: str, candidate: int | None = None) -> None:
    """Ends what is running for the name, where there is something.

    Args:
        candidate: only where it is this version.
    """
    mine = sa.and_(shadow.c.model_name == name, shadow.c.ended_at.is_(None))
    if candidate is not None:
        mine = sa.and_(mine, shadow.c.candidate == candidate)
    connection.execute(sa.update(shadow).where(mine).values(ended_at=now_of(connection)))


def running_shadow(connection: sa.Connection, name: str) -> Shadow | None:
    """What is running for the name."""
    query = sa.select(shadow).where(shadow.c.model_name == name, shadow.c.ended_at.is_(None))
    row = connection.execute(query).first()
    return None if row is None else _shadow(row)


def newest_shadow(connection: sa.Connection, name: str, candidate: int | None = None) -> Shadow | None:
    """The last one begun for the name, or for that version, whether it runs or has ended."""
    query = sa.select(shadow).where(shadow.c.model_name == name)
    if candidate is not None:
        query = query.where(shadow.c.candidate == candidate)
    row = connection.execute(query.order_by(shadow.c.id.desc()).limit(1)).first()
    return None if row is None else _shadow(row)


def note_shadow(connection: sa.Connection, number: int, *, dropped: int, trouble: str | None) -> None:
    """Notes what went wrong: so many more images that were dropped, and what keeps the candidate from answering."""
    values = {"dropped": shadow.c.dropped + dropped, "trouble": trouble}
    connection.execute(sa.update(shadow).where(shadow.c.id == number).values(**values))


def add_shadow_answers(
    database: Database, connection: sa.Connection, number: int, answers: Sequence[ShadowAnswer]
) -> None:
    """Records answers of the shadow with that id; of an image that has one already, the first one stays."""
    rows = [
        {
            "shadow_id": number,
            "sample_id": item.sample,
            "prediction": item.prediction,
            "champion": item.champion,
            "champion_label": item.champion_label,
            "champion_confidence": item.champion_confidence,
            "label": item.label,
            "confidence": item.confidence,
            "at": item.at,
        }
        for item in sorted(answers, key=lambda answer: answer.sample)  # as in `add_samples`
    ]
    database.insert_new(connection, shadow_answer, rows)


def shadowed(connection: sa.Connection, number: int, ids: Sequence[str]) -> set[str]:
    """Those of the samples that the shadow with that id has answered."""
    found: set[str] = set()
    for chunk in chunked(ids):
        mine = (shadow_answer.c.shadow_id == number, shadow_answer.c.sample_id.in_(chunk))
        found |= set(connection.execute(sa.select(shadow_answer.c.sample_id).where(*mine)).scalars())
    return found


def shadow_figures(connection: sa.Connection, number: int, most: int) -> ShadowFigures:
    """The answers of the shadow with that id, counted.

    Args:
        most: pairs of labels in the confusion.
    """
    mine, labels = shadow_answer.c.shadow_id == number, (shadow_answer.c.champion_label, shadow_answer.c.label)
    same = sa.case((labels[0] == labels[1], 1), else_=0)
    means = [sa.func.avg(column) for column in (shadow_answer.c.champion_confidence, shadow_answer.c.confidence)]
    totals = connection.execute(sa.select(sa.func.count(), sa.func.sum(same), *means).where(mine)).one()
    champions = sa.select(shadow_answer.c.champion).where(mine).distinct().order_by(shadow_answer.c.champion)
    count = sa.func.count().label("n")
    pairs = sa.select(*labels, count).where(mine, labels[0] != labels[1]).group_by(*labels)
    pairs = pairs.order_by(count.desc(), *labels).limit(most)
    return ShadowFigures(
        images=totals[0],
        agreed=int(totals[1] or 0),
        champions=tuple(connection.execute(champions).scalars()),
        champion_confidence=totals[2],
        confidence=totals[3],
        confusion=tuple((row[0], row[1], row.n) for row in connection.execute(pairs)),
    )


def differences(
    connection: sa.Connection, number: int, most: int, *, voted_in: str | None = None
) -> list[ShadowAnswer]:
    """Images of which the two said different things, at most so many, newest first.

    Args:
        voted_in: only images with a vote in the dataset of that name.
    """
    query = sa.select(shadow_answer).where(
        shadow_answer.c.shadow_id == number, shadow_answer.c.champion_label != shadow_answer.c.label
    )
    if voted_in is not None:
        said = sa.exists().where(vote.c.sample_id == shadow_answer.c.sample_id, vote.c.dataset == voted_in)
        query = query.where(said)
    query = query.order_by(shadow_answer.c.at.desc(), shadow_answer.c.sample_id).limit(most)
    return [_answer(row) for row in connection.execute(query)]


def _shadow(row: sa.Row[Any]) -> Shadow:
    return Shadow(
        id=row.id,
        name=row.model_name,
        candidate=row.candidate,
        share=row.share,
        actor=row.actor,
        started_at=row.started_at,
        ended_at=row.ended_at,
        dropped=row.dropped,
        trouble=row.trouble,
    )


def _answer(row: sa.Row[Any]) -> ShadowAnswer:
    return ShadowAnswer(
        sample=row.sample_id,
        prediction=row.prediction,
        champion=row.champion,
        champion_label=row.champion_label,
        champion_confidence=row.champion_confidence,
        label=row.label,
        confidence=row.confidence,
        at=row.at,
    )
