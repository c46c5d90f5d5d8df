"""Voters: who has said how much of a dataset, how far each is right, and what the champion has made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.errors import NotFoundError
from pellucid.evaluate.evaluation import Estimate
from pellucid.flow.online.belief import PRIORS, RECORD
from pellucid.flow.online.conduct import Conduct, believed_labels, conduct_of, usual_shares
from pellucid.flow.workspace import Workspace
from pellucid.labels.ballots import ROLES, Ballots
from pellucid.labels.consensus import HEARD
from pellucid.noise.reliability import interval_of, reliability
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.datasets import get_version
from pellucid.store.ledger import entries_after
from pellucid.store.manifests import read_manifest
from pellucid.store.models import get_model
from pellucid.store.votes import columns_of, retracted_counts
from pellucid.types import TRUST_SCALE, Role, Row, Split, Status

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Voter:
    """One who has said what images show."""

    name: str
    roles: tuple[str, ...]  # in which they spoke
    votes: int  # that count
    retracted: int  # that were taken back
    images: int  # that they have a word on
    reliability: Estimate | None  # 0..1 with the 95 % interval of its posterior; None for ground truth and models
    weight: float | None  # 0..1: how far the champion has learnt their words, in the mean; None without either
    agreement: float | None  # 0..1: the share of their words that most others on the image say too; None without others
    compared: int  # how many words those are that others spoke on too
    conduct: Conduct  # what stands out, and whether they are suspected of anything


def list_voters(workspace: Workspace, dataset: str, rest: Callable[[], None] = lambda: None) -> list[Voter]:
    """All who have said something of the dataset, those with most votes first.

    Reliability is what the live model goes by: of everything a voter said directly, how far the model and all others
    gave it when it was said. Weight is what came of it, weight times strength, or the trust of what was trained: a word
    that the champion has not learnt, or only under another label, weighs 0; words on test and trusted images, which no
    model learns from, are left out.

    Args:
        rest: called between pieces of the work.

    Raises:
        NotFoundError: there is no such dataset.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, dataset)
        if version.dataset != dataset:
            raise NotFoundError(
                f"{dataset!r} names a version; votes belong to the whole dataset: name {version.dataset}"
            )
        votes = Ballots.of(_paced(columns_of(connection, dataset), rest))
        retracted = retracted_counts(connection, dataset)
        learnt = _learnt(workspace, connection, dataset)
    rows = read_manifest(workspace.blobs, version.content_id)
    rest()
    words = votes.words()
    told, agree = words.agreements()
    agrees = np.full(len(words), np.nan)
    agrees[told] = agree
    weights = np.full(len(words), np.nan) if learnt is None else _weights(words, rows, learnt)
    believed = believed_labels(votes, rows)
    usual = usual_shares(votes)
    K = max(2, len(version.classes))
    numbers = {name: number for number, name in enumerate(votes.voters)}
    said, mine = votes.per_voter(), words.per_voter()
    nobody = np.empty(0, np.intp)
    found = []
    for name in {*votes.voters, *retracted}:
        rest()
        number = numbers.get(name)
        (all_, last) = (nobody, nobody) if number is None else (said[number], mine[number])
        own = votes.only(all_)
        roles = {ROLES[role] for role in np.unique(own.role).tolist()}
        reliability = _reliability(own, roles, K)
        current = words.only(last)
        conduct = conduct_of(
            own, current, believed=believed, made_at=version.created_at, usual=usual, reliability=reliability
        )
        found.append(
            Voter(
                name=name,
                roles=tuple(sorted(roles)),
                votes=len(own),
                retracted=retracted.get(name, 0),
                images=len(np.unique(own.sample)),
                reliability=reliability,
                weight=_mean(weights[last]),
                agreement=_mean(agrees[last]),
                compared=int(np.isfinite(agrees[last]).sum()),
                conduct=conduct,
            )
        )
    return sorted(found, key=lambda voter: (-voter.votes, voter.name))


def _paced(pieces: Iterable[T], rest: Callable[[], None]) -> Iterator[T]:
    for piece in pieces:
        yield piece
        rest()


def _reliability(said: Ballots, roles: set[Role], n_classes: int) -> Estimate | None:
    """By the record that `pellucid.store.votes.supports_of` tells: of each image, the last word that was weighed."""
    heard = [role for role in HEARD if role in roles]
    if not heard:
        return None
    prior = PRIORS[heard[-1]]  # who also speaks as a user is taken for one
    weighed = np.flatnonzero(~np.isnan(said.support))[::-1]
    newest = np.sort(np.unique(said.sample[weighed], return_index=True)[1])[:RECORD]
    rate = reliability(said.support[weighed[newest]], n_classes, prior)
    return Estimate(rate, *interval_of(rate, len(newest), prior))


def _learnt(workspace: Workspace, connection: sa.Connection, dataset: str) -> Mapping[str, tuple[str, float]] | None:
    """The label of each sample that the champion has learnt, and how far; None where there is no champion."""
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
            found[entry.sample] = entry.label, entry.credit
        else:
            found.pop(entry.sample, None)
    return found


def _weights(words: Ballots, rows: Sequence[Row], learnt: Mapping[str, tuple[str, float]]) -> NDArray[np.float64]:
    """The weight with which each word is learnt, (n,): 0 under another label, NaN for what no model learns from."""
    samples = {name: number for number, name in enumerate(words.samples)}
    labels = {name: number for number, name in enumerate(words.labels)}
    label, weight, apart = np.full(len(samples), -1), np.zeros(len(samples)), np.zeros(len(samples), np.bool_)
    for row in rows:
        if row.split is not Split.TRAIN and row.sample in samples:
            apart[samples[row.sample]] = True
    for name, (given, share) in learnt.items():
        if name in samples:
            label[samples[name]], weight[samples[name]] = labels.get(given, -1), share
    found = np.where(label[words.sample] == words.label, weight[words.sample], 0.0)
    return np.where(apart[words.sample], np.nan, found)


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
