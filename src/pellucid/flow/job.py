"""One job: learn, judge, store, register, report, repeat in MLflow. Every step can be taken again."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pellucid.flow.card import model_card
from pellucid.flow.environment import environment
from pellucid.flow.learn import Learnt, Material, gather, learn
from pellucid.flow.portable import write_portable
from pellucid.flow.predictor import write_model
from pellucid.flow.report import write_report
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.datasets import get_version
from pellucid.store.jobs import finish
from pellucid.store.models import register_model, set_mirrored, unmirrored
from pellucid.types import Job, ModelVersion, Status

EVALUATION_FILE = "evaluation.json"


def do_job(workspace: Workspace, job: Job, *, progress: Progress = no_progress) -> ModelVersion:
    """Trains the job's model, registers it and writes its report.

    The model's files are stored first, under the digest of their content; the transaction that registers the model
    ends the job; the report and MLflow come last and are completed by the next worker if this one dies.

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
    learnt = learn(material, extractor, job.model, job.settings, job.seed, progress=progress)
    progress("registering", 0, None)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        model_id = _write(folder, job, material, learnt)
        uri = workspace.artifacts.put_folder("models", model_id, folder)
    with workspace.database.write() as connection:
        model = register_model(
            connection,
            job.id,
            {
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
            },
        )
        finish(connection, job)
    complete(workspace, model, progress=progress)
    return model


def complete(workspace: Workspace, model: ModelVersion, *, progress: Progress = no_progress) -> None:
    """Writes a registered model's report and repeats the model in MLflow; can be done any number of times."""
    progress("reporting", 0, None)
    report = write_report(workspace, model)
    with tempfile.TemporaryDirectory() as scratch:
        pyfunc = Path(scratch) / "pyfunc"
        write_portable(workspace, model, pyfunc, with_weights=False)
        details = json.loads((report / EVALUATION_FILE).read_text(encoding="utf-8"))
        number = workspace.tracking.mirror(model, pyfunc, report, _series(model, details))
    with workspace.database.write() as connection:
        set_mirrored(connection, model, number)


def complete_all(workspace: Workspace, *, progress: Progress = no_progress) -> int:
    """Completes every model that a killed worker left registered but without report or mirror."""
    with workspace.database.read() as connection:
        waiting = unmirrored(connection)
    for model in waiting:
        complete(workspace, model, progress=progress)
    return len(waiting)


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
