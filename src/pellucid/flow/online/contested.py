"""Contested: what is believed of an image where a user contradicts somebody."""

from __future__ import annotations

from pellucid.flow.data.said import Settled, derive_label, is_users, standing
from pellucid.flow.online.belief import PRIORS, left_out, weigh_together
from pellucid.flow.online.live import caught_up
from pellucid.flow.workspace import Workspace
from pellucid.labels.consensus import Consensus, derive, last_words
from pellucid.store.votes import samples_said, votes_of
from pellucid.types import KEEPER, TRUST_SCALE, ModelVersion, Role, Status, Vote

LIKELY = 0.5  # P(the label is right) from which on it is settled; what is less likely is for a person to settle


def settle_contested(workspace: Workspace, model: ModelVersion) -> dict[str, Settled]:
    """What becomes of each contested sample: its label with its probability as trust, or a conflict.

    Contested is what at least one user and somebody else have labelled differently. A majority of voters would let one
    liar take every image out of training, and three of them decide what it is taken for: whoever has many names would
    win. So votes and voters are judged together, beside what the model says without the image and by what is known of
    trusted ones, as the live model learns them (`pellucid.noise.reliability.hear_all`). What then stays too doubtful is
    a conflict, for a person to settle. Where an annotator has looked at the image, the users are not heard: the
    annotators and the imports say what it is, or contradict each other. Without its image a sample is not settled.

    The model, with all that it has learnt since, is opened only where something is contested; its errors are those of
    `caught_up`.
    """
    with workspace.database.read() as connection:
        votes = votes_of(connection, model.name, sorted(samples_said(connection, model.name)))
    votes = {name: [vote for vote in every if vote.voter != KEEPER] for name, every in votes.items()}
    contested = {name: words for name, every in votes.items() if (words := _contested(every))}
    if not contested:
        return {}
    live = caught_up(workspace, model)
    heard = {name: every for name, every in votes.items() if any(vote.role in PRIORS for vote in every)}
    others, there = left_out(live, list(heard), live.classes)
    heard = {name: every for (name, every), is_there in zip(heard.items(), there, strict=True) if is_there}
    classes, posterior = weigh_together(live, heard, live.classes, others[there], settled=live.settled)
    shares = dict(zip(heard, posterior, strict=True))
    found = {}
    for name, words in contested.items():
        looked = any(vote.role is Role.ANNOTATOR and vote.import_id is None for vote in words)
        if looked or name not in shares:
            label = derive_label(words)
        else:
            believed = {vote.label: float(shares[name][classes.index(vote.label)]) for vote in words}
            likeliest = max(sorted(believed), key=believed.__getitem__)
            trust, reason = believed[likeliest], derive(words).reason
            if trust >= LIKELY:
                label = Consensus(likeliest, round(TRUST_SCALE * trust), Status.OK, reason)
            else:
                label = Consensus(None, 0, Status.CONFLICT, reason)
        found[name] = Settled(label, standing(votes[name]))
    return found


def _contested(votes: list[Vote]) -> list[Vote]:
    """What stands of them; nothing where nobody contradicts a user, or somebody has said what is right."""
    words = [vote for vote in last_words(votes) if vote.role is not Role.MODEL]
    if any(vote.role is Role.GROUND_TRUTH for vote in words) or not any(map(is_users, words)):
        return []
    return words if derive(words).reason else []
