"""Where samples are to stand in a live model, by the votes that count now; many at once, and guarded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.flow.online.answerer import Views
from pellucid.flow.online.belief import Rate, believe_all, on_record
from pellucid.flow.online.draft import Draft
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.place import NOWHERE
from pellucid.noise.copies import unit
from pellucid.store.datasets import list_versions
from pellucid.store.ledger import Entry, entries_after
from pellucid.store.live_vectors import keep_vectors
from pellucid.store.votes import samples_retracted, samples_said, standing_votes, votes_of
from pellucid.types import Vote

_BLOCK = 1024  # samples that are compared with all others at a time


@dataclass(frozen=True, slots=True, eq=False)
class Grounds:
    """What samples are to be judged by."""

    votes: Mapping[str, Sequence[Vote]]  # that count, oldest first, by sample
    X: NDArray[np.float32]  # (n, d) vectors of the samples, in that order
    open: frozenset[str]  # samples of which votes tell more, or less, than the training did
    undone: frozenset[str]  # samples of which the guard has undone the last step
    refused: frozenset[str]  # those of them that were moved for a vote that still counts


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Where samples are to stand, each named once."""

    entries: tuple[Entry, ...]
    X: NDArray[np.float32]  # (n, d) their vectors

    def only(self, chosen: NDArray[np.bool_]) -> Judged:
        """Those that are chosen, (n,)."""
        kept = tuple(entry for entry, is_in in zip(self.entries, chosen, strict=True) if is_in)
        return replace(self, entries=kept, X=self.X[chosen])

    def with_others(self, others: Judged) -> Judged:
        """Both together."""
        return Judged(self.entries + others.entries, np.concatenate([self.X, others.X]))


def judge(
    live: LiveModel,
    connection: sa.Connection,
    names: Sequence[str],
    X: NDArray[np.float32],
    *,
    action: str,
    reason: str,
) -> Judged:
    """Where samples of these vectors, (n, d), are to stand by the votes that count now, and by who said them.

    One whose image is gone has none, and stays where it is; its votes are judged once the image is back.
    """
    grounds = find_grounds(live, connection, names, X)
    return weigh(live, grounds, action=action, reason=reason, rate=on_record(live, connection))


def find_grounds(live: LiveModel, connection: sa.Connection, names: Sequence[str], X: NDArray[np.float32]) -> Grounds:
    """What there is to judge samples of these vectors, (n, d), by."""
    dataset, upto = live.model.name, votes_upto(live, connection)
    held = (upto, live.version.created_at)
    open_ = samples_said(connection, dataset, upto).keys() | set(samples_retracted(connection, dataset, held=held))
    undone, refused = _undone_samples(live, connection)
    votes = votes_of(connection, dataset, names)
    return Grounds({name: votes.get(name, []) for name in names}, X, frozenset(open_), undone, refused)


def weigh(
    live: LiveModel,
    grounds: Grounds,
    *,
    action: str,
    reason: str,
    rate: Rate | None = None,
    rest: Callable[[], None] = lambda: None,
) -> Judged:
    """Where samples are to stand.

    A sample of which nothing counts but what the model was trained on stands as it was trained. One that is tested on
    or trusted is not learnt. Every other stands as its votes are believed, and near-copies share the weight of one.

    Args:
        rate: how often a voter is right, 0..1; without it all voters are judged anew by what they said of just these
            samples, and trusted ones tell most.
        rest: called between pieces of the work.
    """
    views = live.in_blocks(grounds.X, rest)
    beliefs = believe_all(live, grounds.votes, views, rate=rate, settled=live.settled) if grounds.votes else {}
    entries, is_shared = [], []
    for name, belief in beliefs.items():
        believed = live.may_learn(name) and name in grounds.open and name not in grounds.refused
        if believed:
            label = belief.label if belief.weight > 0 else None
            entry = Entry(name, label, belief.weight, action, reason, strength=belief.strength)
        else:
            place = live.trained(name) if live.may_learn(name) else NOWHERE
            entry = Entry(name, live.label_at(place), place.weight, action, reason, strength=place.strength)
        entries.append(entry)
        is_shared.append(believed and entry.weight > 0)
    rest()
    shared = tuple(_share(live, entries, grounds.X, np.array(is_shared, np.bool_)))
    return Judged(shared, grounds.X)


