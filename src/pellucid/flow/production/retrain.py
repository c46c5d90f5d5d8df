"""Retrain: a firing becomes a frozen version, an audit, candidates, a verdict, and where asked for a champion."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from pellucid.errors import ConcurrencyError, PellucidError, StorageError, TrainingError
from pellucid.flow.data.clean import clean
from pellucid.flow.data.embed import find_lost
from pellucid.flow.data.said import UNSPOKEN, Spoken
from pellucid.flow.data.version import VOTES, commit_votes, rules_of, without_retracted
from pellucid.flow.heartbeat import Heartbeat
from pellucid.flow.online.spoken import settle_spoken
from pellucid.flow.production.gate import gate
from pellucid.flow.production.promote import promote
from pellucid.flow.production.triggers import Drifted, Plan, check_dataset, due, new_votes, plan_of
from pellucid.flow.training.grid import Grid, expand
from pellucid.flow.training.replay import REPLAY
from pellucid.flow.training.worker import work, worker_name
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.aliases import CANDIDATE, CHAMPION, alias_state
from pellucid.store.datasets import get_version, list_versions
from pellucid.store.firings import HAND, Firing, FiringState, end, fire, give_back, note, renew
from pellucid.store.jobs import enqueue, list_jobs
from pellucid.store.manifests import read_manifest
from pellucid.store.models import get_model, list_models
from pellucid.store.verdicts import Verdict
from pellucid.store.votes import newest_vote, samples_voted
from pellucid.types import DatasetVersion, JobState, ModelVersion, Status

_ATTEMPTS = 5  # versions that others may commit between the freezing and the audit

Told = Callable[["Retraining"], None]


@dataclass(frozen=True, slots=True)
class Retraining:
    """What came of a firing."""

    firing: Firing  # as it ended
    version: str | None  # dataset version that was trained on; None where nothing was trained
    models: tuple[str, ...]  # the candidates, best first
    candidate: str | None  # the best of them, which has the alias now
    verdict: Verdict | None  # of the gate; None where there was no champion to be measured against
    promoted: bool
    message: str  # the same in words


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a retraining would do now."""

    dataset: str  # name
    newest: str  # version that it would start from
    new_votes: int  # since the last retraining
    taken_back: int  # images whose label in that version rests on votes that were taken back since
    learnt: bool  # whether a model was trained on that version already
    plan: Plan

    @property
    def nothing(self) -> bool:
        """Whether there is nothing that the newest trained version does not hold."""
        return self.learnt and not self.new_votes and not self.taken_back


def retrain(workspace: Workspace, firing: Firing, *, progress: Progress = no_progress) -> Retraining:
    """Does what a claimed firing asks for; every step can be taken again by whoever takes it over.

    The votes that were said directly are frozen into a version, its labels are audited, and the candidates of [retrain]
    are trained on it through the queue. The most accurate one on the test images gets the alias ``candidate`` and is
    judged by the gate; where [retrain] says ``promote = "gate"``, one that passes becomes champion. A first champion
    needs no gate; a candidate that could not be judged, for want of trusted images, is left to people.

    Where nothing was said that the newest trained version does not hold, nothing is trained.

    Raises:
        ConcurrencyError: the firing was taken over; what was made stands and is the other worker's to tell.
        DataError, TrainingError, UsageError: there was too little to learn from, or no candidate could be trained; kept
            with the firing.
    """
    plan = plan_of(workspace.settings, firing.dataset)
    assert plan is not None  # noqa: S101 - a dataset was named
    lease = workspace.settings.lease_seconds

    def still_mine(message: str) -> bool:
        with workspace.database.write() as connection:
            return renew(connection, firing, lease, message)

    try:
        with Heartbeat(still_mine, lease, f"the retraining of {firing.dataset}") as heartbeat:

            def tell(what: str, done: int, total: int | None) -> None:
                heartbeat.say(what)
                progress(what, done, total)

            return _Run(workspace, firing, plan, tell).run()
    except (KeyboardInterrupt, SystemExit):
        _give_back(workspace, firing)
        raise
    except ConcurrencyError:
        _give_back(workspace, firing)  # the data moved under it; where the firing itself was lost, this does nothing
        raise
    except StorageError:
        with suppress(StorageError):
            _give_back(workspace, firing)
        raise  # the retraining is sound, this machine is not
    except Exception as error:  # a user's own head or extractor may raise anything; the firing keeps the reason
        text = str(error) if isinstance(error, PellucidError) else f"{type(error).__name__}: {error}"
        with suppress(ConcurrencyError), workspace.database.write() as connection:
            end(connection, firing, FiringState.FAILED, message=" ".join(text.split())[:2000])
        raise


