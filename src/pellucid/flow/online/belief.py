"""What the votes on samples say together, beside the live model and by the record of every voter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.flow.online.answerer import Views
from pellucid.flow.online.live import LiveModel
from pellucid.labels.consensus import derive, last_words
from pellucid.noise.reliability import Jury, hear_all, reliability, weigh_many
from pellucid.store.votes import supports_of
from pellucid.types import KEEPER, Role, Vote

RECORD = 500  # newest votes that a voter's record is made of
FULL = 0.2  # lead from which on an image counts in full
_BLOCK = 256  # images at a time

Rate = Callable[[str, Role], float]  # of a voter in a role

# Right and wrong votes that a new voter begins with.
PRIORS: Mapping[Role, tuple[float, float]] = {Role.USER: (2.0, 2.0), Role.ANNOTATOR: (18.0, 2.0)}


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is believed of a sample."""

    label: str | None  # None where nobody has said anything that counts
    trust: float  # 0..1: P(the label is right)
    weight: float  # 0..1: how much the image counts; 0 where nothing is to be learnt. See `dose`
    strength: float  # 0..1: how much of the label is learnt
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
    return believe_all(live, {sample: votes}, [view], rate=on_record(live, connection))[sample]


def on_record(live: LiveModel, connection: sa.Connection) -> Rate:
    """`voter_rate` of those who speak of what the model classifies."""
    return lambda voter, role: voter_rate(connection, live.model.name, voter, role, live.n_classes)


def believe_all(
    live: LiveModel,
    votes: Mapping[str, Sequence[Vote]],
    views: Iterable[Views],
    *,
    rate: Rate | None = None,
    settled: Mapping[str, str] | None = None,
) -> dict[str, Belief]:
    """`believe_votes` of many samples at once.

    Args:
        votes: by sample.
        views: the samples in that order, some at a time; each part is let go before the next is taken.
        rate: how often a voter is right, 0..1, by what was on record when the votes were said; without it all voters
            are judged anew, together, by these very votes.
        settled: the label of samples for which it is known; only without ``rate``.
    """
    case = _Case(live, votes, settled or {})
    others, known = _others(live, list(votes), views, case.classes)
    if rate is None:
        jury = _hear_all(case, others, known)
        posterior, support = jury.posterior, jury.support
    else:
        rates = np.array([rate(*voter) for voter in case.voters], np.float64)
        posterior, support = weigh_many(others, case.rows, case.labels, rates[case.who], n_classes=live.n_classes)
    # Nobody can have foreseen a class that the model has never seen, so votes for it get no support.
    given: dict[int, dict[str, float]] = {}
    said: dict[int, list[int]] = {}
    for place, vote in enumerate(case.heard):
        row, label = int(case.rows[place]), int(case.labels[place])
        said.setdefault(row, []).append(label)
        if known[label]:
            given.setdefault(row, {})[vote.voter] = float(support[place])
    found = {}
    for row, name in enumerate(votes):
        if name in case.spoken:
            label_said = case.spoken[name]
            certain = 1.0 if label_said is not None else 0.0
            found[name] = Belief(label_said, certain, *dose(certain), {})
        elif row in said:
            best = max(said[row], key=posterior[row].__getitem__)
            believed, trust = case.classes[best], float(posterior[row, best])
            # Of a class that came after its training the model knows too little to speak against it.
            ahead = lead(posterior[row], best) if believed in live.predictor.classes else trust
            found[name] = Belief(believed, trust, *dose(ahead), given.get(row, {}))
        else:
            found[name] = Belief(None, 0.0, *dose(0.0), {})
    return found


def lead(posterior: NDArray[np.float64], label: int) -> float:
    """What speaks for a class beyond what speaks for the likeliest other one, 0..1: how much of it is to be learnt.

    Learnt by its probability, a label that is probably wrong would still do harm: nothing of the other classes'
    probability is learnt against it, and many who lie alike in small doses would move the model.

    >>> lead(np.array([0.25, 0.75]), 1), lead(np.array([0.25, 0.75]), 0)
    (0.5, 0.0)
    """
    rest = np.delete(posterior, label).max(initial=0.0)
    return max(0.0, float(posterior[label] - rest))


def dose(ahead: float) -> tuple[float, float]:
    """Weight and strength, 0..1, to learn a label of that lead with; their product is the lead.

    The image counts in full and its label as far as it leads. Below a lead of ``FULL`` the image counts less and less:
    with a target near zero it would be learnt as being of no class, by a word that says next to nothing.

    >>> dose(0.6), dose(0.1), dose(0.0)
    ((1.0, 0.6), (0.5, 0.2), (0.0, 0.2))
    """
    return round(min(1.0, ahead / FULL), 6), max(ahead, FULL)


