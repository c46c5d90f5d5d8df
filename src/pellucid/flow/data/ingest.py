"""Ingest: files in, a new version of a dataset out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pellucid.errors import ImageError, SourceError, StorageError, UsageError
from pellucid.features.decode import Limits, decode
from pellucid.features.similar import SKETCH_FROM, sketch
from pellucid.flow.data.version import Reading, VersionRules, commit_votes, rules_of
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.blobs import digest_of
from pellucid.store.datasets import check_name, create_dataset, latest_version
from pellucid.store.images import PACK_BYTES, Place
from pellucid.store.ingests import (
    Rejected,
    Sighting,
    add_rejected,
    add_sightings,
    begin_ingest,
    forget_abandoned,
    forget_ingest,
    metadata_of,
    rejected_in,
)
from pellucid.store.manifests import read_manifest
from pellucid.store.samples import add_samples, chunked, known_ids
from pellucid.store.sources import Item, Source, open_source
from pellucid.store.votes import add_votes
from pellucid.types import DatasetVersion, Role, Sample, Split, Vote

_BATCH = 64  # files that a thread takes at a time, and whose images go into one pack
_CHUNK = 1024  # files whose records go into one transaction
_ABANDONED = timedelta(days=7)  # an ingest that has not finished since was killed


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did."""

    version: DatasetVersion
    created: bool  # False where the source brought nothing that the newest version does not hold
    source: str  # what was recognised, in words
    files: int  # images that were offered, usable or not
    new: int  # distinct images that the project had never seen
    duplicates: int  # files with the same bytes as another file of this source
    rejected: Mapping[str, int]  # images set aside, by reason
    findings: Mapping[str, int]  # what making the version found, by kind
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Taken:
    item: Item
    sample: str
    fresh: Sample | None  # its facts, where the project does not have them yet
    place: Place | None = None  # where its image was put, where it is fresh


def ingest(
    workspace: Workspace,
    location: str | Path,
    dataset: str,
    *,
    layout: str = "auto",
    role: Role = Role.ANNOTATOR,
    annotator: str | None = None,
    group_by: str | None = None,
    test_fraction: float | None = None,
    trusted_fraction: float | None = None,
    seed: int | None = None,
    new_classes: bool = True,
    progress: Progress = no_progress,
) -> IngestReport:
    """Reads a source into the dataset; an image that cannot be used is set aside and does not stop the rest.

    Until the very end nothing that is read counts, so a run that is stopped leaves the dataset as it was, and the next
    one goes on: what is stored already is not decoded again.

    Args:
        location: a folder, an archive or a manifest.
        layout: ``auto``, or one of ``pellucid.store.sources.LAYOUTS``.
        role: in which the labels are said; those of a trusted split are always ground truth.
        annotator: who says them, where the source does not tell; the name of the source where None.
        group_by: a metadata key whose samples must not lie in two splits.
        test_fraction, trusted_fraction, seed: how samples without a given split are divided; what the dataset's
            earlier versions used where None, and the project's settings where there is none.
        new_classes: whether labels that the dataset does not know become classes, or are set aside.

    Raises:
        SourceError: the source as a whole cannot be used.
        UsageError: a name or a fraction is none.
    """
    check_name(dataset)
    with workspace.database.read() as connection:
        parent = latest_version(connection, dataset)
    rules = _rules(workspace, parent, group_by, test_fraction, trusted_fraction, seed)
    known_classes = frozenset(parent.classes) if parent and not new_classes else None
    with open_source(location, layout=layout, max_image_bytes=workspace.settings.max_image_bytes) as source:
        warnings = list(source.warnings)
        if group_by is not None:
            warnings += _check_key(workspace, parent, source, group_by)
        voter = annotator or Path(source.location).name or "unknown"
        options = {"role": role, "annotator": voter, **rules.to_dict()}
        with workspace.database.write() as connection:
            create_dataset(workspace.database, connection, dataset)
            forget_abandoned(connection, datetime.now(UTC) - _ABANDONED)
            ingest_id = begin_ingest(connection, dataset, source.location, source.layout, options)
        try:
            tally = _read(workspace, source, dataset, ingest_id, role, voter, known_classes, progress)
            rejected = Counter(item.reason for item in tally.refused)
            if not tally.samples:
                raise SourceError(_nothing_usable(source, rejected))
            recipe = {"verb": "ingest", "source": source.location, "layout": source.layout, **options}
            with workspace.database.read() as connection:
                keep = not tally.refused.issubset(item for _, item in rejected_in(connection, dataset))
            reading = Reading(ingest_id, tally.sightings, tally.votes)
            version, created, findings = commit_votes(
                workspace, dataset, reading=reading, rules=rules, recipe=recipe, keep=keep, progress=progress
            )
        except BaseException:
            # What cannot be removed now, because the store is full, is invisible all the same.
            with suppress(StorageError), workspace.database.write() as connection:
                forget_ingest(connection, ingest_id)
            raise
    return IngestReport(
        version=version,
        created=created,
        source=source.description,
        files=len({item.path for item in source.items}),
        new=tally.new,
        duplicates=len(tally.paths) - len(tally.samples),
        rejected=dict(rejected),
        findings=Counter(item.kind for item in findings),
        warnings=(*warnings, *_class_warnings(parent, version), *_change_warnings(workspace, parent, version, tally)),
    )


