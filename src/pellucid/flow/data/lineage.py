"""Lineage: what a dataset version came from, what changed between two, and what one sample has touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.flow.workspace import Workspace
from pellucid.store.datasets import get_version, list_versions
from pellucid.store.ingests import Sighting, sightings_of
from pellucid.store.manifests import read_manifest
from pellucid.store.models import list_models
from pellucid.store.predictions import count_by_model, predictions_of
from pellucid.store.samples import find_id
from pellucid.store.votes import votes_of
from pellucid.types import DatasetVersion, ModelVersion, Row, Split, Status, Vote


@dataclass(frozen=True, slots=True)
class Difference:
    """One sample that differs between two versions."""

    sample: str
    before: Row | None  # None where the sample is new
    after: Row | None  # None where it is gone
    why: str


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed from one version to another."""

    before: DatasetVersion
    after: DatasetVersion
    new_classes: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A version in a line of descent, with what was made from it."""

    version: DatasetVersion
    models: tuple[ModelVersion, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """Everything that one sample has touched."""

    sample: str
    files: Mapping[str, Sequence[Sighting]]  # by dataset
    votes: tuple[Vote, ...]
    versions: tuple[tuple[str, Row], ...]  # dataset version, and the sample's row in it
    learnt_by: tuple[str, ...]  # models trained on it
    judged: tuple[str, ...]  # models measured on it
    predictions: tuple[Mapping[str, Any], ...]  # answers about the sample itself
    answers_given: Mapping[str, int]  # by model that learnt from it: how many answers it has given


def diff(workspace: Workspace, before: str, after: str) -> Diff:
    """The rows that differ between two versions, and why.

    Raises:
        NotFoundError: a version does not exist.
    """
    with workspace.database.read() as connection:
        a, b = get_version(connection, before), get_version(connection, after)
        old = {row.sample: row for row in read_manifest(workspace.blobs, a.content_id)}
        new = {row.sample: row for row in read_manifest(workspace.blobs, b.content_id)}
        changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        verbs = _verbs(list_versions(connection, b.dataset), a, b)
        votes = votes_of(connection, b.dataset, changed)
    differences = []
    for name in changed:
        since = [vote for vote in votes.get(name, ()) if a.created_at < vote.at <= b.created_at]
        differences.append(
            Difference(name, old.get(name), new.get(name), _why(old.get(name), new.get(name), verbs, since))
        )
    return Diff(a, b, tuple(name for name in b.classes if name not in a.classes), tuple(differences))


def lineage(workspace: Workspace, ref: str) -> list[Step]:
    """The version and its ancestors, newest first, each with the models that were trained on it."""
    with workspace.database.read() as connection:
        wanted = get_version(connection, ref)
        known = {version.ref: version for version in list_versions(connection)}
        models = list_models(connection)
    steps: list[Step] = []
    waiting, seen = [wanted.ref], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in known:
            continue
        seen.add(name)
        made = tuple(model for model in models if model.dataset == name)
        steps.append(Step(known[name], made))
        waiting.extend(known[name].parents)
    return steps


def impact(workspace: Workspace, prefix: str) -> Impact:
    """The versions, models and predictions that a sample has touched.

    Args:
        prefix: the sample's id, or at least the first four digits of it; it may have been predicted only.

    Raises:
        NotFoundError: no sample, or more than one, has such an id.
    """
    with workspace.database.read() as connection:
        sample = find_id(connection, prefix)
        versions = list_versions(connection)
        names = sorted({version.dataset for version in versions})
        files = {name: sightings_of(connection, name, [sample]).get(sample, []) for name in names}
        said = {name: votes_of(connection, name, [sample]).get(sample, []) for name in names}
        # An image that came by feedback has votes and no file; the other datasets need not be read.
        versions = [version for version in versions if files[version.dataset] or said[version.dataset]]
        models = list_models(connection)
        predictions = predictions_of(connection, sample)
        counts = count_by_model(connection)
    rows: dict[str, Row] = {}
    for version in versions:
        found = [row for row in read_manifest(workspace.blobs, version.content_id) if row.sample == sample]
        if found:
            rows[version.ref] = found[0]
    usable = {name: row.split for name, row in rows.items() if row.status is Status.OK}
    learnt = [model.ref for model in models if usable.get(model.dataset) is Split.TRAIN]
    return Impact(
        sample=sample,
        files={name: tuple(found) for name, found in files.items() if found},
        votes=tuple(vote for votes in said.values() for vote in votes),
        versions=tuple(rows.items()),
        learnt_by=tuple(learnt),
        judged=tuple(model.ref for model in models if usable.get(model.dataset) in (Split.TEST, Split.TRUSTED)),
        predictions=tuple(predictions),
        answers_given={name: counts.get(name, 0) for name in learnt},
    )


def _verbs(versions: Sequence[DatasetVersion], before: DatasetVersion, after: DatasetVersion) -> str:
    """What led from one version to the other, " by ingest, settle"; empty where the second is not the later one."""
    if before.dataset != after.dataset:
        return ""
    between = [item for item in versions if before.number < item.number <= after.number]
    verbs = dict.fromkeys(str(item.recipe.get("verb", "edit")) for item in between)
    return f" by {', '.join(verbs)}" if verbs else ""


def _why(before: Row | None, after: Row | None, verbs: str, votes: Sequence[Vote]) -> str:
    if before is None or after is None:
        reason = f": {after.reason}" if after is not None and after.reason else ""
        return f"{'added' if before is None else 'removed'}{verbs}{reason}"
    names = ("label", "trust", "split", "status", "group")
    changed = [name for name in names if getattr(before, name) != getattr(after, name)]
    why = [f"{', '.join(changed) or 'reason'} changed{verbs}"]
    if votes and not {"label", "trust", "status"}.isdisjoint(changed):
        why.append("; ".join(f"{vote.voter} ({vote.role}) said {vote.label}" for vote in votes))
    if after.reason and after.reason != before.reason:
        why.append(after.reason)
    return ": ".join(why)
