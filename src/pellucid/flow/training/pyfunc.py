"""A Pellucid model as MLflow serves it: ``mlflow.pyfunc.load_model("models:/NAME@champion").predict(...)``."""

from __future__ import annotations

import base64
import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pellucid.errors import ImageError, IntegrityError, UsageError
from pellucid.features.decode import Limits, decode
from pellucid.flow.training.portable import MODEL_KEY, WEIGHTS_FILE
from pellucid.flow.training.predict import read_bounded
from pellucid.flow.training.predictor import Predictor, load_predictor
from pellucid.store.blobs import digest_of, read_url, write_whole

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints when it is imported
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel, PythonModelContext


class PellucidModel(PythonModel):  # type: ignore[misc]
    """Paths or bytes of images in; a table of label, confidence and one probability column a class out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the model's folder; every digest is checked before anything is constructed."""
        folder = Path(context.artifacts["model"])
        self._predictor = load_folder(folder)

    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row an image: ``label``, ``confidence`` and ``p(CLASS)`` for each class, or an ``error``.

        Args:
            model_input: paths (str) or contents (bytes) of images, as a list, an array, a Series, or the first column
                of a DataFrame; base64 text where a path cannot be meant.
        """
        rows = [_row(self._predictor, item) for item in _items(model_input)]
        columns = ["label", "confidence", *(f"p({name})" for name in self._predictor.classes), "error"]
        return pd.DataFrame(rows, columns=columns)


def offer() -> None:
    """Tells MLflow, which runs the loader file of a model that it loads, what to load."""
    set_model(PellucidModel())


def load_folder(folder: Path) -> Predictor:
    """A model that lies beside its weights, or that knows where they are."""
    try:
        places = json.loads((folder / WEIGHTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{folder / WEIGHTS_FILE} cannot be read ({error}); register the model again") from None
    scratch = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pellucid" / "weights"

    def fetch(digest: str) -> Path:
        place = str(places.get(digest, ""))
        if not place:
            raise IntegrityError(f"{folder / WEIGHTS_FILE} does not tell where the weights {digest[:12]}... are")
        if "://" not in place:
            return folder / place
        target = scratch / digest
        if not target.is_file() or digest_of(target.read_bytes()) != digest:
            scratch.mkdir(parents=True, exist_ok=True)
            write_whole(target, read_url(place))
        return target

    recorded = places.get(MODEL_KEY) if isinstance(places, dict) else None
    return load_predictor(folder, recorded if isinstance(recorded, str) else None, fetch)


def _items(model_input: Any) -> Iterable[Any]:
    if isinstance(model_input, pd.DataFrame):
        return list(model_input.iloc[:, 0])
    if isinstance(model_input, str | bytes | bytearray | Path):
        return [model_input]
    if isinstance(model_input, Iterable):
        return list(model_input)
    raise UsageError(f"{type(model_input).__name__} was offered; wanted are paths or contents of images")


def _row(predictor: Predictor, item: Any) -> dict[str, Any]:
    try:
        picture = decode(_bytes_of(item), at_least=predictor.extractor.input_size)
    except ImageError as error:
        return {"error": str(error)}
    row = predictor.predict_images([picture.image])[0]
    shares = {f"p({name})": float(share) for name, share in zip(predictor.classes, row, strict=True)}
    return {
        "label": predictor.classes[int(row.argmax())],
        "confidence": float(row.max()),
        **shares,
        "error": None,
    }


def _bytes_of(item: Any) -> bytes:
    if isinstance(item, bytes | bytearray | np.bytes_):
        return bytes(item)
    if isinstance(item, str | Path):
        if os.path.isfile(item):  # noqa: PTH113 - Path.is_file raises where a base64 text is too long for a name
            return read_bounded(Path(item), Limits().max_bytes)
        try:
            return base64.b64decode(str(item), validate=True)
        except ValueError:
            raise ImageError("missing", f"{str(item)[:200]} is no file and no base64 image") from None
    raise ImageError("not an image", f"{type(item).__name__} was offered; wanted is a path or the bytes of an image")
