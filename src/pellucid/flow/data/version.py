"""Making a dataset's next version out of its newest one and the votes that have come since."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError
from pellucid.features.similar import near_groups
from pellucid.flow.data.findings import find
from pellucid.flow.data.said import (
    COPY,
    UNSPOKEN,
    Spoken,
    any_truth,
    derive_label,
    is_users,
    rests_on_users,
    set_copies_aside,
    standing,
    that_touch,
)
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.labels.consensus import AGAINST
from pellucid.labels.split import PRECEDENCE, assign_splits, merge_groups
from pellucid.store.datasets import Finding, commit_version, findings_of, latest_version, list_versions
from pellucid.store.ingests import (
    Sighting,
    finish_ingest,
    forget_ingest,
    metadata_of,
    sightings_of,
)
from pellucid.store.manifests import content_id, read_manifest, write_manifest
from pellucid.store.samples import sketches_of
from pellucid.store.votes import add_votes, said_so_far, samples_retracted, samples_voted, votes_of
from pellucid.types import KEEPER, DatasetVersion, Role, Row, Split, Status, Vote

VOTES = "votes_upto"  # in a version's recipe: the newest vote said directly that its labels follow
RETRACTED = "retractions_upto"  # in a version's recipe: the newest retraction that its labels follow
MOVED = 100  # thousandths of trust; a label that was settled anew and moves less stays, so that versions come to rest
_ATTEMPTS = 20  # commits that may lose the race against other processes before this one gives up


@dataclass(frozen=True, slots=True)
class Reading:
    """What an ingest read: recorded already, but it counts only once a version is made of it."""

    id: int  # of the ingest
    sightings: Sequence[Sighting]
    votes: Sequence[Vote]


@dataclass(frozen=True, slots=True)
class VersionRules:
    """How a dataset is divided; a child version follows its parent's rules unless told otherwise."""

    test_fraction: float
    trusted_fraction: float
    seed: int
    group_by: str | None  # metadata key whose samples stay together

    @property
    def held_out(self) -> float:
        """The share that is not trained on."""
        return self.test_fraction + self.trusted_fraction

    def to_dict(self) -> dict[str, Any]:
        """As it is kept in a version's recipe."""
        return asdict(self)


def rules_of(version: DatasetVersion) -> VersionRules:
    """The rules that the version was made by."""
    recipe = version.recipe
    return VersionRules(recipe["test_fraction"], recipe["trusted_fraction"], recipe["seed"], recipe["group_by"])


def commit_votes(
    workspace: Workspace,
    dataset: str,
    *,
    rules: VersionRules,
    recipe: Mapping[str, Any],
    reading: Reading | None = None,
    votes: Sequence[Vote] = (),
    said: tuple[int, int] | None = None,
    lost: frozenset[str] = frozenset(),
    spoken: Spoken = UNSPOKEN,
    keep: bool = False,
    progress: Progress = no_progress,
) -> tuple[DatasetVersion, bool, list[Finding]]:
    """Commits what an ingest, or votes said directly, add to the dataset: all of it or, where this is stopped, nothing.

    The version is made outside any write transaction and committed by compare-and-swap: where another process was
    faster, it is made again on top of the other's.

    Args:
        reading: the ingest whose samples come in and whose votes count from now on.
        votes: said directly; recorded with the version.
        said: ids of votes that were said directly and recorded before: those above the first and up to the second count
            from now on.
        lost: samples whose images are gone; they are set aside until a later version finds them again.
        spoken: what is believed of training images that users have labelled.
        keep: keeps the record of the ingest even where it neither saw nor said anything new.

    Returns:
        The version, whether it is new, and what making it found; where the content is that of the newest version, no
        new one is made.

    Raises:
        ConcurrencyError: others were faster again and again.
    """
    for _ in range(_ATTEMPTS):
        with workspace.database.read() as connection:
            parent, seen = latest_version(connection, dataset), _said_so_far(connection, dataset, said)
            draft = _Draft(workspace, connection, dataset, parent, rules, reading, votes, said, lost, spoken)
            progress("grouping", 0, None)
            rows, findings = draft.build()
            name = content_id(rows)
            repeats = parent is not None and name == parent.content_id
            says_nothing = repeats and not keep and draft.says_nothing()
        if not repeats:
            write_manifest(workspace.blobs, rows, name)
        with suppress(_OvertakenError), workspace.database.write() as connection:
            newest = latest_version(connection, dataset)
            # Old words in new mouths may count without a new version, so the version alone does not tell.
            if (newest and newest.number) != (parent and parent.number) or _said_so_far(
                connection, dataset, said
            ) != seen:
                raise _OvertakenError
            made = None
            if not repeats:
                try:
                    made = commit_version(
                        connection,
                        name=dataset,
                        parent=parent,
                        parents=[parent.ref] if parent else [],
                        content_id=name,
                        classes=draft.classes(rows),
                        recipe={**recipe, RETRACTED: seen[2]},
                        counts=count_rows(rows),
                        findings=findings,
                        ingest_id=reading.id if reading else None,
                    )
                except ConcurrencyError as error:
                    raise _OvertakenError from error
            if reading is not None and says_nothing:
                forget_ingest(connection, reading.id)
            elif reading is not None:
                finish_ingest(connection, reading.id)  # later than its version, by which `inspect` knows it
            if not says_nothing:
                add_votes(connection, votes)
            if made is not None:
                return made, True, findings
            if parent is not None:
                return parent, False, findings_of(connection, parent)
    raise ConcurrencyError(f"{dataset} is being changed all the time by others; run the command again")


