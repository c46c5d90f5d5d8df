"""Accuracy: how often the champion has been right of late, as far as people's votes can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from pellucid.evaluate.evaluation import Estimate
from pellucid.evaluate.voted import voted_accuracy
from pellucid.flow.online.belief import PRIORS, voter_rate
from pellucid.flow.production.triggers import MIN_ANSWERS, RECENT_ANSWERS
from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import CHAMPION, alias_state, history_of
from pellucid.store.models import get_model
from pellucid.store.votes import words_on_answers
from pellucid.types import Role


@dataclass(frozen=True, slots=True)
class LiveAccuracy:
    """What the votes on a champion's answers say of it."""

    model: str  # "NAME@VERSION"
    since: datetime  # UTC, when it became champion
    reason: str  # why, as whoever promoted it said
    actor: str  # who did
    tested: float  # 0..1, its accuracy on test images
    estimate: Estimate | None  # 0..1, of the answers that somebody spoke of; None where too few did
    answers: int  # that somebody spoke of, of the newest
    confirmed: int  # words that agree with the answer
    words: int  # all words
    voters: int  # who said them
    truths: int  # of the words, those that are ground truth

    @property
    def rests_on(self) -> str:
        """What the estimate rests on, in a sentence."""
        if not self.words:
            return "nobody has said yet whether its answers are right"
        people = f"{self.voters} {'voter' if self.voters == 1 else 'voters'}"
        newest = "the newest " if self.words == RECENT_ANSWERS else ""
        said = f"{self.confirmed} of {newest}{self.words} votes by {people} confirm its answers"
        if self.estimate is None:
            return f"{said}; an estimate needs {MIN_ANSWERS} answers that somebody spoke of, {self.answers} were"
        truths = f", {self.truths} of them ground truth" if self.truths else ""
        return (
            f"{said}{truths}. The estimate is corrected for how often each voter errs, so it may well lie above that "
            "share. People speak sooner of answers that look wrong: all answers together may be better still"
        )


def live_accuracy(workspace: Workspace, dataset: str) -> LiveAccuracy | None:
    """How accurate the champion's answers are by the newest votes on them; None where there is no champion.

    The votes are people's last words on answers of this version of the model, two hundred at most, whenever it gave
    them: one that is rolled back to is known as it was. Ground truth is believed, every other vote as far as its
    voter's record says (`pellucid.noise.reliability`), and the accuracy is what makes all of them likeliest
    (`pellucid.evaluate.voted`).

    Raises:
        NotFoundError: the champion is gone from the registry.
    """
    with workspace.database.read() as connection:
        state = alias_state(connection, dataset, CHAMPION)
        if state.version is None:
            return None
        model = get_model(connection, f"{dataset}@{state.version}")
        history = history_of(connection, dataset)
        reign = next(item for item in history if (item.alias, item.revision) == (CHAMPION, state.revision))
        words = words_on_answers(connection, dataset, state.version, model.created_at, RECENT_ANSWERS)
        named = (*model.classes, *(word[1] for word in words), *(word[4] for word in words))
        classes = {name: number for number, name in enumerate(dict.fromkeys(named))}
        rates = _rates(connection, dataset, {(voter, role) for _, _, voter, role, _ in words}, len(model.classes))
    answered = {uid: label for uid, label, *_ in words}
    place = {uid: number for number, uid in enumerate(answered)}
    estimate = None
    if len(answered) >= MIN_ANSWERS:
        estimate = voted_accuracy(
            [classes[label] for label in answered.values()],
            [place[word[0]] for word in words],
            [classes[word[4]] for word in words],
            [rates[word[2], word[3]] for word in words],
            max(2, len(classes)),
        )
    return LiveAccuracy(
        model=model.ref,
        since=reign.at,
        reason=reign.reason,
        actor=reign.actor,
        tested=model.metrics["accuracy"],
        estimate=estimate,
        answers=len(answered),
        confirmed=sum(label == said for _, label, _, _, said in words),
        words=len(words),
        voters=len({word[2] for word in words}),
        truths=sum(role is Role.GROUND_TRUTH for _, _, _, role, _ in words),
    )


def _rates(
    connection: sa.Connection, dataset: str, voters: set[tuple[str, Role]], n_classes: int
) -> dict[tuple[str, Role], float]:
    """How often each voter is right in each role, 0..1."""
    return {
        (voter, role): voter_rate(connection, dataset, voter, role, n_classes) if role in PRIORS else 1.0
        for voter, role in sorted(voters)
    }
