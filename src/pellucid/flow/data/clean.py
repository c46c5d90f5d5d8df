"""Clean: audit a dataset's labels and commit what follows, so that training believes the likely ones more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError, UsageError
from pellucid.features.wide import LOOKS, WIDE
from pellucid.flow.data.corrupt import kept_truth
from pellucid.flow.data.edit import commit_rows, newest_of
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.data.look import look_widely
from pellucid.flow.data.said import rests_on_users
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.labels.halves import halve_trusted
from pellucid.noise.auditing import Audit, audit
from pellucid.noise.belief import ACTIONS, DEFAULT_ACTION, DROPPED, RELABELLED, Belief, believe
from pellucid.noise.rules import RULES
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.datasets import list_versions
from pellucid.store.manifests import read_manifest
from pellucid.store.models import get_model
from pellucid.store.votes import votes_of
from pellucid.types import KEEPER, TRUST_SCALE, DatasetVersion, Role, Row, Split, Status, Vote

_SURE = 0.99  # trust from which on a row stays as it is; else every row of a clean dataset would change a little


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that is rather wrong than right."""

    sample: str
    split: Split
    given: str
    suggested: str
    trust: float  # 0..1, P(the given label is right)
    margin: float  # out-of-sample score of the given label less the best other; the lower, the worse
    fate: str  # "kept", "relabelled" or "dropped"


@dataclass(frozen=True, slots=True)
class Truth:
    """How well the audit did, where `pellucid corrupt` has kept the true labels."""

    wrong: int  # labels that were broken
    found: int  # of them suspected
    suspected: int  # of those whose truth is known
    restored: int  # of the broken ones, how many have their true label again


@dataclass(frozen=True, slots=True)
class CleanReport:
    """What cleaning found and did."""

    version: DatasetVersion  # the new one; the one that was audited where nothing changed, or nothing should
    audited: str  # reference of the version that was audited
    created: bool
    images: int  # labels judged; those of trusted images, and what was settled out of users' words, are not
    suspects: tuple[Suspect, ...]  # most suspicious first
    noise_rate: float  # 0..1, the estimated share of wrong labels
    noise_matrix: tuple[tuple[float, ...], ...]  # (K, K) P(given = column | true = row)
    classes: tuple[str, ...]
    fates: Mapping[str, int]  # "reweighed", "relabelled", "dropped": rows
    rule_used: str
    why: str
    truth: Truth | None
    extractor: str  # specification; whose vectors were audited
    look: str  # "plain" or "wide": whether these alone told the labels best
    dry_run: bool  # nothing was to be committed