def retrain_now(workspace: Workspace, dataset: str, *, progress: Progress = no_progress) -> Retraining:
    """Retrains because a person says so; errors are those of ``retrain``.

    Raises:
        NotFoundError: there is no such dataset.
    """
    plan_of(workspace.settings, dataset)
    with workspace.database.write() as connection:
        check_dataset(connection, dataset)
        detail = {"why": "asked for by hand", "upto": newest_vote(connection, dataset)}
        lease, worker = workspace.settings.lease_seconds, worker_name()
        key = uuid.uuid4().hex
        firing = fire(workspace.database, connection, dataset, HAND, key, worker=worker, lease=lease, detail=detail)
    assert firing is not None  # noqa: S101 - its key is new
    return retrain(workspace, firing, progress=progress)


def outlook(workspace: Workspace, dataset: str) -> Outlook:
    """What a retraining would do now; changes nothing.

    Raises:
        NotFoundError: there is no such dataset.
        ConfigError: [retrain] cannot be used.
    """
    plan = plan_of(workspace.settings, dataset)
    assert plan is not None  # noqa: S101 - a dataset was named
    with workspace.database.read() as connection:
        check_dataset(connection, dataset)
        version = get_version(connection, dataset)
        count, _ = new_votes(connection, dataset, failed=False)
        taken_back = len(without_retracted(connection, version, read_manifest(workspace.blobs, version.content_id)))
    return Outlook(dataset, version.ref, count, taken_back, _is_learnt(workspace, version), plan)


