"""Feedback: a vote on an image becomes, at once and exactly, what the live model has learnt of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, NotFoundError, UsageError
from pellucid.flow.online.answerer import Answerer, Views
from pellucid.flow.online.belief import Belief, believe_votes
from pellucid.flow.online.draft import Draft, drafting
from pellucid.flow.online.judging import votes_upto
from pellucid.flow.online.live import LiveModel
from pellucid.store.ledger import Entry
from pellucid.store.live_vectors import keep_vectors
from pellucid.store.receipts import answer_to, claim
from pellucid.store.samples import stored_ids
from pellucid.store.votes import add_vote, first_to_say, votes_of
from pellucid.types import Role, Vote

_DOUBTED = "the model and all who spoke of the image together rather believe in another class"
_COPIED = "of near-copies of the image as much has been learnt as of one image"
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
    weight: float  # 0..1: how much of that label the model has learnt from the image, weight times strength
    action: str  # "learnt", "unlearnt", "undone" by the guard, or "recorded" where nothing changes
    reason: str  # why not, where it was not learnt
    model: str  # "NAME@VERSION"
    ledger: int  # the newest entry that the model then held
    before: float  # probability of the label that was said, as the model had it
    after: float
    again: bool = field(default=False, compare=False)  # whether it had been heard before, under the same key


def hear(live: LiveModel, said: Said, *, source: str = "direct") -> Heard:
    """Records the vote and learns what follows, in one transaction; the same key of the same source counts once.

    The sample stands in the model once, under the label and with the strength that all its votes have together; where
    they tell nothing, it does not stand there. A step that hurts the guard is undone; the vote stays.

    Raises:
        UsageError: the label is blank, or new and not said to be, or one new class too many for a user.
        NotFoundError: the project does not have the image.
    """
    for _ in range(_ATTEMPTS):
        try:
            with drafting(live) as draft, live.workspace.database.write() as connection:
                return hear_within(draft, connection, said, source=source)
        except ConcurrencyError:
            continue
    raise ConcurrencyError(f"{said.key!r} of {source} came several times at once; send it again")


def hear_within(draft: Draft, connection: sa.Connection, said: Said, *, source: str = "direct") -> Heard:
    """The same in the transaction and the draft of the caller, who may hear several before they are committed.

    Where it raises, the draft stands as before, and the transaction is to be rolled back, at least to here.

    Raises:
        ConcurrencyError: the same key came twice at once.
        UsageError, NotFoundError: as of ``hear``.
    """
    said = replace(said, label=said.label.strip())
    if not said.label:
        raise UsageError("the label is blank; name what the image shows")
    if said.key is not None and (earlier := answer_to(connection, source, said.key)):
        return replace(Heard(**earlier), again=True)
    with draft.savepoint():
        draft.hold(connection)
        heard = _hear(draft, connection, said)
        if said.key is not None:
            _claim(connection, source, said.key, heard)
    return heard


def _hear(draft: Draft, connection: sa.Connection, said: Said) -> Heard:
    live = draft.live
    _check_label(live, connection, said)
    if not stored_ids(connection, [said.sample]):
        raise NotFoundError(f"the project has no image {said.sample[:12]!r}; send the image itself, or ingest it")
    view = live.look_up(connection, [said.sample])
    keep_vectors(live.workspace.database, connection, live.model.fingerprint, {said.sample: view.X[0]})
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
    before = _share(live.newest(), view, said.label)
    votes = [*votes_of(connection, vote.dataset, [vote.sample]).get(vote.sample, []), vote]
    belief = believe_votes(live, connection, vote.sample, view, votes)
    number = add_vote(connection, replace(vote, support=belief.support.get(vote.voter)))
    action, reason = _take(draft, connection, vote.sample, view, belief, number)
    return Heard(
        vote=number,
        sample=vote.sample,
        label=belief.label,
        trust=round(belief.trust, 4),
        weight=round(live.stands(vote.sample).credit, 4),
        action=action,
        reason=reason,
        model=live.model.ref,
        ledger=draft.ledger,
        before=round(before, 6),
        after=round(_share(live.newest(), view, said.label), 6),
    )


def _take(
    draft: Draft, connection: sa.Connection, sample: str, view: Views, belief: Belief, vote: int
) -> tuple[str, str]:
    """Learns what is believed; returns what was done, and why nothing where nothing was."""
    live = draft.live
    if why := _untouchable(live, sample):
        return "recorded", why
    stood = live.stands(sample)
    weight = round(min(belief.weight, 1 - float(live.credit_of_copies([sample], view.X)[0])), 6)
    if weight > 0:
        entry = Entry(sample, belief.label, weight, "learn", "", vote, strength=belief.strength)
    elif stood.weight > 0 and belief.weight <= 0:
        entry = Entry(sample, None, 0.0, "unlearn", _DOUBTED, vote)
    else:
        return "recorded", _COPIED if belief.weight > 0 else _DOUBTED
    steps, before = draft.steps, live.guarded()
    draft.learn([entry], view)
    if hurt := live.hurt(before):
        draft.undo(steps)
        entry = Entry(sample, live.label_at(stood), stood.weight, "guard", hurt, vote, strength=stood.strength)
    draft.record(connection, [entry])
    if hurt:
        return "undone", hurt
    return ("learnt", "") if weight > 0 else ("unlearnt", _DOUBTED)


def _claim(connection: sa.Connection, source: str, key: str, heard: Heard) -> None:
    if claim(connection, source, key, asdict(heard)) is not None:
        raise ConcurrencyError(f"{key!r} of {source} came twice at once, and the other one was faster")


def _untouchable(live: LiveModel, sample: str) -> str:
    if not live.learns:
        return f"the head of {live.model.ref} learns with the next training"
    if not live.may_learn(sample):
        return f"the image is in the {live.rows[sample].split} split, which no feedback touches"
    return ""


def _check_label(live: LiveModel, connection: sa.Connection, said: Said) -> None:
    known = live.known()
    if said.label in known:
        return
    if not said.new_class:
        raise UsageError(f"{said.label!r} is none of the classes {', '.join(known)}; choose one, or set new_class")
    if said.role is not Role.USER:
        return
    most = live.workspace.settings.new_classes
    first = first_to_say(connection, live.model.name, votes_upto(live, connection))
    token = said.voter.partition("/")[0]  # whoever holds one names voters as they like
    new = [label for label in first if label not in live.predictor.classes]
    if said.label not in new and sum(first[label].partition("/")[0] == token for label in new) >= most:
        raise UsageError(
            f"{token!r} has named {most} new classes since {live.model.ref} was trained and may name no more, "
            f"such as {said.label!r}; choose one of {', '.join(known)}, have an annotator name it, or raise "
            "new_classes in pellucid.toml"
        )


def _share(answerer: Answerer, view: Views, label: str) -> float:
    """The probability that the label has by now, 0..1."""
    if label not in answerer.classes:
        return 0.0
    return float(answerer.probabilities_of(view)[0, answerer.classes.index(label)])