@dataclass(slots=True)
class _Tally:
    new: int = 0
    paths: set[str] = field(default_factory=set)  # of the files that could be used
    samples: set[str] = field(default_factory=set)
    sightings: list[Sighting] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    refused: set[Rejected] = field(default_factory=set)


def _rules(
    workspace: Workspace,
    parent: DatasetVersion | None,
    group_by: str | None,
    test_fraction: float | None,
    trusted_fraction: float | None,
    seed: int | None,
) -> VersionRules:
    if parent is not None:
        before = rules_of(parent)
    else:
        own = workspace.settings
        before = VersionRules(own.test_fraction, own.trusted_fraction, own.seed, None)
    rules = VersionRules(
        test_fraction=before.test_fraction if test_fraction is None else test_fraction,
        trusted_fraction=before.trusted_fraction if trusted_fraction is None else trusted_fraction,
        seed=before.seed if seed is None else seed,
        group_by=before.group_by if group_by is None else group_by,
    )
    if not (rules.test_fraction >= 0 and rules.trusted_fraction >= 0 and rules.held_out <= 0.9):
        raise UsageError(
            f"{rules.test_fraction} for testing and {rules.trusted_fraction} trusted leave too little to train on; "
            "wanted are fractions of at least 0 that add up to at most 0.9"
        )
    return rules


def _check_key(workspace: Workspace, parent: DatasetVersion | None, source: Source, key: str) -> list[str]:
    """Refuses a metadata key that no image has, which would silently group nothing; says how many lack it."""
    have = sum(key in item.metadata for item in source.items)
    if have == len(source.items):
        return []
    known = {name for item in source.items for name in item.metadata}
    if parent is not None:
        ids = [row.sample for row in read_manifest(workspace.blobs, parent.content_id)]
        with workspace.database.read() as connection:
            known |= {name for values in metadata_of(connection, parent.dataset, ids).values() for name in values}
    if key not in known:
        keys = ", ".join(sorted(known)) or "none at all"
        raise UsageError(f"no image of {source.location} has the metadata {key!r} to group by; there is: {keys}")
    lack = len(source.items) - have
    return [f"{lack} of {len(source.items)} images have no {key!r} and are each a group of their own"]


def _read(
    workspace: Workspace,
    source: Source,
    dataset: str,
    ingest_id: int,
    role: Role,
    voter: str,
    classes: frozenset[str] | None,
    progress: Progress,
) -> _Tally:
    known = workspace.images.intact()
    with workspace.database.read() as connection:
        lost = known_ids(connection).difference(name.hex() for name in known)
    tally = _Tally()
    now = datetime.now(UTC)
    done = 0
    progress("reading", 0, len(source.items))
    for chunk in _results(workspace, source.items, known):
        taken, rejected = _sorted_out(chunk, classes)
        votes = [
            Vote(
                dataset=dataset,
                sample=item.sample,
                label=item.item.label,
                role=Role.GROUND_TRUTH if item.item.split is Split.TRUSTED else role,
                voter=item.item.annotator or voter,
                at=now,
                import_id=ingest_id,
            )
            for item in taken
            if item.item.label is not None
        ]
        fresh = {
            item.sample: (item.fresh, item.place.pack, item.place.offset)
            for item in taken
            if item.fresh and item.place and bytes.fromhex(item.sample) not in known
        }
        sightings = [Sighting(item.item.path, item.sample, item.item.split, item.item.metadata) for item in taken]
        with workspace.database.write() as connection:
            add_samples(workspace.database, connection, list(fresh.values()), lost=lost)
            add_sightings(connection, ingest_id, sightings)
            add_votes(connection, votes)
            add_rejected(connection, ingest_id, rejected)
        known.update(bytes.fromhex(name) for name in fresh)
        tally.new += len(fresh.keys() - lost)
        tally.paths.update(item.item.path for item in taken)
        tally.samples.update(item.sample for item in taken)
        tally.sightings += sightings
        tally.votes += votes
        tally.refused.update(rejected)
        done += len(chunk)
        progress("reading", done, len(source.items))
    return tally


