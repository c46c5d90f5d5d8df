"""Forget: everything that one voter has said is taken back, and the champion unlearns it exactly."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, DataError, NotFoundError, UsageError
from pellucid.flow.environment import current_user
from pellucid.flow.online.ahead import Ahead, judge_ahead
from pellucid.flow.online.draft import Draft, drafting
from pellucid.flow.online.effect import Effect, Shift, Yardstick, find_yardstick
from pellucid.flow.online.judging import Judged, differ, judge
from pellucid.flow.online.live import LiveModel
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.datasets import get_version
from pellucid.store.ledger import Entry
from pellucid.store.models import get_model
from pellucid.store.retractions import retract
from pellucid.store.votes import find_votes, look_past
from pellucid.types import KEEPER, Role, Vote

_DIGITS = 4  # of an id that a person has to type at least


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was taken back, and what that changes."""

    dataset: str
    retraction: int | None  # its number; None where nothing was changed
    votes: int  # taken back
    voters: tuple[str, ...]  # who had said them
    samples: int  # that they were on
    unlearnt: int  # samples that the champion has learnt no longer
    changed: int  # samples that it has learnt otherwise: under another label or with another weight
    model: str | None  # "NAME@VERSION" of the champion; None where there is none
    note: str  # what else is to be known, empty for nothing
    guard: Shift | None  # on the guard's half of the trusted images; None where nobody can tell
    test: Shift | None  # on the newest version's test images that the model has not learnt
    answers: int  # newest answers of the champion that were given again
    answers_changed: int  # of them, those with another label
    ledger: int  # the newest entry that the champion then held
    dry_run: bool
    imported: int = 0  # of the votes, those that came with a folder or a file
    truths: int = 0  # of the votes, those that were said as ground truth


def forget(
    workspace: Workspace,
    dataset: str,
    *,
    voter: str | None = None,
    sample: str | None = None,
    since: datetime | None = None,
    reason: str = "",
    actor: str | None = None,
    dry_run: bool = False,
    live: LiveModel | None = None,
    progress: Progress = no_progress,
) -> Forgotten:
    """Takes back the votes that all of what is named fits; they stay on record and count no longer.

    The champion unlearns exactly: each sample goes to where its remaining votes put it, or the training where nothing
    else was said, and every server that follows the ledger goes with it. Votes, retraction and ledger change in one
    transaction. The next version of the dataset follows. Votes that `pellucid corrupt` keeps are left alone.

    Args:
        sample: its id, or at least the first four digits of it.
        since: votes said at that time or later.
        reason: why; kept with the retraction.
        actor: who takes them back; the user of the operating system where None.
        dry_run: computes the same and changes nothing; nobody has to wait for it meanwhile.
        live: the champion, where it is loaded already.

    Raises:
        UsageError: nothing is named.
        NotFoundError: there is no such dataset, or no vote that fits.
        DataError: the champion would be left with fewer than two classes; nothing was changed.
        ConcurrencyError: somebody else took one of the votes back, or promoted another model; nothing was changed.
    """
    if voter is None and sample is None and since is None:
        raise UsageError("name whose votes to take back: a voter, a sample, or since when")
    if sample is not None and len(sample) < _DIGITS:
        raise UsageError(f"{sample!r} is too short; give at least the first {_DIGITS} digits of an image's id")
    with workspace.database.read() as connection:
        version = get_version(connection, dataset)
        if version.dataset != dataset:
            raise NotFoundError(
                f"{dataset!r} names a version; votes belong to the whole dataset: name {version.dataset}"
            )
        crowned = alias_state(connection, dataset, CHAMPION).version
        champion = None if crowned is None else get_model(connection, f"{dataset}@{crowned}")
    if champion is None:
        live = None
    elif live is None or live.model.ref != champion.ref:
        progress("loading the champion", 0, None)
        live = LiveModel(workspace, champion)
    run = _Run(workspace, dataset, live, _Named(voter, sample, since))
    progress("forgetting", 0, None)
    return run.look() if dry_run else run.run(reason=reason, actor=actor or current_user())