def clean(
    workspace: Workspace,
    ref: str,
    *,
    extractor: str | None = None,
    look: str = WIDE,
    rule: str = "auto",
    action: str = DEFAULT_ACTION,
    include_test: bool = False,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> CleanReport:
    """Audits the training labels of a dataset's newest version and commits a child of it.

    Votes are never changed: ``revert`` undoes it, and a label that somebody says anew is theirs again. What an earlier
    cleaning made of a label is taken back before it is audited. Rows of the trusted split are never suspected. The
    guard's half of them anchors the rest, as does what a person has said as ground truth; the gate's half is not looked
    at, or a model of the labels that it helped to choose would be judged by what it has learnt from. Near-duplicates
    are held out together.

    Args:
        extractor: whose vectors are audited; where None that of the dataset's champion, or the project's.
        look: ``wide`` audits by more than the vectors that answer, where that tells the labels better: pictures are
            also looked at turned, and by hand-made features. It takes four times as long to look the first time.
            ``plain`` audits by the extractor's vectors alone.
        rule: a name of ``pellucid.noise.rules.RULES``.
        action: what becomes of suspects, a name of ``pellucid.noise.belief.ACTIONS``.
        include_test: audits test labels too. What is measured on cleaned test labels flatters whatever agrees with
            the audit.
        dry_run: commits nothing.

    Raises:
        NotFoundError, ConcurrencyError: there is no such version, or it is not the newest.
        UsageError: there is no such rule, action or look.
        DataError: the version has too little to audit.
    """
    for kind, name, known in (("rule", rule, RULES), ("action", action, ACTIONS), ("look", look, LOOKS)):
        if name not in known:
            raise UsageError(f"there is no {kind} {name!r}; the {kind}s are {', '.join(known)}")
    version, rows = newest_of(workspace, ref)
    given = _before_cleaning(workspace, version, rows)
    wanted = (Split.TRAIN, Split.TRUSTED, Split.TEST) if include_test else (Split.TRAIN, Split.TRUSTED)
    gates = {row.sample for row in halve_trusted(given)[1]}
    usable = [row for row in given if row.status is Status.OK and row.label is not None and row.split in wanted]
    judged = [row for row in usable if row.sample not in gates]
    if len({row.label for row in judged}) < 2:
        raise DataError(f"{version.ref} has fewer than two classes to tell apart; ingest more images")
    with workspace.database.read() as connection:
        votes = votes_of(connection, version.dataset, [row.sample for row in judged])
    opened = workspace.extractor(extractor or _usual_extractor(workspace, version.dataset))
    names = [row.sample for row in judged]
    X = embed_samples(workspace, opened, names, progress=progress)
    wide = look_widely(workspace, opened, names, X, progress=progress) if look == WIDE else None
    progress("auditing", 0, None)
    found = _audit([X] if wide is None else [X, wide], judged, votes, rule)
    belief = believe(found, action=action)
    stands = np.array([row.split is Split.TRUSTED or rests_on_users(row) for row in judged])
    changed = {
        row.sample: _believed(row, found, belief, place) for place, row in enumerate(judged) if not stands[place]
    }
    after = [changed.get(row.sample, row) for row in given]
    fates = _fates(judged, changed)
    recipe = {
        "verb": "clean",
        "extractor": opened.spec,
        "fingerprint": opened.fingerprint,
        "look": LOOKS[found.look],
        "rule": rule,
        "rule_used": found.rule_used,
        "action": action,
        "include_test": include_test,
        "noise_rate": round(found.noise_rate, 4),
        "credence": round(float(found.credence.mean()), 4),
        **fates,
    }
    made, created = (version, False) if dry_run else commit_rows(workspace, version, after, recipe=recipe)
    return CleanReport(
        version=made,
        audited=version.ref,
        created=created,
        images=int((~stands).sum()),
        suspects=_suspects(judged, found, belief, ~stands),
        noise_rate=found.noise_rate,
        noise_matrix=tuple(tuple(line) for line in found.noise_matrix.tolist()),
        classes=tuple(found.classes.tolist()),
        fates=fates,
        rule_used=found.rule_used,
        why=_why(found, action),
        truth=_truth(judged, votes, found, belief),
        extractor=opened.spec,
        look=LOOKS[found.look],
        dry_run=dry_run,
    )


def _before_cleaning(workspace: Workspace, version: DatasetVersion, rows: Sequence[Row]) -> list[Row]:
    """The rows with the labels that were given, where what an earlier cleaning made of them still stands.

    Only the versions that this one came from count: what a revert has left behind gives no label back.
    """
    current = {row.sample: row for row in rows}
    with workspace.database.read() as connection:
        versions = {item.ref: item for item in list_versions(connection, version.dataset)}
    item = version
    while item.parents:
        if item.recipe["verb"] == "revert":
            item = versions[item.recipe["to"]]
            continue
        parent = versions[item.parents[0]]
        if item.recipe["verb"] == "clean":
            before = {row.sample: row for row in read_manifest(workspace.blobs, parent.content_id)}
            for row in read_manifest(workspace.blobs, item.content_id):
                now, was = current.get(row.sample), before[row.sample]
                if now is None or rests_on_users(now):
                    continue
                if _judgement(now) == _judgement(row) != _judgement(was):
                    current[row.sample] = replace(was, split=now.split, group=now.group)
        item = parent
    return [current[row.sample] for row in rows]


def _judgement(row: Row) -> tuple[str | None, int, Status]:
    return row.label, row.trust, row.status


def _usual_extractor(workspace: Workspace, dataset: str) -> str | None:
    """What the champion looks through; None where there is none."""
    with workspace.database.read() as connection:
        crowned = alias_state(connection, dataset, CHAMPION).version
        return None if crowned is None else get_model(connection, f"{dataset}@{crowned}").extractor


def _why(found: Audit, action: str) -> str:
    credence = float(found.credence.mean())
    if credence > _SURE or action == "drop":
        return found.why
    return f"{found.why}; most of what the scores contradict seems right, so doubts count by {credence:.0%}"


def _audit(
    looks: Sequence[NDArray[np.float32]], rows: Sequence[Row], votes: Mapping[str, Sequence[Vote]], rule: str
) -> Audit:
    groups = [row.group for row in rows]
    voters = [_voter(row, votes.get(row.sample, ())) for row in rows]
    return audit(
        looks[0],
        [str(row.label) for row in rows],
        sample_weight=[row.trust / TRUST_SCALE for row in rows],
        groups=groups if len(set(groups)) < len(groups) else None,
        voter=voters if len(set(voters)) > 1 else None,
        trusted=[row.split is Split.TRUSTED or _is_truth(row, votes.get(row.sample, ())) for row in rows],
        looks=looks[1:],
        rule=rule,
    )


def _voter(row: Row, votes: Sequence[Vote]) -> str:
    """Who gave the label, last of all who did; of one that nobody gave, who said anything."""
    said = [vote for vote in votes if vote.role is not Role.GROUND_TRUTH]
    return next((vote.voter for vote in reversed(said) if vote.label == row.label), said[-1].voter if said else "")


def _is_truth(row: Row, votes: Sequence[Vote]) -> bool:
    return any(vote.role is Role.GROUND_TRUTH and vote.voter != KEEPER and vote.label == row.label for vote in votes)


def _believed(row: Row, found: Audit, belief: Belief, place: int) -> Row:
    """The row as the audit leaves it."""
    trust, fate = float(found.trust[place]), str(belief.fate[place])
    if not found.suspect[place] and trust >= _SURE:
        return row
    label, suggested = str(belief.labels[place]), str(found.suggested[place])
    thousandths = round(TRUST_SCALE * float(belief.weight[place]))
    reason = row.reason
    if fate == RELABELLED:
        reason = f"audit: was {row.label}, {trust:.1%} likely right"
    elif found.suspect[place]:
        reason = f"audit: {trust:.1%} likely right, rather {suggested}"
    if fate == DROPPED:
        return replace(row, status=Status.SUSPECT, trust=round(TRUST_SCALE * trust), reason=reason)
    return replace(row, label=label, trust=thousandths, reason=reason)


def _fates(judged: Sequence[Row], changed: Mapping[str, Row]) -> dict[str, int]:
    fates = Counter({"reweighed": 0, "relabelled": 0, "dropped": 0})
    for row in judged:
        after = changed.get(row.sample, row)
        if after.status is Status.SUSPECT:
            fates["dropped"] += 1
        elif after.label != row.label:
            fates["relabelled"] += 1
        elif after.trust != row.trust:
            fates["reweighed"] += 1
    return dict(fates)


def _suspects(
    judged: Sequence[Row], found: Audit, belief: Belief, may_change: NDArray[np.bool_]
) -> tuple[Suspect, ...]:
    places = np.flatnonzero(found.suspect & may_change)
    order = places[np.lexsort((found.margin[places], found.trust[places]))]
    return tuple(
        Suspect(
            sample=judged[place].sample,
            split=judged[place].split,
            given=str(found.given[place]),
            suggested=str(found.suggested[place]),
            trust=float(found.trust[place]),
            margin=float(found.margin[place]),
            fate=str(belief.fate[place]),
        )
        for place in order.tolist()
    )


def _truth(judged: Sequence[Row], votes: Mapping[str, Sequence[Vote]], found: Audit, belief: Belief) -> Truth | None:
    kept = [kept_truth(row, votes.get(row.sample, ())) for row in judged]
    known = [place for place, label in enumerate(kept) if label is not None]
    if not known:
        return None
    truth = np.array([kept[place] for place in known])
    wrong, suspect = found.given[known] != truth, found.suspect[known]
    return Truth(
        wrong=int(wrong.sum()),
        found=int((wrong & suspect).sum()),
        suspected=int(suspect.sum()),
        restored=int((wrong & (belief.labels[known] == truth)).sum()),
    )
