"""Carry over: what was said while another model was champion is learnt by the one that is champion now."""

from __future__ import annotations

import logging
from typing import Any

from pellucid.flow.online.draft import drafting
from pellucid.flow.online.judging import differ, judge, keep_views, learn_guarded
from pellucid.flow.online.live import LiveModel
from pellucid.store.ledger import entries_after
from pellucid.store.receipts import answer_to, claim, settle
from pellucid.store.retractions import newest_retraction
from pellucid.store.votes import newest_vote, samples_retracted, samples_said

_LOG = logging.getLogger(__name__)
_SOURCE = "carry"  # of the receipts that say up to where a model's ledger follows votes and retractions


def carry_over(live: LiveModel) -> int:
    """Lets the model learn the votes that neither its training nor its ledger holds, and unlearn what was taken back.

    Under the ledger's lock, so that of all processes that serve the model the first does it and the others follow;
    a second time there is nothing left to do. Votes are believed as this model sees them; what would hurt the guard is
    not learnt. Votes on images that are gone are left to the next time, and `LiveModel.lost` tells which these are.
    Returns how many entries were added; 0 for a model whose head cannot learn online.

    Raises:
        StorageError, ConcurrencyError: nothing was changed.
    """
    if not live.learns:
        return 0
    model, dataset = live.model, live.model.name
    with drafting(live) as draft, live.workspace.database.write() as connection:
        draft.hold(connection)
        done = answer_to(connection, _SOURCE, model.ref) or {"vote": 0, "retraction": 0}
        upto: dict[str, Any] = {
            "vote": newest_vote(connection, dataset),
            "retraction": newest_retraction(connection, dataset),
        }
        lost = done.get("lost", [])  # the last time
        if not lost and upto == done:
            return 0
        heard: dict[str, int] = {}
        for entry in entries_after(connection, model, 0):
            heard[entry.sample] = max(heard.get(entry.sample, 0), entry.vote or 0)
        said = samples_said(connection, dataset, int(done["vote"]))
        behind = {name for name, newest in said.items() if newest > heard.get(name, 0)}
        behind |= set(samples_retracted(connection, dataset, int(done["retraction"])))
        reason = "said while another model was champion"
        judged = judge(live, connection, sorted(behind.union(lost)), action="carry", reason=reason)
        moved = differ(live, judged)
        keep_views(live, connection, moved)
        entries, _ = learn_guarded(draft, moved)
        draft.record(connection, entries)
        if judged.lost:
            upto["lost"] = list(judged.lost)
        if claim(connection, _SOURCE, model.ref, upto) is not None:
            settle(connection, _SOURCE, model.ref, upto)
    if judged.lost:
        _LOG.warning(
            "%s: %d images that people have labelled are gone or damaged, %s... among them; their votes are kept, "
            "and learnt once the images are back: restore their packs, or ingest the same images again",
            model.ref, len(judged.lost), judged.lost[0][:12],
        )  # fmt: skip
    return len(entries)
