"""Train: a grid's jobs queued, worked off, and the models that they made."""

from __future__ import annotations

from pellucid.errors import TrainingError
from pellucid.flow.training.grid import Grid, submit
from pellucid.flow.training.worker import work
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.jobs import list_jobs
from pellucid.store.models import get_model
from pellucid.types import JobState, ModelVersion


def train(workspace: Workspace, grid: Grid, *, progress: Progress = no_progress) -> list[ModelVersion]:
    """Trains every combination of the grid that is not trained yet, and returns the models of all.

    Raises:
        UsageError, NotFoundError: a model, a setting or a dataset does not exist.
        TrainingError: a training failed; the others are done all the same.
    """
    ids = [job.id for job in submit(workspace, grid)]
    work(workspace, only=ids, progress=lambda job: progress)
    with workspace.database.read() as connection:
        ended = list_jobs(connection, ids)
        failed = [job for job in ended if job.state is not JobState.DONE]
        if failed:
            reasons = "; ".join(f"job {job.id} {job.state}: {job.message}" for job in failed)
            raise TrainingError(f"{len(failed)} of {len(ended)} trainings did not succeed: {reasons}")
        return [get_model(connection, job.result) for job in ended if job.result]