def _said_so_far(connection: sa.Connection, dataset: str, said: tuple[int, int] | None) -> tuple[int, int, int]:
    return said_so_far(connection, dataset, upto=None if said is None else said[1])


def followed(connection: sa.Connection, version: DatasetVersion) -> tuple[int, int]:
    """The newest vote said directly, and the newest retraction, that the version's labels follow; 0 for none.

    A revert takes rows back and no votes: what an earlier version had counted stays counted.
    """
    until = [item for item in list_versions(connection, version.dataset) if item.number <= version.number]
    voted, retracted = (max(int(item.recipe.get(key, 0)) for item in until) for key in (VOTES, RETRACTED))
    return voted, retracted


def without_retracted(connection: sa.Connection, version: DatasetVersion, rows: Iterable[Row]) -> dict[str, Row]:
    """Those of the version's rows whose label is another without what was taken back since, as it then is."""
    dataset, at = version.dataset, version.created_at
    voted, retracted = followed(connection, version)
    held = set(samples_retracted(connection, dataset, retracted, held=(voted, at)))
    touched = {row.sample: row for row in rows if row.sample in held}
    later = (voted, sys.maxsize)

    def that_counted(before: int | None) -> dict[str, list[Vote]]:
        """Of all votes those that the version knew."""
        early = votes_of(connection, dataset, sorted(touched), without=later, before=before)
        every = votes_of(connection, dataset, sorted(touched), before=before)
        return {
            name: [
                vote
                for vote in votes
                if vote.at <= at and (vote.role is Role.GROUND_TRUTH or vote in early.get(name, ()))
            ]
            for name, votes in every.items()
        }

    old, new = that_counted(retracted), that_counted(None)
    found: dict[str, Row] = {}
    for name, row in touched.items():
        before, left = (that_touch(row, votes.get(name, [])) for votes in (old, new))
        gone = [vote for vote in before if vote not in left]
        if standing(before) == standing(left) or (row.split is Split.TRUSTED and not any_truth(gone)):
            continue
        said = derive_label(left)
        found[name] = replace(row, label=said.label, trust=said.trust, status=said.status, reason=said.reason)
        if row.status is Status.SET_ASIDE and said.status is Status.OK:
            found[name] = replace(found[name], status=row.status, reason=row.reason)
    return found


class _OvertakenError(Exception):
    """Another process committed first."""


def count_rows(rows: Iterable[Row]) -> dict[str, int]:
    """Images by split, where they may be used, and by status, where they may not."""
    counts = Counter(str(row.split if row.status is Status.OK else row.status) for row in rows)
    return {"images": sum(counts.values()), **dict(sorted(counts.items()))}


