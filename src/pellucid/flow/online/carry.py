"""Carry over: what was said while another model was champion is learnt by the one that is champion now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from pellucid.flow.online.ahead import judge_ahead
from pellucid.flow.online.draft import Draft, drafting
from pellucid.flow.online.judging import Judged, differ, judge, keep_views, learn_guarded
from pellucid.flow.online.live import LiveModel
from pellucid.store.ledger import Entry, entries_after
from pellucid.store.receipts import answer_to, claim, settle
from pellucid.store.retractions import newest_retraction
from pellucid.store.votes import newest_vote, samples_retracted, samples_said

_LOG = logging.getLogger(__name__)
_REASON = "said while another model was champion"
_SOURCE = "carry"  # of the receipts that say up to where a model's ledger follows votes and retractions


def carry_over(live: LiveModel) -> int:
    """Lets the model learn the votes that neither its training nor its ledger holds, and unlearn what was taken back.

    Of all processes that serve the model the first does it and the others follow; a second time there is nothing left
    to do. Votes are believed as this model sees them; what would hurt the guard is not learnt. Votes on images that are
    gone are left to the next time, and `LiveModel.lost` tells which these are. Returns how many entries were added; 0
    for a model whose head cannot learn online.

    Judging takes the longer the more was said. It is done before the transaction that holds up everybody else, in which
    only those samples are judged again of which somebody spoke meanwhile.

    Raises:
        StorageError, ConcurrencyError: nothing was changed.
    """
    if not live.learns:
        return 0
    model, dataset, database = live.model, live.model.name, live.workspace.database
    with live.lock:
        with database.read() as connection:
            behind = _behind(live, connection, _done(live, connection))
        names, X = live.vectors.gather(behind)
        with database.read() as connection:
            live.follow(connection)
            live.refresh(connection)
            ahead = judge_ahead(live, connection, behind, (names, X), action="carry", reason=_REASON)
        with drafting(live) as draft, database.write() as connection:
            draft.hold(connection)
            done = _done(live, connection)
            upto: dict[str, Any] = {
                "vote": newest_vote(connection, dataset),
                "retraction": newest_retraction(connection, dataset),
            }
            if not done.get("lost") and upto == done:
                return 0
            behind = _behind(live, connection, done)
            still, late = ahead.split(live, connection, behind)
            entries = _learn(draft, connection, still)
            if late:
                vectors = live.vectors.intact(connection, late)
                entries += _learn(draft, connection, judge(live, connection, *vectors, action="carry", reason=_REASON))
            lost = sorted(live.lost.intersection(behind))
            if lost:
                upto["lost"] = lost
            if claim(connection, _SOURCE, model.ref, upto) is not None:
                settle(connection, _SOURCE, model.ref, upto)
    if lost:
        _LOG.warning(
            "%s: %d images that people have labelled are gone or damaged, %s... among them; their votes are kept, "
            "and learnt once the images are back: restore their packs, or ingest the same images again",
            model.ref, len(lost), lost[0][:12],
        )  # fmt: skip
    return len(entries)


def _done(live: LiveModel, connection: sa.Connection) -> Mapping[str, Any]:
    """Up to which vote and retraction the ledger follows, and the samples that were lost then."""
    return answer_to(connection, _SOURCE, live.model.ref) or {"vote": 0, "retraction": 0}


def _behind(live: LiveModel, connection: sa.Connection, done: Mapping[str, Any]) -> list[str]:
    """The samples of which the ledger does not follow what was said or taken back."""
    dataset = live.model.name
    heard: dict[str, int] = {}
    for entry in entries_after(connection, live.model, 0):
        heard[entry.sample] = max(heard.get(entry.sample, 0), entry.vote or 0)
    said = samples_said(connection, dataset, int(done["vote"]))
    behind = {name for name, newest in said.items() if newest > heard.get(name, 0)}
    behind.update(samples_retracted(connection, dataset, int(done["retraction"])), done.get("lost", []))
    return sorted(behind)


def _learn(draft: Draft, connection: sa.Connection, judged: Judged) -> list[Entry]:
    """The samples stand where they were judged to; returns what the ledger is told of them."""
    moved = differ(draft.live, judged)
    keep_views(draft.live, connection, moved)
    entries, _ = learn_guarded(draft, moved.entries, draft.live.view(moved.X))
    draft.record(connection, entries)
    return entries
