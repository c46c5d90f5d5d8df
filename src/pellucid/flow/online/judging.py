"""Where samples are to stand in a live model, by the votes that count now; many at once, and guarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.flow.online.answerer import Views
from pellucid.flow.online.belief import believe_all
from pellucid.flow.online.draft import Draft
from pellucid.flow.online.live import LiveModel, unit
from pellucid.flow.online.place import NOWHERE
from pellucid.store.datasets import list_versions
from pellucid.store.ledger import Entry, entries_after
from pellucid.store.live_vectors import keep_vectors
from pellucid.store.votes import samples_retracted, samples_said, standing_votes, votes_of
from pellucid.types import Split, Status

_BLOCK = 1024  # samples that are compared with all others at a time


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Where samples are to stand, each named once."""

    entries: tuple[Entry, ...]
    views: Views  # of them, in that order
    lost: tuple[str, ...] = ()  # samples that nobody can judge, because their images are gone

    def only(self, chosen: NDArray[np.bool_]) -> Judged:
        """Those that are chosen, (n,)."""
        kept = tuple(entry for entry, is_in in zip(self.entries, chosen, strict=True) if is_in)
        return Judged(kept, self.views.only(chosen), self.lost)


def judge(
    live: LiveModel,
    connection: sa.Connection,
    names: Sequence[str],
    *,
    action: str,
    reason: str,
    together: bool = False,
) -> Judged:
    """Where the samples are to stand by the votes that count now.

    A sample of which nothing counts but what the model was trained on stands as it was trained. One that is tested on
    or trusted is not learnt. Every other stands as its votes are believed, and near-copies share the weight of one.
    One whose image is gone is left out and stays where it is; its votes are judged once the image is back.

    Args:
        together: judges all voters anew by what they said of just these samples; trusted ones tell most.
    """
    dataset, upto = live.model.name, _votes_upto(live, connection)
    held = (upto, live.version.created_at)
    open_ = samples_said(connection, dataset, upto).keys() | set(samples_retracted(connection, dataset, held=held))
    refused = refused_samples(live, connection)
    wanted = names
    names, views = live.look_up_intact(connection, wanted)
    votes = votes_of(connection, dataset, names)
    rows = [live.rows.get(name) for name in names]
    settled = {
        row.sample: row.label
        for row in rows
        if row is not None and row.split is Split.TRUSTED and row.status is Status.OK and row.label is not None
    }
    said = {name: votes.get(name, []) for name in names}
    beliefs = believe_all(live, connection, said, views, together=together, settled=settled) if said else {}
    entries, is_shared = [], []
    for name in names:
        belief = beliefs[name]
        believed = live.may_learn(name) and name in open_ and name not in refused
        if believed:
            label, weight = (belief.label, 1.0) if belief.strength > 0 else (None, 0.0)
            entry = Entry(name, label, weight, action, reason, strength=belief.strength)
        else:
            place = live.trained(name) if live.may_learn(name) else NOWHERE
            label = live.classes[place.number] if place.weight > 0 else None
            entry = Entry(name, label, place.weight, action, reason, strength=place.strength)
        entries.append(entry)
        is_shared.append(believed and entry.weight > 0)
    lost = tuple(name for name in wanted if name in live.lost)
    return Judged(tuple(_share(live, entries, views, np.array(is_shared, np.bool_))), views, lost)


def keep_views(live: LiveModel, connection: sa.Connection, judged: Judged) -> None:
    """Keeps the vectors that the entries rest on: whoever follows the ledger then needs no image."""
    database, fingerprint = live.workspace.database, live.model.fingerprint
    keep_vectors(
        database,
        connection,
        fingerprint,
        {entry.sample: x for entry, x in zip(judged.entries, judged.views.X, strict=True)},
    )


def differ(live: LiveModel, judged: Judged, least: float = 1e-6) -> Judged:
    """Those that would stand under another label, or of which what is learnt differs by more than ``least``."""
    moved = []
    for entry in judged.entries:
        place = live.stands(entry.sample)
        label = live.classes[place.number] if place.weight > 0 else None
        far = max(abs(place.weight - entry.weight), abs(place.credit - entry.credit))
        moved.append(label != entry.label or far > least)
    return judged.only(np.array(moved, np.bool_))


def refused_samples(live: LiveModel, connection: sa.Connection) -> set[str]:
    """Samples whose last step the guard has undone, for a vote that still counts."""
    last = {entry.sample: entry for entry in entries_after(connection, live.model, 0)}
    undone = {entry.vote: name for name, entry in last.items() if entry.action == "guard" and entry.vote is not None}
    return {undone[number] for number in standing_votes(connection, list(undone))}


def learn_guarded(draft: Draft, judged: Judged) -> tuple[list[Entry], int]:
    """Puts the samples where they are to stand, without those that hurt the guard, which are found by halves.

    Returns:
        The entries for the ledger, and how many of them the guard has undone.
    """
    if not judged.entries:
        return [], 0
    live, steps = draft.live, draft.steps
    before = live.guarded()
    draft.learn(judged.entries, judged.views)
    hurt = live.hurt(before)
    if not hurt:
        return list(judged.entries), 0
    draft.undo(steps)
    if len(judged.entries) == 1:
        (entry,) = judged.entries
        place = live.stands(entry.sample)
        label = live.classes[place.number] if place.weight > 0 else None
        back = replace(entry, label=label, weight=place.weight, strength=place.strength)
        return [replace(back, action="guard", reason=hurt)], 1
    first = np.arange(len(judged.entries)) < len(judged.entries) // 2
    entries, undone = learn_guarded(draft, judged.only(first))
    more, others = learn_guarded(draft, judged.only(~first))
    return entries + more, undone + others


def _votes_upto(live: LiveModel, connection: sa.Connection) -> int:
    """The newest vote said directly that the labels of the model's training follow."""
    versions = list_versions(connection, live.version.dataset)
    counted = [item.recipe.get("votes_upto", 0) for item in versions if item.number <= live.version.number]
    return max(map(int, counted))


def _share(live: LiveModel, entries: Sequence[Entry], views: Views, shared: NDArray[np.bool_]) -> list[Entry]:
    """Near-copies get the weight of one image together, in even parts; what others of them have is theirs."""
    found = list(entries)
    places = np.flatnonzero(shared).tolist()
    if not places:
        return found
    X = unit(views.X[places])
    names = [entries[place].sample for place in places]
    for start in range(0, len(X), _BLOCK):
        block = slice(start, start + _BLOCK)
        copies = (X[block] @ X.T > live.copy_cosine).sum(axis=1)
        taken = live.weights_of_copies(names, X[block])
        for place, count, weight in zip(places[block], copies, taken, strict=True):
            entry = entries[place]
            room = max(0.0, 1 - float(weight))
            share = round(min(entry.weight, room) / max(1, int(count)), 6)
            found[place] = replace(entry, weight=share, label=entry.label if share > 0 else None)
    return found