def _sorted_out(
    results: Sequence[_Taken | Rejected], classes: frozenset[str] | None
) -> tuple[list[_Taken], list[Rejected]]:
    """What comes in and what is set aside, a file with several labels once; with ``classes``, other labels are too."""
    taken: list[_Taken] = []
    rejected: dict[Rejected, None] = {}
    for result in results:
        if isinstance(result, _Taken):
            label = result.item.label
            if classes is None or label is None or label in classes:
                taken.append(result)
                continue
            known = ", ".join(sorted(classes))
            result = Rejected(result.item.path, "unknown label", f"{label!r}; the dataset has {known}")
        rejected[result] = None
    return taken, list(rejected)


def _results(workspace: Workspace, items: Sequence[Item], known: set[bytes]) -> Iterator[list[_Taken | Rejected]]:
    """The items' results in order, in chunks; the next chunk is being read while the caller writes this one."""

    def take(batch: Sequence[Item]) -> list[_Taken | Rejected]:
        results: list[_Taken | Rejected] = []
        pending: dict[str, bytes] = {}
        places: dict[str, Place] = {}
        for before, item in zip([None, *batch], batch, strict=False):
            # One file with the labels of several annotators comes as several items, one after the other.
            if before and (item.member, item.path) == (before.member, before.path) and item.origin is before.origin:
                last = results[-1]
                results.append(replace(last, item=item) if isinstance(last, _Taken) else last)
            else:
                results.append(_take(workspace.limits, item, known, pending))
                if sum(map(len, pending.values())) >= PACK_BYTES:
                    places |= workspace.images.keep(pending)
                    pending.clear()
        places |= workspace.images.keep(pending)
        for result in results:
            if isinstance(result, _Taken):
                result.place = places.get(result.sample)
        return results

    pool = ThreadPoolExecutor(workspace.threads, thread_name_prefix="pellucid-ingest")
    try:
        waiting: list[Future[list[_Taken | Rejected]]] = []
        for chunk in chunked(items, _CHUNK):
            started = [pool.submit(take, batch) for batch in chunked(chunk, _BATCH)]
            if waiting:
                yield [result for future in waiting for result in future.result()]
            waiting = started
        yield [result for future in waiting for result in future.result()]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _take(limits: Limits, item: Item, known: set[bytes], pending: dict[str, bytes]) -> _Taken | Rejected:
    """Reads and judges one file; the bytes of an image that the project does not have yet go to ``pending``."""
    try:
        data = item.read()
        name = digest_of(data)
        if bytes.fromhex(name) in known:
            return _Taken(item, name, None)
        picture = decode(data, limits, at_least=SKETCH_FROM, grey=True)
    except ImageError as error:
        return Rejected(item.path, error.reason, error.detail)
    pending[name] = data
    facts = (picture.media_type, picture.width, picture.height, len(data), sketch(picture.image))
    return _Taken(item, name, Sample(name, *facts))


def _nothing_usable(source: Source, rejected: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items())) or "it holds none"
    return f"{source.location} has no image that can be used ({reasons}); wanted are JPEG, PNG, WebP, BMP, GIF or TIFF"


def _change_warnings(
    workspace: Workspace, parent: DatasetVersion | None, version: DatasetVersion, tally: _Tally
) -> list[str]:
    """What a second ingest changed, or did not, of images that were there before."""
    if parent is None:
        return []
    before = {row.sample: row for row in read_manifest(workspace.blobs, parent.content_id)}
    warnings = []
    moved = {item.sample for item in tally.sightings if item.split is not None and item.sample in before}
    moved = {
        item.sample for item in tally.sightings if item.sample in moved and item.split != before[item.sample].split
    }
    if moved:
        warnings.append(f"{len(moved)} images stay in the split that they have had, though the source names another")
    if version.number != parent.number:
        after = read_manifest(workspace.blobs, version.content_id)
        changed = [row for row in after if row.sample in before and row.label != before[row.sample].label]
        if changed:
            held = sum(row.split is not Split.TRAIN for row in changed)
            warnings.append(
                f"{len(changed)} images that were there before have another label now, {held} of them test or trusted "
                f"images; `pellucid datasets diff {parent.ref} {version.ref}` names them"
            )
    return warnings


def _class_warnings(parent: DatasetVersion | None, version: DatasetVersion) -> list[str]:
    import difflib

    warnings = []
    if len(version.classes) < 2:
        only = f"one class only, {version.classes[0]!r}" if version.classes else "no class yet"
        warnings.append(f"there is {only}; training needs at least two")
    if version.classes and not any(version.counts.get(name) for name in ("test", "trusted")):
        warnings.append("no image is kept for testing, so no model could be judged; ingest more, or give a test split")
    for label in version.classes[len(parent.classes) :] if parent else ():
        near = difflib.get_close_matches(label, parent.classes if parent else (), n=1, cutoff=0.8)
        hint = f"; did you mean {near[0]!r}? --no-new-classes sets such labels aside" if near else ""
        warnings.append(f"new class {label!r}{hint}")
    return warnings
