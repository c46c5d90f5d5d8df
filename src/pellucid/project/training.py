"""What a project does with its queue of trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.flow.workspace import Progress
from pellucid.project.opened import Opened, several
from pellucid.types import Job, ModelVersion

if TYPE_CHECKING:
    from pellucid.flow.production.retrain import Outlook, Retraining, Told
    from pellucid.flow.training.grid import Grid
    from pellucid.flow.training.monday_tuesday import Benchmark, Plan
    from pellucid.flow.training.worker import Watcher


class TrainingVerbs(Opened):
    """Submit, train, work, retrain, measure; see `pellucid.Project`."""

    def submit(self, grid: Grid) -> list[Job]:
        """Puts a grid of trainings into the queue."""
        from pellucid.flow.training.grid import submit

        return submit(self.workspace, grid)

    def train(
        self,
        *datasets: str,
        models: str | Sequence[str] = ("kernel",),
        settings: Mapping[str, Any] | None = None,
        extractors: str | Sequence[str] = (),
        seed: int | None = None,
    ) -> list[ModelVersion]:
        """Trains every dataset with every model under every combination of settings, and returns the models.

        Args:
            datasets: references, ``"trash"`` or ``"trash@2"``.
            models: head specifications; one may stand alone.
            settings: the values to try of each setting, a list each; one value may stand alone.
            extractors: extractor specifications; the project's own where empty.
            seed: decides every random choice; the project's own where None.

        Raises:
            UsageError, NotFoundError: a model, a setting or a dataset does not exist.
            TrainingError: a training failed; the others are done all the same.
        """
        from pellucid.flow.training.grid import Grid
        from pellucid.flow.training.train import train

        grid = Grid(
            datasets=datasets,
            models=several(models),
            settings={name: several(values) for name, values in (settings or {}).items()},
            extractors=several(extractors),
            seed=self.workspace.settings.seed if seed is None else seed,
        )
        return train(self.workspace, grid, progress=self._progress)

    def monday_tuesday(self, plan: Plan, folder: str | Path, *, jobs: int = 1, again: bool = False) -> Benchmark:
        """Measures methods by the Monday/Tuesday protocol; see ``flow.training.monday_tuesday.run_benchmark``."""
        from pellucid.flow.training.monday_tuesday import run_benchmark

        return run_benchmark(self.workspace, plan, Path(folder), jobs=jobs, again=again, progress=self._progress)

    def work(
        self,
        *,
        only: Sequence[int] | None = None,
        watch: bool = False,
        report: Watcher = lambda job: None,
        retrained: Told = lambda outcome: None,
        progress: Callable[[Job], Progress] | None = None,
    ) -> int:
        """Works off the queue, or the jobs named, or for ever; returns how many were done.

        Args:
            only: ids of jobs.
            watch: goes on for ever, trains what arrives and retrains what is due.
            report: told of each job when it starts and when it ends.
            retrained: told of each retraining.
            progress: told how far a job is.
        """
        from pellucid.flow.production.drift import DriftAlarm
        from pellucid.flow.production.prune import DailyPrune
        from pellucid.flow.production.retrain import Retrainings
        from pellucid.flow.training.worker import work

        shown = progress or (lambda job: self._progress)
        retrainings = Retrainings(self.workspace, report=retrained, drift=DriftAlarm(), progress=self._progress)
        pruning = DailyPrune(self.workspace)

        def between() -> None:
            retrainings.look()
            pruning.look()

        return work(self.workspace, only=only, watch=watch, between=between, report=report, progress=shown)

    def cancel(self, job: int) -> Job:
        """Takes a job out of the queue."""
        from pellucid.flow.training.queue import cancel_job

        return cancel_job(self.workspace, job)

    def retry(self, job: int) -> Job:
        """Puts a failed or cancelled job back into the queue."""
        from pellucid.flow.training.queue import retry_job

        return retry_job(self.workspace, job)

    def jobs(self, ids: Sequence[int] | None = None) -> list[Job]:
        """The queue, in the order in which it is worked off."""
        from pellucid.store.jobs import list_jobs

        with self.workspace.database.read() as connection:
            return list_jobs(connection, ids)

    def retrain(self, dataset: str) -> Retraining:
        """Retrains now, as pellucid.toml's [retrain] says; see ``pellucid.flow.production.retrain.retrain``."""
        from pellucid.flow.production.retrain import retrain_now

        return retrain_now(self.workspace, dataset, progress=self._progress)

    def outlook(self, dataset: str) -> Outlook:
        """What a retraining would do now."""
        from pellucid.flow.production.retrain import outlook

        return outlook(self.workspace, dataset)
