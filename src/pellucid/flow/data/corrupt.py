"""Corrupt: break labels or images on purpose, with the truth kept, to see what cleaning finds."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError, UsageError
from pellucid.features.decode import decode
from pellucid.features.similar import SKETCH_FROM, sketch
from pellucid.flow.data.edit import commit_rows, newest_of
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.heads.ridge import RidgeClassifier
from pellucid.labels.consensus import last_words
from pellucid.noise.corrupt import CORRUPTIONS, MIN_SIDE, corrupt_image
from pellucid.noise.inject import inject_labels
from pellucid.noise.inputs import check_seed
from pellucid.store.blobs import digest_of
from pellucid.store.images import PACK_BYTES, Place
from pellucid.store.ingests import Sighting, add_sightings, begin_ingest, forget_ingest, metadata_of, sightings_of
from pellucid.store.samples import add_samples
from pellucid.store.votes import add_votes, votes_of
from pellucid.types import KEEPER, DatasetVersion, Role, Row, Sample, Split, Status, Vote


def kept_truth(row: Row, votes: Sequence[Vote]) -> str | None:
    """What the row's label was before anything broke it, by all votes of its sample, oldest first.

    None where it never was. A label that somebody gave since is the truth itself.
    """
    truth = None
    for vote in votes:
        of_keeper = vote.voter == KEEPER and vote.role is Role.GROUND_TRUTH
        said_since = truth is not None and vote.role is not Role.MODEL and vote.label == row.label
        if of_keeper or said_since:
            truth = vote.label
    return truth


@dataclass(frozen=True, slots=True)
class CorruptReport:
    """What was broken."""

    version: DatasetVersion  # the new one; the one that was to be broken where nothing was, or nothing should be
    created: bool
    eligible: int  # images that might have been chosen
    labels: int  # changed
    images: Mapping[str, int]  # by what was done to them
    matrix: tuple[tuple[float, ...], ...]  # (K, K) P(label after = column | before = row), empty without labels
    classes: tuple[str, ...]


def corrupt(
    workspace: Workspace,
    ref: str,
    *,
    labels: str | None = None,
    rate: float = 0.3,
    matrix: ArrayLike | None = None,
    images: str | None = None,
    share: float = 1.0,
    split: Split = Split.TRAIN,
    seed: int = 0,
    extractor: str | None = None,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> CorruptReport:
    """Commits a child of a dataset's newest version with wrong labels, bad images, or both.

    What each label was stays as a ground-truth vote of the voter ``pellucid corrupt``, so that `clean` can be told how
    well it did; it does not look at it before. A broken image is a new sample, whose metadata say what was done
    (``corruption``) and to which (``corrupted_from``). ``revert`` undoes all of it.

    Args:
        labels: symmetric, pair, matrix, instance or annotator, see ``pellucid.noise.inject_labels``; none are broken
            where None. ``instance`` confuses what ridge on the extractor's vectors finds alike.
        rate: share of labels, 0..1.
        matrix: of the classes in the version's order, for ``matrix``.
        images: a kind of ``pellucid.noise.corrupt_image``; none are broken where None.
        share: of images, 0..1.
        split: whose images.
        seed: the same seed breaks the same.
        dry_run: commits nothing and stores nothing.

    Raises:
        UsageError: nothing to do, or a kind, rate or seed that cannot be.
        NotFoundError, ConcurrencyError: there is no such version, or it is not the newest.
        DataError: the split has no usable image.
    """
    if labels is None and images is None:
        raise UsageError("there is nothing to break; name a kind of wrong labels, of bad images, or both")
    if not 0 <= share <= 1:
        raise UsageError(f"the share of images is {share}; wanted is 0 to 1")
    check_seed(seed)
    if images is not None and images not in ("mixed", *CORRUPTIONS):
        raise UsageError(f"there is no corruption {images!r}; the kinds are {', '.join(CORRUPTIONS)}, mixed")
    if matrix is not None and labels != "matrix":
        raise UsageError(f"label noise {labels or 'none'} takes no matrix; leave it out, or name the kind matrix")
    version, rows = newest_of(workspace, ref)
    chosen = [row for row in rows if row.status is Status.OK and row.label is not None and row.split is split]
    if not chosen:
        raise DataError(f"{version.ref} has no usable {split} image; name another split")
    broken = {row.sample: row for row in chosen}
    counts, votes = 0, list[Vote]()
    transition: tuple[tuple[float, ...], ...] = ()
    if labels is not None:
        given = [str(row.label) for row in chosen]
        with workspace.database.read() as connection:
            said = votes_of(connection, version.dataset, [row.sample for row in chosen])
        truths = [kept_truth(row, said.get(row.sample, ())) or str(row.label) for row in chosen]
        options = _options(workspace, version, chosen, labels, matrix, extractor, progress)
        injection = inject_labels(given, labels, rate, seed, classes=list(version.classes), **options)
        counts, now = int(injection.changed.sum()), datetime.now(UTC)
        transition = tuple(tuple(line) for line in injection.matrix.tolist())
        for row, label in zip(chosen, injection.labels.tolist(), strict=True):
            broken[row.sample] = replace(row, label=label)
        votes = [
            Vote(version.dataset, row.sample, truth, Role.GROUND_TRUTH, KEEPER, now)
            for row, truth in zip(chosen, truths, strict=True)
        ]
    picked = []
    if images is not None:
        picked = [
            row for row, u in zip(chosen, np.random.default_rng(seed).random(len(chosen)), strict=True) if u < share
        ]
    recipe = {"verb": "corrupt", "labels": labels, "rate": rate, "images": images, "share": share, "split": str(split)}
    recipe["seed_of_corruption"] = seed
    if dry_run:
        kinds = {str(images): len(picked)} if images is not None else {}
        return CorruptReport(version, False, len(chosen), counts, kinds, transition, version.classes)
    after = [broken.get(row.sample, row) for row in rows]
    if images is None:
        made, created = commit_rows(workspace, version, after, recipe=recipe, votes=votes)
        return CorruptReport(made, created, len(chosen), counts, {}, transition, version.classes)
    with workspace.database.write() as connection:
        ingest_id = begin_ingest(connection, version.dataset, f"{version.ref}, corrupted", "corrupt", recipe)
    try:
        instead, kinds = _break_images(workspace, version, picked, str(images), seed, ingest_id, progress)
        votes = [replace(vote, sample=instead.get(vote.sample, vote.sample)) for vote in votes]
        after = sorted((_renamed(row, instead) for row in after), key=lambda row: row.sample)
        made, created = commit_rows(workspace, version, after, recipe=recipe, votes=votes, ingest_id=ingest_id)
    except BaseException:
        with workspace.database.write() as connection:
            forget_ingest(connection, ingest_id)
        raise
    if not created:
        with workspace.database.write() as connection:
            forget_ingest(connection, ingest_id)
    return CorruptReport(made, created, len(chosen), counts, kinds, transition, version.classes)


def _options(
    workspace: Workspace,
    version: DatasetVersion,
    rows: Sequence[Row],
    kind: str,
    matrix: ArrayLike | None,
    extractor: str | None,
    progress: Progress,
) -> dict[str, ArrayLike]:
    """What the kind of noise needs to know beside the labels."""
    ids = [row.sample for row in rows]
    if kind == "matrix" and matrix is not None:
        return {"matrix": matrix}
    if kind == "annotator":
        with workspace.database.read() as connection:
            votes = votes_of(connection, version.dataset, ids)
        said = {name: [vote.voter for vote in votes.get(name, ()) if vote.voter != KEEPER] for name in ids}
        return {"annotators": [said[name][-1] if said[name] else "" for name in ids]}
    if kind == "instance":
        X = embed_samples(workspace, workspace.extractor(extractor), ids, progress=progress)
        return {
            "pred_probs": _held_out(X, [version.class_to_idx[str(row.label)] for row in rows], len(version.classes))
        }
    return {}


def _held_out(X: NDArray[np.float32], y: Sequence[int], K: int) -> NDArray[np.float64]:
    """What ridge says of each image by all others, as probabilities of all classes."""
    head = RidgeClassifier().fit(X, y)
    scores = np.full((len(X), K), -1.0)
    scores[:, head.classes_] = head.loo_scores_
    p = np.exp(4 * (scores - scores.max(axis=1, keepdims=True)))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _break_images(
    workspace: Workspace,
    version: DatasetVersion,
    rows: Sequence[Row],
    kind: str,
    seed: int,
    ingest_id: int,
    progress: Progress,
) -> tuple[dict[str, str], dict[str, int]]:
    """Stores a corrupted copy of each image; returns new ids by old ones, and what was done how often."""
    ids = [row.sample for row in rows]
    with workspace.database.read() as connection:
        metadata = metadata_of(connection, version.dataset, ids)
        said = votes_of(connection, version.dataset, ids)
        paths = {name: items[-1].path for name, items in sightings_of(connection, version.dataset, ids).items()}
    seeds = np.random.SeedSequence(seed).generate_state(len(rows))
    instead, kinds, taken = dict[str, str](), Counter[str](), set[str]()
    pending, facts, sightings, votes = dict[str, bytes](), dict[str, Sample](), list[Sighting](), list[Vote]()

    def keep() -> None:
        places: Mapping[str, Place] = workspace.images.keep(pending)
        fresh = [(facts[name], place.pack, place.offset) for name, place in places.items()]
        with workspace.database.write() as connection:
            add_samples(workspace.database, connection, fresh)
            add_sightings(connection, ingest_id, sightings)
            add_votes(connection, votes)
        for batch in (pending, facts, sightings, votes):
            batch.clear()

    for done, (row, own) in enumerate(zip(rows, seeds.tolist(), strict=True), 1):
        image = decode(workspace.images.get(row.sample), workspace.limits).image
        if min(image.size) < MIN_SIDE:
            continue  # too small to draw on; it stays as it is
        result = corrupt_image(image, kind, own)
        buffer = io.BytesIO()
        result.image.save(buffer, "PNG")
        data = buffer.getvalue()
        name = digest_of(data)
        if name in taken:
            continue  # two blank pictures may come out the same, and a version holds an image once
        grey = decode(data, workspace.limits, at_least=SKETCH_FROM, grey=True)
        taken.add(name)
        pending[name] = data
        facts[name] = Sample(name, grey.media_type, grey.width, grey.height, len(data), sketch(grey.image))
        instead[row.sample] = name
        kinds[result.kind] += 1
        done_to = {"corruption": result.kind, "corrupted_from": row.sample}
        path = paths.get(row.sample, row.sample)
        sightings.append(Sighting(path, name, row.split, metadata.get(row.sample, {}) | done_to))
        votes += [replace(vote, sample=name, import_id=ingest_id) for vote in last_words(said.get(row.sample, ()))]
        if sum(map(len, pending.values())) >= PACK_BYTES:
            keep()
        progress("corrupting", done, len(rows))
    keep()
    return instead, dict(sorted(kinds.items()))


def _renamed(row: Row, instead: Mapping[str, str]) -> Row:
    """The row for the corrupted image; one that was its own group still is."""
    name = instead.get(row.sample, row.sample)
    return replace(row, sample=name, group=name if row.group == row.sample else row.group)
