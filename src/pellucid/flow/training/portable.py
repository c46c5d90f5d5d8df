"""A registered model as a folder that MLflow loads anywhere."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.flow.training.predict import fetch_weights, open_predictor
from pellucid.flow.workspace import Workspace
from pellucid.store.models import get_model
from pellucid.store.tracking import write_pyfunc
from pellucid.types import ModelVersion

WEIGHTS_FILE = "weights.json"  # where the extractor's weights are: {sha256: URL, or path relative to the folder}
MODEL_KEY = "model"  # in it, beside them: the model's id

_LOADER = Path(__file__).with_name("mlflow_loader.py")


def write_portable(workspace: Workspace, model: ModelVersion, target: Path, *, with_weights: bool) -> None:
    """Writes the model as an MLflow pyfunc folder.

    Args:
        target: the folder to make.
        with_weights: whether the extractor's weights are copied in, so that the folder needs nothing else, or named
            by the place where the project keeps them.
    """
    weights = open_predictor(workspace, model).facts["weights"].values()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        shutil.copytree(workspace.artifacts.fetch_folder("models", model.id, workspace.cache / "models"), folder)
        places = {MODEL_KEY: model.id}
        for digest in weights:
            if with_weights:
                places[digest] = f"weights-{digest[:16]}"
                shutil.copyfile(fetch_weights(workspace, digest), folder / places[digest])
            else:
                places[digest] = workspace.blobs.url_of("weights", digest)
        (folder / WEIGHTS_FILE).write_text(json.dumps(places, indent=2), encoding="utf-8")
        write_pyfunc(target, loader=_LOADER, model=folder)


def export_model(workspace: Workspace, ref: str, target: Path) -> ModelVersion:
    """Writes a model with all it needs to an empty or new folder.

    Raises:
        UsageError: the folder holds something already.
        NotFoundError: there is no such model.
    """
    with workspace.database.read() as connection:
        model = get_model(connection, ref)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already; name a new or an empty folder")
    if target.is_dir():
        target.rmdir()
    write_portable(workspace, model, target, with_weights=True)
    return model
