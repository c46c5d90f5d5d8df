"""Story: all that is known of one picture, as a person looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.errors import IntegrityError, NotFoundError
from pellucid.features.extractor import Extractor
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.data.shelf import Shelf, Table
from pellucid.flow.workspace import Workspace
from pellucid.store.datasets import Finding, list_versions
from pellucid.store.ingests import Sighting, sightings_of
from pellucid.store.ledger import Entry, lines_on
from pellucid.store.live_vectors import vectors_of
from pellucid.store.manifests import read_row
from pellucid.store.models import list_models
from pellucid.store.predictions import newest_said
from pellucid.store.retractions import Retraction, retractions_of
from pellucid.store.samples import find_id, media_of
from pellucid.store.vectors import VectorCache
from pellucid.store.votes import all_votes_on
from pellucid.types import Answer, DatasetVersion, Row, Split, Status, Vote

MOST = 50  # of each thing that there may be any number of, the newest
NEAREST = 8  # neighbours
_BLOCK = 4096  # vectors that are compared at once


@dataclass(frozen=True, slots=True)
class Word:
    """A vote, and what became of it."""

    number: int
    vote: Vote
    retracted: Retraction | None  # None where it counts


@dataclass(frozen=True, slots=True)
class Line:
    """How a model came to hold the picture, or to let it go."""

    model: str  # "NAME@VERSION"
    at: datetime
    entry: Entry


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A picture that a model sees as alike."""

    row: Row
    similarity: float  # -1..1, the cosine of the two vectors; 1 is alike


@dataclass(frozen=True, slots=True)
class Story:
    """A picture's whole story. Lists of what may be without end hold the newest of it."""

    sample: str
    facts: tuple[str, int, int] | None  # media type, width and height in pixels; None where the image was pruned
    versions: tuple[tuple[str, Row | None], ...]  # dataset version, newest first, and the row in it
    files: tuple[tuple[str, Sighting], ...]  # dataset, and the file that held it, newest first
    words: tuple[Word, ...]  # what was said of it, newest first
    answers: tuple[Answer, ...]  # what models said, newest first
    asked: int  # how often it was asked about in all
    lines: tuple[Line, ...]  # of all ledgers, newest first
    findings: tuple[Finding, ...]  # that name it, in the version that is looked at
    group: tuple[Row, ...]  # the others of its group, which no split tears
    neighbours: tuple[Neighbour, ...]  # nearest first; none where nobody sees
    learnt_by: tuple[str, ...]  # models that were trained on it
    judged: tuple[str, ...]  # models that were measured on it


def story(shelf: Shelf, workspace: Workspace, ref: str, prefix: str, *, by: Extractor | None = None) -> Story:
    """All about the sample, seen from a dataset version.

    Args:
        prefix: the sample's id, or at least the first four digits of it; it need not be in the version.
        by: whose vectors say what is alike; its neighbours are those in the cache, none where None.

    Raises:
        NotFoundError: there is no such version, or not just one such sample.
    """
    table = shelf.table(workspace, ref)
    with workspace.database.read() as connection:
        sample = find_id(connection, prefix)
        versions = list_versions(connection)
        names = sorted({version.dataset for version in versions})
        seen = {name: sightings_of(connection, name, [sample]).get(sample, []) for name in names}
        files = [(name, item) for name in names for item in reversed(seen[name])]
        votes = all_votes_on(connection, names, sample)
        taken_back = retractions_of(connection, list(votes))
        asked, answers = newest_said(connection, sample, MOST)
        lines = lines_on(connection, sample, MOST)
        models = list_models(connection)
        facts = media_of(connection, [sample]).get(sample)
        own = _own_vector(workspace, connection, by, sample)
    told = {vote.dataset for vote in votes.values()} | {name for name, _ in files}
    held = _rows(workspace, [item for item in versions if item.dataset in told], sample)
    usable = {name: row.split for name, row in held if row is not None and row.status is Status.OK}
    at = table.place.get(sample)
    group = None if at is None else table.rows[at].group
    return Story(
        sample=sample,
        facts=facts,
        versions=tuple(held),
        files=tuple(files[:MOST]),
        words=tuple(Word(number, votes[number], taken_back.get(number)) for number in sorted(votes, reverse=True)),
        answers=tuple(answers),
        asked=asked,
        lines=tuple(Line(*line) for line in lines),
        findings=tuple(item for item in table.findings if sample in item.samples),
        group=tuple(_alike(table, group, sample)),
        neighbours=() if by is None or own is None else tuple(_nearest(workspace, by, table, sample, own)),
        learnt_by=tuple(model.ref for model in models if usable.get(model.dataset) is Split.TRAIN),
        judged=tuple(model.ref for model in models if usable.get(model.dataset) in (Split.TEST, Split.TRUSTED)),
    )


def _rows(workspace: Workspace, versions: Sequence[DatasetVersion], sample: str) -> list[tuple[str, Row | None]]:
    """The sample's row in the newest versions, newest first; of equal contents one is read."""
    found: dict[str, Row | None] = {}
    newest = sorted(versions, key=lambda item: item.created_at, reverse=True)[:MOST]
    for item in newest:
        if item.content_id not in found:
            found[item.content_id] = read_row(workspace.blobs, item.content_id, sample)
    return [(item.ref, found[item.content_id]) for item in newest]


def _alike(table: Table, group: str | None, sample: str) -> Iterable[Row]:
    """The others of the group, at most so many."""
    if group is None:
        return []
    return [row for row in table.rows if row.group == group and row.sample != sample][:MOST]


def _own_vector(
    workspace: Workspace, connection: sa.Connection, by: Extractor | None, sample: str
) -> NDArray[np.float32] | None:
    """The sample's vector, as it came one by one or as training makes it; None where its image cannot be used."""
    if by is None:
        return None
    kept = vectors_of(connection, by.fingerprint, [sample]).get(sample)
    if kept is not None:
        return kept
    try:
        return np.asarray(embed_samples(workspace, by, [sample])[0])
    except (NotFoundError, IntegrityError):
        return None


def _nearest(
    workspace: Workspace, by: Extractor, table: Table, sample: str, own: NDArray[np.float32]
) -> list[Neighbour]:
    """The rows of the version whose vectors point most nearly the same way."""
    cache = VectorCache(workspace.cache / "vectors", by.fingerprint, by.dim)
    lacking = {sample, *cache.missing(list(table.place))}
    rows = [row for row in table.rows if row.sample not in lacking]
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK):
        X = cache.gather([row.sample for row in rows[start : start + _BLOCK]])
        lengths = np.linalg.norm(X, axis=1) * np.linalg.norm(own)
        cosines[start : start + _BLOCK] = X @ own / np.maximum(lengths, 1e-12)
    best = np.argsort(-cosines, kind="stable")[:NEAREST]
    return [Neighbour(rows[at], float(cosines[at])) for at in best]
