"""Spoken of: what a version is to make of images that users have labelled, before it is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pellucid.flow.data.said import UNSPOKEN, USERS, Settled, Spoken, any_truth, derive_label, is_users, standing
from pellucid.flow.online.belief import PRIORS, lead, left_out, weigh_together
from pellucid.flow.online.live import LiveModel, caught_up
from pellucid.flow.workspace import Workspace
from pellucid.heads.statistic import trust_of
from pellucid.labels.consensus import Consensus, derive, last_words
from pellucid.noise.copies import originals
from pellucid.store.votes import samples_said, votes_of
from pellucid.types import KEEPER, TRUST_SCALE, ModelVersion, Role, Status, Vote

LEAST = 0.0  # lead above which a label is believed; what leads by less is not trained on


def settle_spoken(workspace: Workspace, model: ModelVersion) -> Spoken:
    """What becomes of each sample that a user has labelled, unless the user only repeats what others say.

    Votes and voters are judged together, beside what the model says without the image and by what is known of trusted
    ones, and a label is believed as far as it leads, as the live model learns it (`pellucid.flow.online.belief`). A
    majority of voters would let one liar take every image out of training, and three of them decide what it is taken
    for: whoever has many names would win. And a retraining that took users at their word would learn what the live
    model has unlearnt. A label that does not lead is a conflict, for a person to settle, where somebody contradicts it,
    and suspect where nobody does.

    Where an annotator has looked at a contested image, the users are not heard: the annotators and the imports say what
    it is, or contradict each other. Labels that nobody contradicts are left to the audit where the model is no judge:
    of a class that came after its training, of a sample without its image, and where its head does not learn online and
    has the sample's own label by heart.

    Images that nobody but users has labelled and that are near-copies of each other get one mark.

    The model, with all that it has learnt since, is opened only where there is something to settle; its errors are
    those of `caught_up`.
    """
    with workspace.database.read() as connection:
        votes = votes_of(connection, model.name, sorted(samples_said(connection, model.name)))
    votes = {name: [vote for vote in every if vote.voter != KEEPER] for name, every in votes.items()}
    open_ = {name: words for name, every in votes.items() if (words := _open(every))}
    if not open_:
        return UNSPOKEN
    live = caught_up(workspace, model)
    heard = {name: every for name, every in votes.items() if any(vote.role in PRIORS for vote in every)}
    others, there = left_out(live, list(heard), live.classes)
    heard = {name: every for (name, every), is_there in zip(heard.items(), there, strict=True) if is_there}
    classes, posterior = weigh_together(live, heard, live.classes, others[there], settled=live.settled)
    shares = dict(zip(heard, posterior, strict=True))
    made = {name: _settled(live, words, classes, shares.get(name)) for name, words in open_.items()}
    settled = {name: Settled(label, standing(votes[name])) for name, label in made.items() if label is not None}
    by_users = [name for name, words in open_.items() if name in shares and all(map(is_users, words))]
    return Spoken(settled, _copies(live, by_users))


def _open(votes: list[Vote]) -> list[Vote]:
    """What stands of them; nothing where no user has said anything of his own, or somebody has said what is right."""
    words = [vote for vote in last_words(votes) if vote.role is not Role.MODEL]
    if any_truth(words) or not any(map(is_users, words)):
        return []
    return words if derive(words).reason or all(map(is_users, words)) else []


def _settled(
    live: LiveModel, words: list[Vote], classes: Sequence[str], shares: NDArray[np.float64] | None
) -> Consensus | None:
    """What is made of the words, by P(true class) of the sample, (K,); None where that is left to others."""
    against = derive(words).reason
    if shares is None or any(vote.role is Role.ANNOTATOR and vote.import_id is None for vote in words):
        return derive_label(words) if against else None
    likeliest = max(sorted({classes.index(vote.label) for vote in words}), key=shares.__getitem__)
    label, ahead = classes[likeliest], lead(shares, likeliest)
    if not against and not (live.learns and label in live.predictor.classes):
        return None
    reason = f"{USERS}{shares[likeliest]:.1%} likely right, by {ahead:.1%} ahead" + (f": {against}" if against else "")
    if ahead > LEAST:
        trust = float(trust_of(np.array(ahead), live.n_classes))  # what is learnt by it is the lead
        return Consensus(label, round(TRUST_SCALE * trust), Status.OK, reason)
    if against:
        return Consensus(None, 0, Status.CONFLICT, against)
    return Consensus(label, round(TRUST_SCALE * shares[likeliest]), Status.SUSPECT, reason)


def _copies(live: LiveModel, names: Sequence[str]) -> dict[str, str]:
    """The mark of each of the images, whose vectors are there, that is a near-copy of another one or has one."""
    with live.workspace.database.read() as connection:
        firsts = originals(live.vectors.of(connection, names), live.copy_cosine)
    several = np.bincount(firsts, minlength=len(names)) > 1
    return {name: names[first] for name, first in zip(names, firsts.tolist(), strict=True) if several[first]}
