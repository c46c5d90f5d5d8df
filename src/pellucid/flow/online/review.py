"""Review: which labels a person should look at, those first whose answer is expected to change the model most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.flow.online.belief import PRIORS, left_out, weigh_together
from pellucid.flow.online.live import LiveModel
from pellucid.flow.workspace import Workspace
from pellucid.labels.consensus import last_words
from pellucid.store.ledger import standing
from pellucid.store.reservations import give_back, holders_now, reserve
from pellucid.store.votes import find_votes, said_so_far, samples_said, votes_of
from pellucid.types import KEEPER, Role, Row, Split, Status, Vote

NOTE = "review"  # of votes that are decisions on doubts
DOUBT = 0.9  # P(the label is right) below which it is doubtful
MOST = 2000  # doubts in a queue
JUDGED = 50_000  # labels that are judged for one; those that were said last come first
_WORTH = 4 * MOST  # doubts whose worth is computed, those trusted least
_WORDS = 8  # that a doubt repeats
_READ = 2_000  # of whose votes are read at a time
_SHARE = 3  # one page holds no more than one in so many doubts
_BLOCK = 256  # images at a time, between which the model may learn
_JUDGED_STATUS = (Status.OK, Status.CONFLICT, Status.SUSPECT)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label that a person should look at."""

    sample: str
    given: str  # the likeliest of the labels that were said
    suggested: str  # the likeliest of all others
    trust: float  # 0..1: P(the given label is right)
    effect: float  # 0 or more: how far the model is expected to move once the label is known; higher is more useful
    words: tuple[tuple[str, str], ...]  # who says what: voter and label, the newest last
    conflict: bool  # whether they contradict each other
    reviewers: frozenset[str]  # who have looked at it here, and contradict each other


@dataclass(frozen=True, slots=True)
class Queue:
    """What is to be looked at, the most useful first."""

    dataset: str
    state: tuple[object, ...]  # of model and votes when it was made
    upto: int  # the newest vote said directly that it knows of
    judged: int  # labels that were looked at for it
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A part of the queue that nobody else is shown."""

    doubts: tuple[Doubt, ...]
    left: int  # doubts that this voter could still look at, these included
    conflicts: int  # of them, labels that contradict each other
    elsewhere: int  # of them, doubts that another page is looking at
    aside: int  # doubts beside them that this voter did not want to see


def state_of(live: LiveModel) -> tuple[object, ...]:
    """What a queue follows from; where it has not changed, neither has the queue."""
    with live.workspace.database.read() as connection:
        return (*standing(connection, live.model), *said_so_far(connection, live.model.name))


def make_queue(live: LiveModel, *, most: int = MOST, rest: Callable[[], None] = lambda: None) -> Queue:
    """Judges all labels of training images, and all that were said since, by the model without the image and all votes.

    Doubtful is a label whose probability is below ``DOUBT``, and every conflict. They are ordered by what knowing the
    label is expected to change (`pellucid.heads.online.OnlineHead.expected_change`): a wrong label of a picture like
    many others comes before one of a picture like none, and what is certain either way comes not at all. With a head
    that cannot learn single rows the effect is 1 - trust. What a person has decided here is left out, unless two
    contradict each other; ground truth, test and trusted images are not asked about.

    Time n p^2 for n images and p features of the head, in blocks between which the model goes on learning.

    Args:
        most: doubts.
        rest: called between blocks.
    """
    dataset, state = live.model.name, state_of(live)
    with live.lock, live.workspace.database.read() as connection:
        live.refresh(connection)
    rows = live.rows
    with live.workspace.database.read() as connection:
        _, upto, _ = said_so_far(connection, dataset)
        said = samples_said(connection, dataset)
        candidates = _candidates(rows, said)
        heard = {}
        for start in range(0, len(candidates), _READ):
            votes = votes_of(connection, dataset, candidates[start : start + _READ])
            heard.update({name: words for name, found in votes.items() if (words := _words(found))})
            rest()
    names = list(heard)
    classes = live.classes
    others, there = left_out(live, names, classes, rest)
    names = [name for name, is_there in zip(names, there, strict=True) if is_there]
    heard, others = {name: heard[name] for name in names}, others[there]
    known, posterior = weigh_together(live, heard, classes, others, settled={})
    found = _doubts(rows, heard, known, posterior)
    found = sorted(found, key=lambda item: item[1].trust)[:_WORTH]
    shares = posterior[[place for place, _ in found]]
    effects = _effects(live, [item for _, item in found], known, shares, rest)
    made = [replace(item, effect=effect) for (_, item), effect in zip(found, effects.tolist(), strict=True)]
    made.sort(key=lambda item: (-item.effect, item.sample))
    return Queue(dataset, state, upto, len(names), tuple(made[:most]))


def renew_queue(live: LiveModel, old: Queue | None, rest: Callable[[], None] = lambda: None) -> Queue:
    """The queue as it is now: the old one, as long as neither model nor votes have changed."""
    return old if old is not None and old.state == state_of(live) else make_queue(live, rest=rest)


def glance(workspace: Workspace, queue: Queue, voter: str, *, skip: AbstractSet[str] = frozenset()) -> Taken:
    """The first doubt of the queue that a voter could look at, and how many there are; nothing is taken from anybody.

    Args:
        skip: samples that the voter does not want to see.
    """
    with workspace.database.read() as connection:
        open_, aside = _still_open(connection, queue, voter, skip)
        holders = holders_now(connection, queue.dataset)
    return _taken(list(open_)[:1], open_, aside, sum(name in holders for name in open_))


def take(
    workspace: Workspace,
    queue: Queue,
    voter: str,
    holder: str,
    most: int,
    lasts: timedelta,
    *,
    first: str | None = None,
    skip: AbstractSet[str] = frozenset(),
) -> Taken:
    """The first doubts of the queue that nobody else holds, for this holder alone until the time is over.

    A holder gets a third of them at most, and where there are few, one: the others are for whoever comes. Where all are
    held, one that another page of the same voter holds, as a tab that was forgotten or was lost with a server; said
    twice by one voter, the second word counts.

    What somebody has said something of since the queue was made has left it, and comes back if that is taken back.

    Args:
        voter: who looks; is not shown again what they have decided.
        holder: the page that they look at, beginning with the voter's name and a slash; one voter may have several.
        most: doubts.
        first: the sample on the screen, which is held before all others.
        skip: samples that the voter does not want to see.
    """
    with workspace.database.write() as connection:
        open_, aside = _still_open(connection, queue, voter, skip)
        order = sorted(open_, key=lambda name: name != first)
        most = min(most, max(1, len(order) // _SHARE))
        names = reserve(connection, queue.dataset, order, holder, most, lasts)
        holders = holders_now(connection, queue.dataset)
        mine = [name for name in order if holders.get(name, "").rpartition("/")[0] == voter]
        if not names and most and mine:
            give_back(connection, queue.dataset, holders[mine[-1]], mine[-1:])
            names = reserve(connection, queue.dataset, mine[-1:], holder, 1, lasts)
        elsewhere = sum(name in holders and holders[name] != holder and name not in names for name in open_)
    return _taken(names, open_, aside, elsewhere)


def reviewed_today(workspace: Workspace, dataset: str, voter: str) -> int:
    """How many labels a voter has decided here since midnight, UTC, that count still."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with workspace.database.read() as connection:
        votes = find_votes(connection, dataset, voter=voter, since=midnight).values()
    return sum(vote.role is Role.ANNOTATOR and vote.note == NOTE for vote in votes)


