"""What the votes on one sample say together, beside the live model and by the record of every voter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.flow.live import LiveModel, Views
from pellucid.labels.consensus import derive, last_words
from pellucid.noise.reliability import reliability, weigh_votes
from pellucid.store.votes import supports_of
from pellucid.types import Role, Vote

RECORD = 500  # newest votes that a voter's record is made of
_PRIORS = {Role.USER: (2.0, 2.0), Role.ANNOTATOR: (18.0, 2.0)}  # right and wrong votes that a new voter begins with


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is believed of a sample."""

    label: str | None  # None where nobody has said anything that counts
    trust: float  # 0..1: P(the label is right)
    support: Mapping[str, float]  # by voter: P(the voter's label is right) by model and other voters


def believe_votes(
    live: LiveModel, connection: sa.Connection, sample: str, view: Views, votes: Sequence[Vote]
) -> Belief:
    """The label with the highest probability among those that were said, and that probability.

    Ground truth is believed outright. Everything else is weighed against what the model says without the sample.

    Args:
        view: the sample, and no other.
        votes: all votes on it that count, oldest first.
    """
    current = last_words(votes)
    if any(vote.role is Role.GROUND_TRUTH for vote in current):
        said = derive(votes)
        return Belief(said.label, 1.0 if said.label is not None else 0.0, {})
    heard = [vote for vote in current if vote.role in _PRIORS]
    if not heard:
        return Belief(None, 0.0, {})
    labels = np.array([live.class_number(vote.label) for vote in heard], np.intp)
    K = len(live.classes)
    others, known = _others(live, sample, view, K)
    rates = np.array([voter_rate(connection, vote, K) for vote in heard])
    posterior = weigh_votes(others, labels, rates)
    best = int(labels[posterior[labels].argmax()])
    support = {}
    for place, vote in enumerate(heard):
        rest = np.arange(len(heard)) != place
        if known[labels[place]]:  # nobody can have foreseen a class that the model has never seen
            support[vote.voter] = float(weigh_votes(others, labels[rest], rates[rest])[labels[place]])
    return Belief(live.classes[best], float(posterior[best]), support)


def voter_rate(connection: sa.Connection, vote: Vote, n_classes: int) -> float:
    """How often the voter is right, 0..1, by what others gave the voter's newest labels."""
    supports = supports_of(connection, vote.dataset, vote.voter, RECORD)
    return reliability(supports, max(2, n_classes), _PRIORS[vote.role])


def _others(live: LiveModel, sample: str, view: Views, n_classes: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What the model says without the sample, (K,), and which classes it knows, (K,)."""
    p, known = np.zeros(n_classes), np.zeros(n_classes, np.bool_)
    if live.learns:
        number, weight = live.stands(sample)
        columns = live.online.classes
        p[columns] = live.online.without(view.rows, np.array([number], np.intp), np.array([weight]))[0]
        known[columns] = True
    else:
        found = live.answerer.probabilities_of(view)[0]
        p[: len(found)] = found
        known[: len(found)] = True
    return p, known
