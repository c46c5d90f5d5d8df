"""One job: learn, judge, store, register, report, repeat in MLflow. Every step can be taken again."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError
from pellucid.flow.environment import environment
from pellucid.flow.training.card import model_card
from pellucid.flow.training.learn import Learnt, Material, gather, learn
from pellucid.flow.training.mirror import mirror_aliases
from pellucid.flow.training.portable import write_portable
from pellucid.flow.training.predictor import write_model
from pellucid.flow.training.replay import REPLAY, replayed
from pellucid.flow.training.report import write_report
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.datasets import get_version
from pellucid.store.jobs import finish
from pellucid.store.models import get_model, mirror_version, register_model, set_mirrored, unmirrored
from pellucid.types import Job, ModelVersion, Status

EVALUATION_FILE = "evaluation.json"


def do_job(workspace: Workspace, job: Job, *, progress: Progress = no_progress) -> ModelVersion:
    """Trains the job's model, registers it and writes its report.

    The model's files are stored first, under the digest of their content; the transaction that registers the model
    ends the job; the report and MLflow come last, and what fails or is stopped there the next worker completes.

    Raises:
        ConcurrencyError: the job was taken over or cancelled; nothing was registered.
        DataError, UsageError: the dataset cannot be learnt from with this model and these settings.
    """
    with workspace.database.read() as connection:
        version = get_version(connection, job.dataset)
    extractor = workspace.extractor(job.extractor)
    for path in extractor.files.values():
        workspace.blobs.put("weights", path.read_bytes())
    material = gather(workspace, version, extractor, progress=progress)
    settings = dict(job.settings)
    replay = settings.pop(REPLAY, None)
    if replay is not None:
        material = replayed(workspace, material, replay)
    learnt = learn(material, extractor, job.model, settings, job.seed, progress=progress)
    progress("registering and reporting", 0, None)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        model_id = _write(folder, job, material, learnt)
        uri = workspace.artifacts.put_folder("models", model_id, folder)
    values = {
        "name": version.dataset,
        "id": model_id,
        "dataset": version.ref,
        "head": job.model,
        "extractor": extractor.spec,
        "fingerprint": extractor.fingerprint,
        "settings": dict(job.settings),
        "classes": list(version.classes),
        "metrics": metrics_of(learnt),
        "uri": uri,
    }
    with workspace.database.write() as connection:
        model = register_model(connection, job.id, values)
        finish(connection, job)
    _try_to_complete(workspace, model)
    return model


def complete(workspace: Workspace, model: ModelVersion) -> None:
    """Writes a registered model's report and repeats the model in MLflow, unless that is done already."""
    with _one_at_a_time(workspace):
        with workspace.database.read() as connection:
            if mirror_version(connection, model) is not None:
                return
        report = write_report(workspace, model)
        with tempfile.TemporaryDirectory() as scratch:
            pyfunc = Path(scratch) / "pyfunc"
            write_portable(workspace, model, pyfunc, with_weights=False)
            details = json.loads((report / EVALUATION_FILE).read_text(encoding="utf-8"))
            number = workspace.tracking.mirror(model, pyfunc, report, _series(model, details))
        with workspace.database.write() as connection:
            set_mirrored(connection, model, number)
            aliases = get_model(connection, model.ref).aliases
        if aliases:
            mirror_aliases(workspace, model.name)


def complete_all(workspace: Workspace, *, min_age: float = 0.0, progress: Progress = no_progress) -> int:
    """Completes the models that a killed worker left registered but without report or mirror; returns how many.

    A model that cannot be completed is named in the log and does not stop the rest.

    Args:
        min_age: seconds; a younger model's own worker may still be at it.
    """
    until = datetime.now(UTC) - timedelta(seconds=min_age)
    with workspace.database.read() as connection:
        waiting = [model for model in unmirrored(connection) if model.created_at <= until]
    done = 0
    for number, model in enumerate(waiting):
        progress("completing", number, len(waiting))
        done += _try_to_complete(workspace, model)
    return done


def _try_to_complete(workspace: Workspace, model: ModelVersion) -> bool:
    try:
        complete(workspace, model)
    except Exception as error:  # noqa: BLE001 - the model is sound and registered, whatever its report runs into
        logging.getLogger(__name__).warning(
            "%s is registered, but its report or its copy in MLflow is not complete: %s%s",
            model.ref,
            error if isinstance(error, PellucidError) else f"{type(error).__name__}: {error}",
            "" if "models mirror" in str(error) else "; `pellucid models mirror` tries again",
        )
        return False
    return True


@contextlib.contextmanager
def _one_at_a_time(workspace: Workspace) -> Iterator[None]:
    """Lets one process of this machine at a time write to MLflow, so that no model comes to stand there twice."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    workspace.cache.mkdir(parents=True, exist_ok=True)
    with (workspace.cache / "mirror.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def metrics_of(learnt: Learnt) -> dict[str, float]:
    """The metrics with their 95 % intervals, flat."""
    found: dict[str, float] = {}
    for name, estimate in learnt.evaluation.metrics.items():
        found |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return found


def _write(folder: Path, job: Job, material: Material, learnt: Learnt) -> str:
    version = material.version
    aside = Counter(row.reason or str(row.status) for row in material.rows if row.status is not Status.OK)
    details = {
        "evaluation": learnt.evaluation.to_dict(),
        "sizes": [asdict(point) for point in learnt.sizes],
        "epochs": [asdict(point) for point in learnt.epochs],
        "n_train": len(material.train.rows),
        "set_aside": dict(sorted(aside.items())),
    }
    facts: dict[str, Any] = {
        "dataset": version.ref,
        "content_id": version.content_id,
        "head": job.model,
        "settings": dict(job.settings),
        "seed": job.seed,
        "metrics": metrics_of(learnt),
        "environment": environment(),
    }
    extra = {
        EVALUATION_FILE: json.dumps(details, indent=2, ensure_ascii=False, allow_nan=False),
        "README.md": model_card(facts, learnt, material),
    }
    return write_model(folder, learnt.predictor, facts, extra)


def _series(model: ModelVersion, details: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    series = {name: [(0, value)] for name, value in model.metrics.items()}
    series["accuracy_by_images"] = [(point["n"], point["accuracy"]["value"]) for point in details["sizes"]]
    for split in ("train", "test"):
        points = [(point["epoch"], point[split]) for point in details["epochs"]]
        if points:
            series[f"{split}_accuracy_by_epoch"] = points
    return series
