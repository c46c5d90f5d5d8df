"""Feedback: a vote on an image becomes, at once and exactly, what the live model has learnt of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, UsageError
from pellucid.flow.belief import Belief, believe_votes
from pellucid.flow.live import Answerer, LiveModel, Views
from pellucid.store.ledger import Entry, add_entries, hold
from pellucid.store.receipts import answer_to, claim
from pellucid.store.votes import add_vote, votes_of
from pellucid.types import Role, Split, Vote

HURTS = 0.01  # of the guard's accuracy: a step that takes it lower than so far below the champion's is undone
_ATTEMPTS = 5  # where the same comes several times at once


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says of an image."""

    sample: str  # Sample.id
    label: str
    voter: str
    role: Role = Role.USER
    prediction: str | None = None  # the uid of the answer that it corrects
    model: str | None = None  # "NAME@VERSION" that gave it
    confidence: float | None = None  # 0..1, of that answer
    note: str | None = None
    key: str | None = None  # the client's own name for it; the same name counts once
    new_class: bool = False  # whether the label may be one that nobody has used yet


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of it."""

    vote: int  # its number
    sample: str
    label: str | None  # what the votes on the sample say together
    trust: float  # 0..1: P(that label is right)
    weight: float  # 0..1: with which the model has learnt it
    action: str  # "learnt", "undone" by the guard, or "recorded" where nothing is learnt
    reason: str  # why not, where it was not learnt
    model: str  # "NAME@VERSION"
    ledger: int  # the newest entry that the model then held
    before: float  # probability of the label that was said, as the model had it
    after: float


def hear(live: LiveModel, said: Said, *, source: str = "direct") -> Heard:
    """Records the vote and learns what follows, in one transaction; the same key of the same source counts once.

    The sample stands in the model once, under the label and with the trust that all its votes have together. A step
    that hurts the guard is undone; the vote stays.

    Raises:
        UsageError: the label is blank, or new and not said to be.
        NotFoundError: the project does not have the image.
    """
    said = replace(said, label=said.label.strip())
    if not said.label:
        raise UsageError("the label is blank; name what the image shows")
    for _ in range(_ATTEMPTS):
        try:
            with live.lock:
                return _hear(live, said, source)
        except ConcurrencyError:
            continue
    raise ConcurrencyError(f"{said.key!r} of {source} came several times at once; send it again")


def _hear(live: LiveModel, said: Said, source: str) -> Heard:
    step = _Step(live)
    try:
        with live.workspace.database.write() as connection:
            if said.key is not None and (earlier := answer_to(connection, source, said.key)):
                return Heard(**earlier)
            hold(connection, live.model)
            live.follow(connection)
            _check_label(live, said)
            view = live.look_up(connection, [said.sample])
            vote = Vote(
                dataset=live.model.name,
                sample=said.sample,
                label=said.label,
                role=said.role,
                voter=said.voter,
                at=datetime.now(UTC),
                model=said.model,
                confidence=said.confidence,
                prediction=said.prediction,
                note=said.note,
            )
            before = _share(live.answerer, view, said.label)
            votes = [*votes_of(connection, vote.dataset, [vote.sample]).get(vote.sample, []), vote]
            belief = believe_votes(live, connection, vote.sample, view, votes)
            number = add_vote(connection, replace(vote, support=belief.support.get(vote.voter)))
            action, reason = step.take(connection, vote.sample, view, belief, number)
            heard = Heard(
                vote=number,
                sample=vote.sample,
                label=belief.label,
                trust=round(belief.trust, 4),
                weight=round(live.stands(vote.sample)[1], 4),
                action=action,
                reason=reason,
                model=live.model.ref,
                ledger=step.ledger,
                before=round(before, 6),
                after=round(_share(live.newest(), view, said.label), 6),
            )
            if said.key is not None:
                _claim(connection, source, said.key, heard)
    except BaseException:
        step.undo()
        live.drop_unlearnt_classes()
        raise
    live.publish(step.ledger)
    return heard


class _Step:
    """One step of the live model, which can be undone until it is published."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live
        self._before: dict[str, tuple[int, float]] = {}
        self._view: Views | None = None
        self.ledger = live.ledger

    def take(self, connection: sa.Connection, sample: str, view: Views, belief: Belief, vote: int) -> tuple[str, str]:
        """Learns what is believed; returns what was done, and why nothing where nothing was."""
        live = self._live
        self.ledger = live.ledger
        if why := _untouchable(live, sample):
            return "recorded", why
        weight = round(min(belief.trust, 1 - live.weight_of_copies(sample, view.X[0])), 6)
        if belief.label is None or weight <= 0:
            return "recorded", "near-copies of the image have been learnt with all the weight that one image has"
        entry = Entry(sample, belief.label, weight, "learn", "", vote)
        self._before, self._view = live.apply([entry], view), view
        if hurt := self._hurts():
            self.undo()
            number, share = live.stands(sample)
            label = live.classes[number] if share > 0 else None
            entry = Entry(sample, label, share, "guard", hurt, vote)
        self.ledger = add_entries(connection, live.model, [entry])
        return ("undone", hurt) if hurt else ("learnt", "")

    def undo(self) -> None:
        """The model stands as before."""
        if self._view is not None:
            self._live.restore(self._before, self._view)
            self._view = None

    def _hurts(self) -> str:
        now, guard = self._live.guarded(), self._live.guard
        if now is None or guard is None or self._live.best is None:
            return ""
        allowed = max(HURTS, 1 / len(guard.y))
        if now >= self._live.best - allowed - 1e-9:
            return ""
        return f"the accuracy on {len(guard.y)} trusted images would fall from {self._live.best:.3f} to {now:.3f}"


def _claim(connection: sa.Connection, source: str, key: str, heard: Heard) -> None:
    if claim(connection, source, key, asdict(heard)) is not None:
        raise ConcurrencyError(f"{key!r} of {source} came twice at once, and the other one was faster")


def _untouchable(live: LiveModel, sample: str) -> str:
    if not live.learns:
        return f"the head of {live.model.ref} learns with the next training"
    row = live.rows.get(sample)
    if row is not None and row.split is not Split.TRAIN:
        return f"the image is in the {row.split} split, which no feedback touches"
    return ""


def _check_label(live: LiveModel, said: Said) -> None:
    if said.label not in live.classes and not said.new_class:
        raise UsageError(
            f"{said.label!r} is none of the classes {', '.join(live.classes)}; choose one, or set new_class"
        )


def _share(answerer: Answerer, view: Views, label: str) -> float:
    """The probability that the label has by now, 0..1."""
    if label not in answerer.classes:
        return 0.0
    return float(answerer.probabilities_of(view)[0, answerer.classes.index(label)])