def keep_views(live: LiveModel, connection: sa.Connection, judged: Judged) -> None:
    """Keeps the vectors that the entries rest on: whoever follows the ledger then needs no image."""
    database, fingerprint = live.workspace.database, live.model.fingerprint
    keep_vectors(
        database,
        connection,
        fingerprint,
        {entry.sample: x for entry, x in zip(judged.entries, judged.X, strict=True)},
    )


def differ(live: LiveModel, judged: Judged, least: float = 1e-6) -> Judged:
    """Those that would stand under another label, or of which what is learnt differs by more than ``least``."""
    moved = []
    for entry in judged.entries:
        place = live.stands(entry.sample)
        far = max(abs(place.weight - entry.weight), abs(place.credit - entry.credit))
        moved.append(live.label_at(place) != entry.label or far > least)
    return judged.only(np.array(moved, np.bool_))


def learn_guarded(draft: Draft, found: Sequence[Entry], views: Views) -> tuple[list[Entry], int]:
    """Puts samples where the entries say, without those that hurt the guard, which are found by halves.

    Args:
        views: of their samples, in that order.

    Returns:
        The entries for the ledger, and how many of them the guard has undone.
    """
    if not found:
        return [], 0
    live, steps = draft.live, draft.steps
    before = live.guarded()
    draft.learn(found, views)
    hurt = live.hurt(before)
    if not hurt:
        return list(found), 0
    draft.undo(steps)
    if len(found) == 1:
        (entry,) = found
        place = live.stands(entry.sample)
        back = replace(entry, label=live.label_at(place), weight=place.weight, strength=place.strength)
        return [replace(back, action="guard", reason=hurt)], 1
    half = len(found) // 2
    first = np.arange(len(found)) < half
    entries, undone = learn_guarded(draft, found[:half], views.only(first))
    more, others = learn_guarded(draft, found[half:], views.only(~first))
    return entries + more, undone + others


def _undone_samples(live: LiveModel, connection: sa.Connection) -> tuple[frozenset[str], frozenset[str]]:
    """Samples of which the guard has undone the last step, and those of them where a vote that counts was its cause."""
    last = {entry.sample: entry for entry in entries_after(connection, live.model, 0)}
    undone = {name: entry.vote for name, entry in last.items() if entry.action == "guard"}
    named = {vote: name for name, vote in undone.items() if vote is not None}
    return frozenset(undone), frozenset(named[vote] for vote in standing_votes(connection, list(named)))


def votes_upto(live: LiveModel, connection: sa.Connection) -> int:
    """The newest vote said directly that the labels of the model's training follow."""
    versions = list_versions(connection, live.version.dataset)
    counted = [item.recipe.get("votes_upto", 0) for item in versions if item.number <= live.version.number]
    return max(map(int, counted))


def _share(
    live: LiveModel, entries: Sequence[Entry], vectors: NDArray[np.float32], shared: NDArray[np.bool_]
) -> list[Entry]:
    """Near-copies get the weight of one image together, each by its credit; what others of them have is theirs."""
    found, names = list(entries), [entry.sample for entry in entries]
    places = np.flatnonzero(shared).tolist()
    if not places:
        return found
    X, credits = unit(vectors[places]), np.array([entries[place].credit for place in places])
    for start in range(0, len(X), _BLOCK):
        block = slice(start, start + _BLOCK)
        alike = X[block] @ X.T > live.copy_cosine
        alike[np.arange(len(alike)), start + np.arange(len(alike))] = True  # also of zeros
        room = np.maximum(0, 1 - live.credit_of_copies(names, X[block]))
        shares = room * credits[block] / (alike @ credits)
        for place, share in zip(places[block], shares.tolist(), strict=True):
            entry = entries[place]
            weight = round(min(entry.weight, share), 6)
            found[place] = replace(entry, weight=weight, label=entry.label if weight > 0 else None)
    return found