@dataclass(frozen=True, slots=True)
class _Named:
    """Whose votes are taken back; None for any."""

    voter: str | None
    sample: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What was worked out before anybody has to wait."""

    live: LiveModel  # a copy of the champion
    ahead: Ahead
    yardstick: Yardstick


class _Run:
    """One retraction, from the votes to the report."""

    def __init__(self, workspace: Workspace, dataset: str, live: LiveModel | None, named: _Named) -> None:
        self._workspace = workspace
        self._dataset = dataset
        self._live = live
        self._named = named

    def look(self) -> Forgotten:
        """What `run` would report: it unlearns in a copy."""
        found, samples, plan = self._prepare("")
        report = self._report(found, samples, None)
        if plan is not None:
            draft = Draft(plan.live)
            before = draft.live.newest()
            report = self._told(report, draft.live, samples, _unlearn(draft, plan.ahead.judged))
            report = _compared(report, plan.yardstick.compare(before, draft.live.newest()))
        return replace(report, dry_run=True)

    def run(self, *, reason: str, actor: str) -> Forgotten:
        """The report. Votes, retraction and ledger change together or not at all; what that changes is told after it.

        Judging takes the longer the more was said. It is done before the transaction that holds up everybody else, in
        which only those samples are judged again of which somebody spoke meanwhile.
        """
        *_, plan = self._prepare(reason)
        with (
            contextlib.nullcontext() if self._live is None else drafting(self._live) as draft,
            self._workspace.database.write() as connection,
        ):
            if draft is not None:
                draft.hold(connection)
                self._check_champion(connection, draft.live)
            found, samples = self._find(connection)
            number = retract(connection, self._dataset, list(found), actor=actor, reason=reason)
            report = self._report(found, samples, number)
            if draft is not None and plan is not None:
                live = draft.live
                before = live.newest()
                judged, late = plan.ahead.split(live, connection, samples)
                if late:
                    vectors = live.vectors.intact(connection, late)
                    others = judge(live, connection, *vectors, action="unlearn", reason=reason)
                    judged = judged.with_others(others)
                entries = _unlearn(draft, judged)
                draft.record(connection, entries)
                report = replace(self._told(report, live, samples, entries), ledger=draft.ledger)
                after = live.newest()
        return report if plan is None else _compared(report, plan.yardstick.compare(before, after))

    def _prepare(self, reason: str) -> tuple[dict[int, Vote], list[str], _Plan | None]:
        """The votes, the samples that they are on, and what is to be done; nobody waits for it meanwhile.

        There is nothing to be done where no champion learns online.
        """
        live = self._live
        with self._workspace.database.read() as connection:
            fork = None
            if live is not None and live.learns:
                with live.lock:  # before anything is read, so that the model is never older than what it is judged by
                    live.follow(connection)
                    live.refresh(connection)
                    fork = live.fork()
            found, samples = self._find(connection)
            if live is not None:
                self._check_champion(connection, live)
            if fork is None:
                return found, samples, None
            yardstick = find_yardstick(self._workspace, connection, fork)
            vectors = fork.vectors.intact(connection, samples)
            look_past(connection, self._dataset, **asdict(self._named))
            ahead = judge_ahead(fork, connection, samples, vectors, action="unlearn", reason=reason)
        return found, samples, _Plan(fork, ahead, yardstick)

    def _check_champion(self, connection: sa.Connection, live: LiveModel) -> None:
        if alias_state(connection, self._dataset, CHAMPION).version != live.model.version:
            raise ConcurrencyError(f"the champion of {self._dataset} was changed meanwhile; look again and retry")

    def _find(self, connection: sa.Connection) -> tuple[dict[int, Vote], list[str]]:
        """The votes, by number, and the samples that they are on."""
        sample = self._named.sample
        fits = find_votes(connection, self._dataset, **asdict(self._named))
        found = {number: vote for number, vote in fits.items() if vote.voter != KEEPER}
        if not found:
            raise NotFoundError(
                f"{self._dataset} has no vote that counts and fits; `pellucid voters {self._dataset}` lists "
                "who has said how much"
            )
        samples = sorted({vote.sample for vote in found.values()})
        if sample is not None and len(samples) > 1:
            raise NotFoundError(f"{len(samples)} images begin with {sample!r}; give more digits of the id")
        return found, samples

    def _report(self, found: Mapping[int, Vote], samples: Sequence[str], number: int | None) -> Forgotten:
        """Without what the model unlearns."""
        return Forgotten(
            dataset=self._dataset,
            retraction=number,
            votes=len(found),
            voters=tuple(sorted({vote.voter for vote in found.values()})),
            samples=len(samples),
            unlearnt=0,
            changed=0,
            model=None if self._live is None else self._live.model.ref,
            note=self._note(),
            guard=None,
            test=None,
            answers=0,
            answers_changed=0,
            ledger=0 if self._live is None else self._live.ledger,
            dry_run=False,
            imported=sum(vote.import_id is not None for vote in found.values()),
            truths=sum(vote.role is Role.GROUND_TRUTH for vote in found.values()),
        )

    def _note(self) -> str:
        if self._live is None:
            return "there is no champion that could have learnt from them; the next version follows"
        if not self._live.learns:
            return f"the head of {self._live.model.ref} cannot unlearn single images; the next retraining follows"
        return ""

    def _told(self, report: Forgotten, live: LiveModel, samples: Sequence[str], entries: Sequence[Entry]) -> Forgotten:
        """The report with what the model has unlearnt."""
        gone = sum(entry.weight == 0 for entry in entries)
        return replace(
            report,
            unlearnt=gone,
            changed=len(entries) - gone,
            note=_note_lost(live, [name for name in samples if name in live.lost]),
        )


def _unlearn(draft: Draft, judged: Judged) -> list[Entry]:
    """The samples stand where they were judged to; returns what the ledger is to be told of them."""
    moved = differ(draft.live, judged)
    _check_rest(draft.live, moved)
    draft.learn(moved.entries, draft.live.view(moved.X))
    return list(moved.entries)


def _compared(report: Forgotten, effect: Effect) -> Forgotten:
    return replace(
        report,
        guard=effect.guard,
        test=effect.test,
        answers=effect.answers,
        answers_changed=effect.answers_changed,
    )


def _note_lost(live: LiveModel, lost: Sequence[str]) -> str:
    learnt = [name for name in lost if live.stands(name).weight > 0]
    if not learnt:
        return ""
    return (
        f"{len(learnt)} of the images are gone or damaged, {learnt[0][:12]}... among them, and stay learnt as they are "
        f"until {live.model.ref} is loaded with their packs restored; the next retraining follows in any case"
    )


def _check_rest(live: LiveModel, moved: Judged) -> None:
    places = {name: live.classes[place.number] for name, place in live.learnt().items()}
    places |= {entry.sample: str(entry.label) for entry in moved.entries}
    for entry in moved.entries:
        if entry.weight == 0:
            del places[entry.sample]
    n_classes = len(set(places.values()))
    if n_classes < 2:
        raise DataError(
            f"{live.model.ref} would be left with {len(places)} images of {n_classes} classes, and needs two; name "
            "fewer votes, or promote a model that does not rest on these first"
        )