class Retrainings:
    """Looks at the triggers whenever it is asked to and retrains what is due; for `pellucid worker --watch`."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        drift: Drifted | None = None,
        report: Told = lambda outcome: None,
        progress: Progress = no_progress,
    ) -> None:
        self._workspace = workspace
        self._worker = worker_name()
        self._drift = drift
        self._report = report
        self._progress = progress

    def look(self) -> None:
        """Retrains what has come true since; one that fails is told in the log and kept with its firing.

        Raises:
            StorageError: this machine cannot go on.
        """
        for firing in due(self._workspace, worker=self._worker, drift=self._drift):
            try:
                self._report(retrain(self._workspace, firing, progress=self._progress))
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - the worker lives on, and the firing keeps the reason
                logging.getLogger(__name__).warning("the retraining of %s failed: %s", firing.dataset, error)


class _Run:
    """One retraining, from the votes to the verdict."""

    def __init__(self, workspace: Workspace, firing: Firing, plan: Plan, progress: Progress) -> None:
        self._workspace = workspace
        self._firing = firing
        self._plan = plan
        self._progress = progress

    def run(self) -> Retraining:
        dataset = self._firing.dataset
        made = self._firing.detail.get("version")  # where a worker died over it, its version stands
        if made is None:
            frozen = self._freeze()
            if _is_learnt(self._workspace, frozen):
                message = f"nothing new to learn: {frozen.ref} is learnt already"
                return self._end(FiringState.NOTHING, None, [], None, promoted=False, message=message)
            version = self._audit(frozen)
            with self._workspace.database.write() as connection:
                note(connection, self._firing, version=version.ref)
        else:
            with self._workspace.database.read() as connection:
                version = get_version(connection, str(made))
        models = self._train(version)
        best = models[0]
        with self._workspace.database.read() as connection:
            champion = alias_state(connection, dataset, CHAMPION).version
            candidate = alias_state(connection, dataset, CANDIDATE).version
        self._progress("judging", 0, None)
        why = f"retrained: {self._firing.detail.get('why', '')}"
        if candidate != best.version:
            promote(self._workspace, best.ref, alias=CANDIDATE, reason=why)
        if champion == best.version:
            message = f"{best.ref} is the champion already"
            return self._end(FiringState.DONE, version, models, None, promoted=False, message=message)
        verdict = None if champion is None else gate(self._workspace, best.ref, progress=self._progress)
        promoted = self._plan.promote == "gate" and (verdict is None or verdict.passed)
        if promoted:
            promote(self._workspace, best.ref, reason=why, verdict=verdict)
        message = _in_words(best, verdict, promoted=promoted)
        return self._end(FiringState.DONE, version, models, verdict, promoted=promoted, message=message)

    def _freeze(self) -> DatasetVersion:
        """The newest version, with what was said directly since the last freezing."""
        dataset, database = self._firing.dataset, self._workspace.database
        with database.write() as connection:
            upto = newest_vote(connection, dataset)
            note(connection, self._firing, upto=upto)  # also what was said since it was asked for
        spoken = self._settle()  # whoever speaks meanwhile waits for the next one, and is not taken at his word
        self._progress("freezing", 0, None)
        with database.read() as connection:
            newest = get_version(connection, dataset)
            after = max(int(item.recipe.get(VOTES, 0)) for item in list_versions(connection, dataset))
        rules = rules_of(newest)
        lost = self._find_lost(newest, (after, upto))
        recipe = {"verb": "retrain", "trigger": self._firing.trigger, VOTES: upto, **rules.to_dict()}
        made, _, _ = commit_votes(
            self._workspace,
            dataset,
            rules=rules,
            recipe=recipe,
            said=(after, upto),
            lost=lost,
            spoken=spoken,
            progress=self._progress,
        )
        return made

    def _settle(self) -> Spoken:
        """What is believed of images that users have spoken of; nothing without a model to ask."""
        previous = self._previous()
        if previous is None:
            return UNSPOKEN
        self._progress("settling what users say", 0, None)
        try:
            return settle_spoken(self._workspace, previous)
        except StorageError:
            raise
        except PellucidError as error:
            what = "users of %s are taken at their word, and not heard against others: %s cannot be asked: %s"
            logging.getLogger(__name__).warning(what, previous.name, previous.ref, error)
            return UNSPOKEN

    def _find_lost(self, newest: DatasetVersion, said: tuple[int, int]) -> frozenset[str]:
        """Samples that nobody can learn from, because their images are gone; the others do not suffer for them."""
        rows = read_manifest(self._workspace.blobs, newest.content_id)
        with self._workspace.database.read() as connection:
            voted = samples_voted(connection, newest.dataset, said)
        usable = [row.sample for row in rows if row.status in (Status.OK, Status.SET_ASIDE)]
        wanted = list(dict.fromkeys([*usable, *voted]))
        extractor = self._workspace.extractor(self._extractor())
        lost = find_lost(self._workspace, extractor, wanted, progress=self._progress)
        if 2 * len(lost) > len(wanted):
            raise StorageError(
                f"{len(lost)} of {len(wanted)} images of {newest.dataset} are gone or damaged, too many to do without; "
                "see that blob_url names the place where they are, and that it is there"
            )
        if lost:
            what = "%d images of %s are gone or damaged, %s... among them; they are not learnt from until they are back"
            logging.getLogger(__name__).warning(what, len(lost), newest.dataset, min(lost)[:12])
        return lost

    def _audit(self, frozen: DatasetVersion) -> DatasetVersion:
        if not self._plan.clean:
            return frozen
        for _ in range(_ATTEMPTS):
            with suppress(ConcurrencyError):
                report = clean(self._workspace, frozen.dataset, extractor=self._extractor(), progress=self._progress)
                return report.version
        raise ConcurrencyError(f"{frozen.dataset} is being changed all the time by others; the next worker tries again")

    def _train(self, version: DatasetVersion) -> list[ModelVersion]:
        """The candidates, best first: by accuracy on the test images, then by log loss."""
        workspace, plan = self._workspace, self._plan
        extractor = self._extractor()
        grid = Grid(
            datasets=(version.ref,),
            models=plan.models,
            settings=plan.settings,
            extractors=() if extractor is None else (extractor,),
            seed=workspace.settings.seed,
        )
        specs = expand(workspace, grid)
        previous = self._previous()
        if plan.replay > 0 and previous is not None:
            memory = {"share": plan.replay, "since": previous.dataset}
            specs += [replace(spec, settings={**spec.settings, REPLAY: memory}) for spec in specs]
        with workspace.database.write() as connection:
            ids = [job.id for job in enqueue(workspace.database, connection, specs)]
        work(workspace, only=ids, progress=lambda job: self._progress)
        with workspace.database.read() as connection:
            ended = list_jobs(connection, ids)
            models = [get_model(connection, job.result) for job in ended if job.result]
        if not models:
            reasons = "; ".join(f"job {job.id} {job.state}: {job.message}" for job in ended)
            raise TrainingError(f"no candidate could be trained: {reasons}")
        failed = [job for job in ended if job.state is not JobState.DONE]
        for job in failed:
            logging.getLogger(__name__).warning("job %s %s: %s", job.id, job.state, job.message)
        return sorted(models, key=lambda model: (-model.metrics["accuracy"], model.metrics["log_loss"], model.version))

    def _previous(self) -> ModelVersion | None:
        """The champion, or else the newest model."""
        with self._workspace.database.read() as connection:
            models = list_models(connection, self._firing.dataset)
        return next((model for model in models if CHAMPION in model.aliases), models[0] if models else None)

    def _extractor(self) -> str | None:
        """What the dataset's models look through; None for the project's own where there is no model."""
        previous = self._previous()
        return None if previous is None else previous.extractor

    def _end(
        self,
        state: FiringState,
        version: DatasetVersion | None,
        models: list[ModelVersion],
        verdict: Verdict | None,
        *,
        promoted: bool,
        message: str,
    ) -> Retraining:
        refs = tuple(model.ref for model in models)
        candidate = refs[0] if refs else None
        with self._workspace.database.write() as connection:
            ended = end(
                connection,
                self._firing,
                state,
                message=message,
                models=list(refs),
                verdict=None if verdict is None else verdict.id,
                promoted=promoted,
            )
        return Retraining(ended, None if version is None else version.ref, refs, candidate, verdict, promoted, message)


def _is_learnt(workspace: Workspace, version: DatasetVersion) -> bool:
    """Whether a model was trained on just these rows."""
    with workspace.database.read() as connection:
        same = {
            item.ref for item in list_versions(connection, version.dataset) if item.content_id == version.content_id
        }
        return any(model.dataset in same for model in list_models(connection, version.dataset))


def _give_back(workspace: Workspace, firing: Firing) -> None:
    with workspace.database.write() as connection:
        give_back(connection, firing)


def _in_words(best: ModelVersion, verdict: Verdict | None, *, promoted: bool) -> str:
    if verdict is None:
        return f"{best.ref} is the first champion" if promoted else f"{best.ref} is the candidate; there is no champion"
    if verdict.passed:
        return f"{best.ref} {'is champion' if promoted else 'may become champion'}: {verdict.line}"
    what = "refused by the gate: " if verdict.judged else ""
    return f"{best.ref} is the candidate and was {what}{verdict.line}"
