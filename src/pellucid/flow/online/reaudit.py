"""Re-audit: every vote that stands in the live model is judged anew; what turns out wrong is unlearnt exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid.flow.online.draft import drafting
from pellucid.flow.online.judging import differ, find_grounds, keep_views, learn_guarded, weigh
from pellucid.flow.online.live import LiveModel
from pellucid.store.votes import samples_said, votes_of
from pellucid.types import Split

MOVED = 0.1  # of a sample's weight or credit: what changes less is left alone, so that a cycle comes to rest


@dataclass(frozen=True, slots=True)
class Reaudit:
    """What judging the votes anew has changed."""

    model: str  # "NAME@VERSION"
    judged: int  # samples with votes that were said directly, without the lost ones
    unlearnt: int  # samples that are learnt no longer
    relabelled: int  # learnt under another label now
    reweighed: int  # learnt with another weight or strength
    added: int  # learnt now, and not before
    undone: int  # changes that the guard has undone
    lost: int  # samples that nobody could judge, because their images are gone
    ledger: int  # the newest entry that the model then held


def reaudit(live: LiveModel, rest: Callable[[], None] = lambda: None) -> Reaudit:
    """Judges all votes that were said directly, and all who said them, together, and lets the live model follow.

    Voters are judged by what the model, without the sample, and all others say of their words now, not when they were
    said; votes on trusted images are checked against what is known of these. Near-copies share the weight of one image
    by what each is to teach. A sample moves where its label changes, or its weight or credit by more than ``MOVED``;
    moves that hurt the guard are undone. A model whose head cannot learn online is left alone.

    Judging takes the longer the more was ever said, and is done beside the live model, which answers and learns
    meanwhile, and without a lock on the database. What was judged by other votes than count by then waits for the next
    time. The rest moves in one transaction, with the model as before if it fails.

    Args:
        rest: called between pieces of the judging; where it raises, nothing is changed.

    Raises:
        StorageError, ConcurrencyError: nothing was changed.
    """
    if not live.learns:
        return Reaudit(live.model.ref, 0, 0, 0, 0, 0, 0, 0, live.ledger)
    database, dataset = live.workspace.database, live.model.name
    with database.read() as connection:
        said = sorted(samples_said(connection, dataset))
    names, X = live.vectors.gather(said, rest)
    with database.read() as connection:
        with live.lock:
            live.follow(connection)
            live.refresh(connection)
            beside = live.fork()
        grounds = find_grounds(beside, connection, names, X)
    judged = weigh(beside, grounds, action="audit", reason="votes judged anew", rest=rest)
    tried = [entry.sample not in grounds.refused for entry in judged.entries]
    moved = differ(beside, judged.only(np.array(tried, np.bool_)), MOVED)
    with drafting(live) as draft, database.write() as connection:
        draft.hold(connection)
        now = votes_of(connection, dataset, [entry.sample for entry in moved.entries])
        still = [
            grounds.votes[item.sample] == now.get(item.sample, []) and _follows(live, item.sample)
            for item in moved.entries
        ]
        moved = differ(live, moved.only(np.array(still, np.bool_)), MOVED)
        keep_views(live, connection, moved)
        places = {entry.sample: live.stands(entry.sample) for entry in moved.entries}
        entries, undone = learn_guarded(draft, moved.entries, live.view(moved.X))
        known = grounds.undone  # of them the ledger says so already, however often they are tried
        draft.record(connection, [item for item in entries if item.action != "guard" or item.sample not in known])
    counts = {"unlearnt": 0, "relabelled": 0, "reweighed": 0, "added": 0}
    for entry in entries:
        place = places[entry.sample]
        if entry.action == "guard":
            continue
        if entry.weight == 0:
            counts["unlearnt"] += 1
        elif place.weight == 0:
            counts["added"] += 1
        else:
            counts["reweighed" if live.label_at(place) == entry.label else "relabelled"] += 1
    n_lost = len(said) - len(names)
    return Reaudit(live.model.ref, len(names), undone=undone, lost=n_lost, ledger=draft.ledger, **counts)


def _follows(live: LiveModel, sample: str) -> bool:
    """Whether the sample may move: trusted ones are only looked at, and what has since become one is unlearnt."""
    row = live.rows.get(sample)
    return row is None or row.split is Split.TRAIN or live.stands(sample).weight > 0