def _still_open(
    connection: sa.Connection, queue: Queue, voter: str, skip: AbstractSet[str]
) -> tuple[dict[str, Doubt], int]:
    """The doubts that a voter could look at, by sample, and how many there are besides that they do not want to see."""
    said = samples_said(connection, queue.dataset, queue.upto)
    doubts = [item for item in queue.doubts if item.sample not in said and voter not in item.reviewers]
    open_ = {item.sample: item for item in doubts if item.sample not in skip}
    return open_, len(doubts) - len(open_)


def _taken(names: Sequence[str], open_: Mapping[str, Doubt], aside: int, elsewhere: int) -> Taken:
    conflicts = sum(item.conflict for item in open_.values())
    return Taken(tuple(open_[name] for name in names), len(open_), conflicts, elsewhere, aside)


def _candidates(rows: Mapping[str, Row], said: Mapping[str, int]) -> list[str]:
    """Samples whose labels may be asked about, those said last first."""
    newest = sorted(said, key=lambda name: -said[name])
    fits = {name for name, row in rows.items() if row.split is Split.TRAIN and row.status in _JUDGED_STATUS}
    since = [name for name in newest if name in fits or name not in rows]
    return [*since, *(name for name in rows if name in fits and name not in said)][:JUDGED]


def _words(votes: Sequence[Vote]) -> list[Vote]:
    """The last words of people; none where one has spoken as ground truth."""
    words = last_words(vote for vote in votes if vote.voter != KEEPER)
    if any(vote.role is Role.GROUND_TRUTH for vote in words):
        return []
    return [vote for vote in words if vote.role in PRIORS]


def _effects(
    live: LiveModel,
    doubts: Sequence[Doubt],
    classes: Sequence[str],
    posterior: NDArray[np.float64],
    rest: Callable[[], None],
) -> NDArray[np.float64]:
    """What knowing each label is expected to change, (n,), by P(true class) (n, K)."""
    effects = np.array([1 - item.trust for item in doubts], np.float64)
    for start in range(0, len(doubts) if live.learns else 0, _BLOCK):
        rest()
        block = slice(start, start + _BLOCK)
        names = [item.sample for item in doubts[block]]
        with live.workspace.database.read() as connection:
            views = live.look_up(connection, names)
        with live.lock:
            columns = [live.classes[number] for number in live.online.classes]
            shares = np.zeros((len(names), len(columns)))
            for column, name in enumerate(columns):
                if name in classes:
                    shares[:, column] = posterior[block, classes.index(name)]
            numbers, weights, strengths = live.taught(names)
            effects[block] = live.online.expected_change(views.rows, numbers, weights, shares, strengths)
    return effects


def _doubts(
    rows: Mapping[str, Row],
    heard: Mapping[str, Sequence[Vote]],
    classes: Sequence[str],
    posterior: NDArray[np.float64],
) -> list[tuple[int, Doubt]]:
    """The doubtful ones, with their rows of the posterior, and no effect yet."""
    index = {name: number for number, name in enumerate(classes)}
    found = []
    for place, (name, words) in enumerate(heard.items()):
        shares = posterior[place]
        said = {vote.label: float(shares[index[vote.label]]) for vote in words}
        given, trust = max(said.items(), key=itemgetter(1))
        is_conflict = name in rows and rows[name].status is Status.CONFLICT
        decided = {vote.label for vote in words if vote.role is Role.ANNOTATOR and vote.import_id is None}
        if (trust >= DOUBT and not is_conflict) or len(decided) == 1:
            continue
        rest = shares.copy()
        rest[index[given]] = -1
        reviewers = frozenset(vote.voter for vote in words if vote.role is Role.ANNOTATOR and vote.import_id is None)
        votes = tuple((vote.voter, vote.label) for vote in words[-_WORDS:])
        suggested = classes[int(rest.argmax())]
        found.append((place, Doubt(name, given, suggested, trust, 0.0, votes, len(said) > 1, reviewers)))
    return found