class _Draft:
    """One attempt at the next version, on top of what was the newest one when it began."""

    def __init__(
        self,
        workspace: Workspace,
        connection: sa.Connection,
        dataset: str,
        parent: DatasetVersion | None,
        rules: VersionRules,
        reading: Reading | None,
        votes: Sequence[Vote],
        said: tuple[int, int] | None,
        lost: frozenset[str],
        spoken: Spoken,
    ) -> None:
        self._connection = connection
        self._dataset = dataset
        self._parent = parent
        self._rules = rules
        self._said: dict[str, list[Vote]] = defaultdict(list)
        for vote in (*(reading.votes if reading else ()), *votes):
            self._said[vote.sample].append(vote)
        self._recorded = said
        self._lost, self._spoken = lost, spoken
        # What was taken back since the last version counted when that was made.
        self._before_retraction = max(
            (item.recipe.get(RETRACTED, 0) for item in list_versions(connection, dataset)), default=0
        )
        taken_back = samples_retracted(connection, dataset, self._before_retraction)
        recorded = samples_voted(connection, dataset, said) if said else []
        self._new = reading.sightings if reading else ()
        self._before = {row.sample: row for row in read_manifest(workspace.blobs, parent.content_id)} if parent else {}
        held = self._before.keys() & set(taken_back)
        self._touched = sorted(self._said.keys() | set(recorded) | held | {item.sample for item in self._new})
        self._ids = sorted(self._before.keys() | set(self._touched))

    def build(self) -> tuple[list[Row], list[Finding]]:
        """The rows, sorted by sample, and what was found on the way."""
        sketches = sketches_of(self._connection, self._ids)
        with ThreadPoolExecutor(1, thread_name_prefix="pellucid-near") as pool:  # beside the votes: arrays against SQL
            grouping = pool.submit(near_groups, self._ids, sketches)
            rows, by_users = self._labelled()
            near = grouping.result()
        groups = merge_groups(self._ids, near, self._keys())
        splits = assign_splits(
            self._ids,
            [rows[name].label for name in self._ids],
            groups,
            self._given(by_users),
            test_fraction=self._rules.test_fraction,
            trusted_fraction=self._rules.trusted_fraction,
            seed=self._rules.seed,
        )
        finished = []
        for name, group in zip(self._ids, groups, strict=True):
            row = replace(rows[name], group=group, split=splits.of[name])
            if name in splits.torn and row.status is Status.OK:
                row = replace(row, status=Status.SET_ASIDE, reason=f"its group is in the {splits.torn[name]} split too")
            elif name in self._lost and row.status is Status.OK:
                row = replace(row, status=Status.SET_ASIDE, reason="its image is gone or damaged")
            finished.append(row)
        finished = set_copies_aside(finished, self._spoken.copies, self._before)
        return finished, find(finished, near, self._paths)

    def classes(self, rows: Iterable[Row]) -> list[str]:
        """Those that the dataset has, in their order, then those that came with the rows."""
        known = self._parent.classes if self._parent else ()
        labels = {row.label for row in rows if row.label is not None}
        return [*known, *sorted(labels.difference(known))]

    def says_nothing(self) -> bool:
        """Whether every file was seen just so before, and every voter repeats what stands already."""
        before = sightings_of(self._connection, self._dataset, self._touched)
        if not all(item in before.get(item.sample, ()) for item in self._new):
            return False
        old = votes_of(self._connection, self._dataset, self._touched)
        return all(
            standing(old.get(name, ())) == standing([*old.get(name, ()), *self._said.get(name, ())])
            for name in self._touched
        )

    def _labelled(self) -> tuple[dict[str, Row], set[str]]:
        """The rows, and the samples among those that were touched which nobody but users has labelled."""
        rows, by_users = dict(self._before), set[str]()
        # What was set aside is judged anew: the groups may have changed.
        aside = [row.sample for row in self._before.values() if row.status is Status.SET_ASIDE]
        again = {name for name in self._spoken.settled if name in rows and self._is_open(rows[name])}
        ids = sorted({*self._touched, *aside, *again})
        # Before the first version nobody can have said anything.
        votes = votes_of(self._connection, self._dataset, ids) if self._parent else {}
        earlier = votes_of(self._connection, self._dataset, ids, without=self._recorded, before=self._before_retraction)
        for name in ids:
            before = rows.get(name)
            old = that_touch(before, earlier.get(name, []))
            every = [*votes.get(name, ()), *self._said.get(name, ())]
            new = that_touch(before, every)
            said = derive_label(new, self._spoken.settled.get(name))
            words = [vote for vote in every if vote.role is not Role.MODEL and vote.voter != KEEPER]
            if words and all(map(is_users, words)):
                by_users.add(name)
            changed = [*(vote for vote in new if vote not in old), *(vote for vote in old if vote not in new)]
            if before is not None and before.split is Split.TRUSTED and not any_truth(changed):
                continue  # no feedback touches what is known to be right
            now = Row(name, said.label, said.trust, Split.TRAIN, said.status, said.reason, name)
            anew = name in again and any(map(is_users, new))
            if before is None or standing(old) != standing(new) or (anew and _differ(before, now)):
                rows[name] = now
            elif before.status is Status.SET_ASIDE and before.reason != COPY:
                reason = said.reason if (before.label, before.trust) == (said.label, said.trust) else ""
                rows[name] = replace(before, status=Status.OK, reason=reason)
            # Where nobody has said anything new, what an audit made of the label stays.
        return rows, by_users

    def _is_open(self, row: Row) -> bool:
        """Whether the row may be settled another way without a new word on it: no audit has judged it."""
        unjudged = not row.reason or rests_on_users(row) or AGAINST in row.reason
        return row.status is Status.SET_ASIDE or (bool(self._touched) and unjudged)

    def _given(self, by_users: Iterable[str]) -> list[Split | None]:
        """The splits that are decided: by the version before for all that ever had a vote, else by the source.

        What nobody but users has labelled is for training: an accuracy by the words of those who err says little.
        """
        kept = {row.sample: row.split for row in self._before.values() if row.status is not Status.UNLABELLED}
        undecided = [name for name in self._before if name not in kept]
        earlier = sightings_of(self._connection, self._dataset, undecided)
        given = _source_splits(item for items in earlier.values() for item in items)
        given |= _source_splits(self._new)
        given |= dict.fromkeys(by_users, Split.TRAIN)
        given |= kept  # for ever, whatever a later source says: what was learnt must not become a test
        return [given.get(name) for name in self._ids]

    def _keys(self) -> list[str | None]:
        key = self._rules.group_by
        if key is None:
            return [None] * len(self._ids)
        found = metadata_of(self._connection, self._dataset, self._ids)
        for item in self._new:
            found.setdefault(item.sample, {}).update(item.metadata)
        return [_key_text(found.get(name, {}).get(key)) for name in self._ids]

    def _paths(self, ids: Iterable[str]) -> dict[str, list[str]]:
        """The files that held each sample, each once, oldest first."""
        wanted = set(ids)
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for name, items in sightings_of(self._connection, self._dataset, sorted(wanted)).items():
            found[name] = dict.fromkeys(item.path for item in items)
        for item in self._new:
            if item.sample in wanted:
                found[item.sample][item.path] = None
        return {name: list(paths) for name, paths in found.items()}


def _source_splits(sightings: Iterable[Sighting]) -> dict[str, Split]:
    """The split of each sample for which the source names one; of several, the one that is measured on."""
    seen: dict[str, set[Split]] = defaultdict(set)
    for item in sightings:
        if item.split is not None:
            seen[item.sample].add(item.split)
    return {name: next(split for split in PRECEDENCE if split in found) for name, found in seen.items()}


def _differ(before: Row, now: Row) -> bool:
    """Whether a label that was settled anew is another one; what is believed of it moves a little every time."""
    return (before.label, before.status) != (now.label, now.status) or abs(before.trust - now.trust) > MOVED


def _key_text(value: Any) -> str | None:
    """One spelling for one key, whether it came from a CSV (``"7"``), JSON (``7``) or Parquet (``7.0``)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else str(value)