def weigh_together(
    live: LiveModel,
    votes: Mapping[str, Sequence[Vote]],
    classes: Sequence[str],
    others: NDArray[np.float64],
    *,
    settled: Mapping[str, str],
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """What is believed of every class of samples: voters and votes are judged together, as `believe_all` may do.

    Args:
        votes: by sample.
        classes: (C,) that the model knows.
        others: (n, C) what it says of each sample without that sample.
        settled: the label of samples for which it is known.

    Returns:
        The classes (K,), those of the model and whatever else was said, and P(true class) (n, K).
    """
    case = _Case(live, votes, settled)
    columns = [case.classes.index(name) for name in classes if name in case.classes]
    p, known = np.zeros((len(votes), len(case.classes))), np.zeros(len(case.classes), np.bool_)
    p[:, columns] = others[:, [place for place, name in enumerate(classes) if name in case.classes]]
    known[columns] = True
    return tuple(case.classes), _hear_all(case, p, known).posterior


def left_out(
    live: LiveModel, names: Sequence[str], classes: Sequence[str], rest: Callable[[], None] = lambda: None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What the model says of each sample without it, (n, C), and which of them have an image still, (n,).

    Args:
        classes: (C,) that there are; of later ones nothing is said.
        rest: called between blocks of samples, so that the model may learn meanwhile.
    """
    others, there = np.zeros((len(names), len(classes))), np.zeros(len(names), np.bool_)
    for start in range(0, len(names), _BLOCK):
        rest()
        with live.workspace.database.read() as connection:
            intact, views = live.look_up_intact(connection, names[start : start + _BLOCK])
        block = start + np.flatnonzero(np.isin(names[start : start + _BLOCK], intact))
        there[block] = True
        if not live.learns:
            found = live.answerer.probabilities_of(views)
            others[block, : found.shape[1]] = found[:, : len(classes)]
            continue
        with live.lock:
            columns = live.online.classes
            found = live.online.without(views.rows, *live.taught(intact))
        old = columns < len(classes)  # a class that came meanwhile waits for the next queue
        others[np.ix_(block, columns[old])] = found[:, old]
    return others, there


def voter_rate(connection: sa.Connection, dataset: str, voter: str, role: Role, n_classes: int) -> float:
    """How often the voter is right, 0..1, by what others gave the voter's newest labels."""
    return reliability(supports_of(connection, dataset, voter, RECORD), max(2, n_classes), PRIORS[role])


@dataclass(slots=True)
class _Case:
    """Votes as arrays."""

    live: LiveModel
    votes: Mapping[str, Sequence[Vote]]
    settled: Mapping[str, str]
    heard: list[Vote] = field(default_factory=list)  # (v,) that are weighed
    voters: list[tuple[str, Role]] = field(default_factory=list)
    spoken: dict[str, str | None] = field(default_factory=dict)  # ground truth by sample; None where it contradicts
    truth: list[int] = field(default_factory=list)  # (n,) class number where it is known, else -1
    classes: list[str] = field(default_factory=list)  # (K,)
    rows: NDArray[np.intp] = field(init=False)  # (v,)
    labels: NDArray[np.intp] = field(init=False)  # (v,)
    who: NDArray[np.intp] = field(init=False)  # (v,)

    def __post_init__(self) -> None:
        index = {name: number for number, name in enumerate(self.live.known())}
        voters: dict[tuple[str, Role], int] = {}
        places: list[tuple[int, int, int]] = []
        for row, (name, votes) in enumerate(self.votes.items()):
            current = last_words(vote for vote in votes if vote.voter != KEEPER)
            if any(vote.role is Role.GROUND_TRUTH for vote in current):
                self.spoken[name] = derive(current).label
            known = self.spoken.get(name) or self.settled.get(name)
            self.truth.append(-1 if known is None else index.setdefault(known, len(index)))
            for vote in current:
                if vote.role in PRIORS:
                    who = voters.setdefault((vote.voter, vote.role), len(voters))
                    places.append((row, index.setdefault(vote.label, len(index)), who))
                    self.heard.append(vote)
        self.voters, self.classes = list(voters), list(index)
        self.rows, self.labels, self.who = np.array(places, np.intp).reshape(-1, 3).T


def _hear_all(case: _Case, others: NDArray[np.float64], known: NDArray[np.bool_]) -> Jury:
    counts = known[case.labels]
    imported = np.ones(len(case.voters), np.bool_)
    imported[case.who[[vote.import_id is None for vote in case.heard]]] = False
    priors = np.array([PRIORS[role] for _, role in case.voters], np.float64).reshape(-1, 2)
    settled = np.array(case.truth, np.intp)
    # Of an import only what users contest is seen here, which says little against all the rest of it.
    least = np.where(imported, priors[:, 0] / priors.sum(axis=1), 0.0)
    return hear_all(
        others,
        case.rows,
        case.labels,
        case.who,
        priors,
        counts=counts,
        settled=settled,
        least=least,
        n_classes=case.live.n_classes,
    )


def _others(
    live: LiveModel, names: Sequence[str], views: Iterable[Views], classes: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What the model says of each sample without it, (n, K), and which classes it knows, (K,)."""
    index = {name: number for number, name in enumerate(classes)}
    p, known = np.zeros((len(names), len(classes))), np.zeros(len(classes), np.bool_)
    own = [live.classes[number] for number in live.online.classes] if live.learns else live.answerer.classes
    columns = [index[name] for name in own]
    known[columns] = True
    start = 0
    for part in views:
        stop = start + len(part.X)
        if live.learns:
            found = live.online.without(part.rows, *live.taught(names[start:stop]))
        else:
            found = live.answerer.probabilities_of(part)
        p[start:stop, columns] = found
        start = stop
    return p, known
