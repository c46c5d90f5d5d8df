"""Contested: what is believed of a training image whose labels contradict each other by the word of a user."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.flow.online.belief import PRIORS, left_out, weigh_together
from pellucid.flow.online.live import LiveModel
from pellucid.labels.consensus import Consensus, derive, last_words
from pellucid.store.votes import samples_said, votes_of
from pellucid.types import KEEPER, TRUST_SCALE, Role, Split, Status, Vote

LIKELY = 0.5  # P(the label is right) from which on it is settled; what is less likely is for a person to settle
_READ = 2_000  # samples of whose votes are read at a time


def settle_contested(live: LiveModel) -> dict[str, Consensus]:
    """The label of each contested sample, with its probability as trust; what stays too doubtful is not in it.

    Contested is what at least one user and somebody else have labelled differently. A majority of voters would let one
    liar take every image out of training, and three of them decide what it is taken for: whoever has many names would
    win. So votes and voters are judged together, beside what the model says without the image and by what is known of
    trusted ones, as the live model learns them (`pellucid.noise.reliability.hear_all`). Where an annotator has looked
    at the image, the users are not heard: the annotators and the imports say what it is, or contradict each other.
    """
    dataset = live.model.name
    with live.workspace.database.read() as connection:
        live.refresh(connection)
        said = sorted(samples_said(connection, dataset))
        votes: dict[str, list[Vote]] = {}
        for start in range(0, len(said), _READ):
            votes |= votes_of(connection, dataset, said[start : start + _READ])
    contested = {name: words for name in said if (words := _contested(votes.get(name, ()))) is not None}
    if not contested:
        return {}
    heard = {name: every for name, every in votes.items() if any(vote.role in PRIORS for vote in every)}
    others, there = left_out(live, list(heard), live.classes)
    heard = {name: every for (name, every), is_there in zip(heard.items(), there, strict=True) if is_there}
    known = {
        name: str(row.label)
        for name, row in live.rows.items()
        if row.split is Split.TRUSTED and row.status is Status.OK and row.label is not None
    }
    classes, posterior = weigh_together(live, heard, live.classes, others[there], settled=known)
    shares = dict(zip(heard, posterior, strict=True))
    found = {}
    for name, words in contested.items():
        asked = [vote for vote in words if vote.role is not Role.USER]
        if any(vote.import_id is None for vote in asked):
            found[name] = derive(asked)
        elif name in shares:
            believed = {vote.label: float(shares[name][classes.index(vote.label)]) for vote in words}
            label = max(sorted(believed), key=believed.__getitem__)
            if believed[label] >= LIKELY:
                trust = round(TRUST_SCALE * believed[label])
                found[name] = Consensus(label, trust, Status.OK, derive(words).reason)
    return found


def _contested(votes: Sequence[Vote]) -> list[Vote] | None:
    """What stands of them; None where nobody contradicts a user, or somebody has said what is right."""
    words = [vote for vote in last_words(votes) if vote.voter != KEEPER and vote.role is not Role.MODEL]
    if any(vote.role is Role.GROUND_TRUTH for vote in words) or not any(vote.role is Role.USER for vote in words):
        return None
    return words if derive(words).reason else None
