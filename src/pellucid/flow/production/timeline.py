"""Timeline: what changed in production, by whom and why, newest first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from pellucid.flow.production.triggers import DRIFT
from pellucid.flow.workspace import Workspace
from pellucid.store.acts import UNSURE
from pellucid.store.chronicle import (
    Retraction,
    Reviews,
    Trainings,
    newest_acts,
    newest_changes,
    newest_firings,
    newest_retractions,
    newest_reviews,
    newest_trainings,
    newest_verdicts,
)
from pellucid.store.firings import FiringState
from pellucid.store.verdicts import Verdict

PAGE = 30  # happenings that are told at once
_TOLD = ("promote", "rollback", "forget", "retrain", "take back")  # acts whose effect has a record of its own

_OF_JOBS = {"cancel job": "was cancelled", "retry job": "was put back into the queue"}
_OF_SHADOWS = {
    "begin shadow": "answers in the champion's shadow from now on",
    "end shadow": "no longer answers in the champion's shadow",
}


class Kind(StrEnum):
    """What kind of thing happened."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    RETRAINING = "retraining"
    DRIFT = "drift"
    GATE = "gate"  # refused, or judged and let pass
    FORGOTTEN = "forgotten"
    TRAINING = "training"  # what ended in a day
    REVIEW = "review"  # what somebody decided in a day
    ACT = "act"  # whatever else somebody did


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened."""

    kind: Kind
    key: str  # that no other one has
    at: datetime  # UTC
    what: str  # "trash@2 is champion, after trash@1"
    who: str  # empty where nobody did it
    why: str  # empty where nobody said
    good: bool | None  # whether it went well; None where there is no such question


@dataclass(frozen=True, slots=True)
class Chapter:
    """A piece of the timeline."""

    happenings: tuple[Happening, ...]  # newest first
    older: Mapping[str, int] = field(hash=False)  # from where on each record is to be read for what came before
    more: bool  # whether there is anything older


_SOURCES: Mapping[str, Collection[Kind]] = {
    "changes": (Kind.PROMOTION, Kind.ROLLBACK),
    "verdicts": (Kind.GATE,),
    "firings": (Kind.RETRAINING, Kind.DRIFT),
    "retractions": (Kind.FORGOTTEN,),
    "trainings": (Kind.TRAINING,),
    "reviews": (Kind.REVIEW,),
    "acts": (Kind.ACT,),
}


def tell(
    workspace: Workspace,
    *,
    kinds: Collection[Kind] = tuple(Kind),
    older: Mapping[str, int] | None = None,
    most: int = PAGE,
) -> Chapter:
    """The newest happenings of these kinds; of each record no more rows are read than are told, times two.

    Args:
        older: of the chapter before, to read on; from the newest where None.
        most: at least 1.
    """
    left = dict(older or {})
    found: list[tuple[datetime, int, str, Happening]] = []
    full = False
    with workspace.database.read() as connection:
        for source, its in _SOURCES.items():
            if not set(its) & set(kinds):
                continue
            rows = list(_read(connection, source, most + 1, left.get(source), kinds))
            full = full or len(rows) > most
            found += [(item.at, number, source, item) for number, item in rows]
    found.sort(key=lambda item: (item[0], item[2], item[1]), reverse=True)
    for _, number, source, _ in found[:most]:
        left[source] = min(number, left.get(source, number))
    told = tuple(item for *_, item in found[:most])
    return Chapter(tuple(_without_echoes(told)), left, full or len(found) > most)


def _without_echoes(told: Sequence[Happening]) -> Iterator[Happening]:
    """What the gate said a second time in the same words, because it was asked again, is told once: the last time."""
    said = set()
    for item in told:
        words = (item.what, item.why)
        if item.kind is not Kind.GATE or words not in said:
            yield item
        if item.kind is Kind.GATE:
            said.add(words)


def _read(
    connection: sa.Connection, source: str, most: int, before: int | None, kinds: Collection[Kind]
) -> Iterator[tuple[int, Happening]]:
    """Rows of one record, by their numbers; what is of another kind is passed over, not counted."""
    given = 0
    while given < most:
        rows = list(_rows(connection, source, most, before))
        for number, item in rows:
            before = number
            if item.kind in kinds and given < most:
                given += 1
                yield number, item
        if len(rows) < most:
            return


def _rows(connection: sa.Connection, source: str, most: int, before: int | None) -> list[tuple[int, Happening]]:
    if source == "changes":
        return [(row.id, _change(row)) for row in newest_changes(connection, most, before)]
    if source == "verdicts":
        return [(row.id, _verdict(row)) for row in newest_verdicts(connection, most, before)]
    if source == "firings":
        return [(row.id, _firing(row)) for row in newest_firings(connection, most, before)]
    if source == "retractions":
        return [(item.id, _retraction(item)) for item in newest_retractions(connection, most, before)]
    if source == "trainings":
        return [(item.number, _trainings(item)) for item in newest_trainings(connection, most, before)]
    if source == "reviews":
        return [(item.id, _reviews(item)) for item in newest_reviews(connection, most, before)]
    return [(row.id, _act(row)) for row in newest_acts(connection, most, before, but=_TOLD)]


def _change(row: Any) -> Happening:
    kind = Kind.ROLLBACK if row.action == "rollback" else Kind.PROMOTION
    after = f", after {row.name}@{row.previous}" if row.previous is not None else ""
    back = " again" if kind is Kind.ROLLBACK else ""
    what = f"Model {row.name}@{row.version} is {row.alias}{back}{after}"
    return Happening(kind, f"change {row.id}", row.at, what, row.actor, row.reason, None)


def _verdict(row: Any) -> Happening:
    verdict = Verdict(
        row.id, row.model_name, row.candidate, row.champion, bool(row.passed), row.figures, row.actor, row.at
    )
    against = f" against {verdict.name}@{verdict.champion}" if verdict.champion is not None else ""
    said = "lets pass" if verdict.passed else "refuses" if verdict.judged else "could not judge"
    what = f"The gate {said} {verdict.name}@{verdict.candidate}{against}"
    good = True if verdict.passed else False if verdict.judged else None
    return Happening(Kind.GATE, f"verdict {row.id}", row.at, what, row.actor, verdict.line, good)


def _firing(row: Any) -> Happening:
    state, detail = FiringState(row.state), row.detail
    kind = Kind.DRIFT if row.trigger == DRIFT else Kind.RETRAINING
    said = {
        FiringState.ASKED: "is to be retrained as soon as a worker is free",
        FiringState.CLAIMED: "is being retrained",
        FiringState.DONE: "was retrained",
        FiringState.NOTHING: "had nothing new to learn",
        FiringState.FAILED: "could not be retrained",
    }
    what = f"{row.dataset} {said.get(state, str(state))}"
    why = "; ".join(text for text in (str(detail.get("why", "")), str(detail.get("message", ""))) if text)
    good = {FiringState.DONE: True, FiringState.FAILED: False}.get(state)
    who = str(detail.get("actor", "")) or ("by hand" if row.trigger == "hand" else f"trigger: {row.trigger}")
    return Happening(kind, f"firing {row.id}", row.at, what, who, why, good)


def _retraction(item: Retraction) -> Happening:
    whose = ", ".join(item.voters) + (f" and {item.more} more" if item.more else "")
    plural = "vote" if item.votes == 1 else "votes"
    what = f"{item.votes:,} {plural} of {whose or 'nobody'} on {item.dataset} taken back"
    return Happening(Kind.FORGOTTEN, f"retraction {item.id}", item.at, what, item.actor, item.reason, None)


def _trainings(item: Trainings) -> Happening:
    parts = [f"{count:,} {word}" for count, word in ((item.done, "done"), (item.failed, "failed")) if count]
    plural = "training" if item.done + item.failed == 1 else "trainings"
    what = f"{plural.capitalize()} on dataset {item.dataset}: {', '.join(parts)}"
    key = f"trainings {item.dataset} {item.at:%Y-%m-%d}"
    return Happening(Kind.TRAINING, key, item.at, what, "", "", False if item.failed else None)


def _reviews(item: Reviews) -> Happening:
    plural = "label" if item.labels == 1 else "labels"
    key = f"reviews {item.dataset} {item.voter} {item.at:%Y-%m-%d}"
    what = f"{item.labels:,} {plural} of {item.dataset} decided in review"
    return Happening(Kind.REVIEW, key, item.at, what, item.voter, "", None)


def _act(row: Any) -> Happening:
    detail = row.detail if isinstance(row.detail, Mapping) else {}
    why, doubt = str(detail.get("reason", "")), " (begun; nobody knows whether it was done)" if UNSURE in detail else ""
    what = f"{_in_words(row.verb, row.subject, detail)}{doubt}"
    return Happening(Kind.ACT, f"act {row.id}", row.at, what, row.actor, why, None)


def _in_words(verb: str, subject: str, detail: Mapping[str, Any]) -> str:
    """An act as a sentence.

    >>> _in_words("start grid", "trash@3", {"models": ["kernel", "ridge"]})
    'A grid was started on dataset trash@3: kernel, ridge'
    >>> _in_words("retry job", "trash@3", {"job": 7, "model": "kernel"})
    'Job 7, kernel on dataset trash@3, was put back into the queue'
    >>> _in_words("retrain", "trash", {"new_votes": 7})
    'A retraining of dataset trash was asked for'
    """
    if verb == "start grid":
        models = ", ".join(map(str, detail.get("models", ())))
        return f"A grid was started on dataset {subject}{': ' * bool(models)}{models}"
    if verb == "retrain":
        return f"A retraining of dataset {subject} was asked for"
    if verb in _OF_JOBS:
        return f"Job {detail.get('job', '?')}, {detail.get('model', '?')} on dataset {subject}, {_OF_JOBS[verb]}"
    if verb in _OF_SHADOWS:
        return f"Model {subject} {_OF_SHADOWS[verb]}"
    return f"{verb}: {subject}"
