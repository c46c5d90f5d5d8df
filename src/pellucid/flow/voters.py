"""Voters: who has said how much of a dataset, how far each is right, and what the champion has made of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from pellucid.errors import NotFoundError
from pellucid.evaluate.evaluation import Estimate
from pellucid.flow.belief import PRIORS, RECORD
from pellucid.flow.conduct import Conduct, conduct_of, usual_shares
from pellucid.flow.workspace import Workspace
from pellucid.labels.consensus import HEARD, last_words
from pellucid.noise.reliability import interval_of, reliability
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.datasets import get_version
from pellucid.store.ledger import entries_after
from pellucid.store.manifests import read_manifest
from pellucid.store.models import get_model
from pellucid.store.votes import find_votes, retracted_counts, supports_of
from pellucid.types import KEEPER, TRUST_SCALE, Role, Row, Split, Status, Vote


@dataclass(frozen=True, slots=True)
class Voter:
    """One who has said what images show."""

    name: str
    roles: tuple[str, ...]  # in which they spoke
    votes: int  # that count
    retracted: int  # that were taken back
    images: int  # that they have a word on
    reliability: Estimate | None  # 0..1 with the 95 % interval of its posterior; None for ground truth and models
    weight: float | None  # 0..1: the mean with which their words stand in the champion; None without either
    agreement: float | None  # 0..1: the share of their words that most others on the image say too; None without others
    compared: int  # how many words those are that others spoke on too
    conduct: Conduct  # what stands out, and whether they are suspected of anything


def list_voters(workspace: Workspace, dataset: str) -> list[Voter]:
    """All who have said something of the dataset, those with most votes first.

    Reliability is what the live model goes by: of everything a voter said directly, how far the model and all others
    gave it when it was said. Weight is what came of it: a word that the champion has not learnt, or only under another
    label, weighs 0; words on test and trusted images, which no model learns from, are left out.

    Raises:
        NotFoundError: there is no such dataset.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, dataset)
        if version.dataset != dataset:
            raise NotFoundError(
                f"{dataset!r} names a version; votes belong to the whole dataset: name {version.dataset}"
            )
        votes = [vote for vote in find_votes(connection, dataset).values() if vote.voter != KEEPER]
        retracted = retracted_counts(connection, dataset)
        learnt = _learnt(workspace, connection, dataset)
        by_sample: dict[str, list[Vote]] = defaultdict(list)
        for vote in votes:
            by_sample[vote.sample].append(vote)
        words = [vote for said in by_sample.values() for vote in last_words(said)]
        majority = _agreements(words)
        K = max(2, len({*version.classes, *(vote.label for vote in votes)}))
        said, mine = defaultdict(list), defaultdict(list)
        for vote in words:
            mine[vote.voter].append(vote)
        for vote in votes:
            said[vote.voter].append(vote)
        rows = {row.sample: row for row in read_manifest(workspace.blobs, version.content_id)}
        usual = usual_shares(votes)
        found = []
        for name in {*said, *retracted}:
            roles = {vote.role for vote in said[name]}
            reliability = _reliability(connection, dataset, name, roles, K)
            found.append(
                Voter(
                    name=name,
                    roles=tuple(sorted(roles)),
                    votes=len(said[name]),
                    retracted=retracted.get(name, 0),
                    images=len({vote.sample for vote in mine[name]}),
                    reliability=reliability,
                    weight=None if learnt is None else _mean_weight(mine[name], rows, learnt),
                    agreement=_share(majority.get(name, [])),
                    compared=len(majority.get(name, [])),
                    conduct=conduct_of(
                        said[name],
                        mine[name],
                        rows=rows,
                        made_at=version.created_at,
                        usual=usual,
                        reliability=reliability,
                    ),
                )
            )
    return sorted(found, key=lambda voter: (-voter.votes, voter.name))


def _reliability(
    connection: sa.Connection, dataset: str, voter: str, roles: set[Role], n_classes: int
) -> Estimate | None:
    heard = [role for role in HEARD if role in roles]
    if not heard:
        return None
    prior = PRIORS[heard[-1]]  # who also speaks as a user is taken for one
    supports = supports_of(connection, dataset, voter, RECORD)
    rate = reliability(supports, n_classes, prior)
    return Estimate(rate, *interval_of(rate, len(supports), prior))


def _learnt(workspace: Workspace, connection: sa.Connection, dataset: str) -> Mapping[str, tuple[str, float]] | None:
    """The label and weight of each sample that the champion has learnt; None where there is no champion."""
    crowned = alias_state(connection, dataset, CHAMPION).version
    if crowned is None:
        return None
    model = get_model(connection, f"{dataset}@{crowned}")
    rows = read_manifest(workspace.blobs, get_version(connection, model.dataset).content_id)
    found = {
        row.sample: (row.label, row.trust / TRUST_SCALE)
        for row in rows
        if row.split is Split.TRAIN and row.status is Status.OK and row.trust and row.label is not None
    }
    for entry in entries_after(connection, model, 0):
        if entry.label is not None and entry.weight > 0:
            found[entry.sample] = entry.label, entry.weight
        else:
            found.pop(entry.sample, None)
    return found


def _mean_weight(
    words: Sequence[Vote], rows: Mapping[str, Row], learnt: Mapping[str, tuple[str, float]]
) -> float | None:
    weights = []
    for vote in words:
        row = rows.get(vote.sample)
        if row is None or row.split is Split.TRAIN:
            label, weight = learnt.get(vote.sample, ("", 0.0))
            weights.append(weight if label == vote.label else 0.0)
    return sum(weights) / len(weights) if weights else None


def _agreements(words: Sequence[Vote]) -> dict[str, list[bool]]:
    """For each voter, whether most others on an image say the same; nothing where others tie or nobody else spoke."""
    said: dict[str, Counter[str]] = defaultdict(Counter)
    own: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)  # an import may say several labels of one image
    for vote in words:
        if vote.role is not Role.MODEL:
            said[vote.sample][vote.label] += 1
            own[vote.sample, vote.voter][vote.label] += 1
    found: dict[str, list[bool]] = defaultdict(list)
    for vote in words:
        if vote.role is not Role.MODEL:
            mine = own[vote.sample, vote.voter]
            others = {label: count - mine[label] for label, count in said[vote.sample].items()}
            most = max(others.values())
            if most and sum(count == most for count in others.values()) == 1:
                found[vote.voter].append(others[vote.label] == most)
    return found


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None
