"""A model that answers: extractor, head and classes together, and the folder that they are stored as.

The folder holds ``model.json`` (what the model is, with the digest of every other file), ``head.safetensors`` and
``head.json`` (the head), ``evaluation.json`` (how good it is) and ``README.md`` (the model card). The id of a model is
the sha256 of its model.json, so whoever knows the id can tell whether any byte was changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import IntegrityError, VersionError
from pellucid.features.extractor import Extractor, restore_extractor
from pellucid.heads.head import Head, load_head, save_head

# The number of the folder's format. To change it: raise it, describe the change in CHANGELOG.md, keep reading every
# older number in load_predictor, and keep a folder of the old format under tests/flow/models/.
PROTOCOL = 1

_FIELDS: Mapping[str, type] = {
    "protocol": int,
    "pellucid": str,
    "dataset": str,
    "content_id": str,
    "classes": list,
    "head": str,
    "settings": dict,
    "seed": int,
    "extractor": dict,
    "spec": str,
    "fingerprint": str,
    "weights": dict,
    "metrics": dict,
    "environment": dict,
    "files": dict,
}


@dataclass(frozen=True, slots=True)
class Predictor:
    """Images in, probabilities of all classes out."""

    extractor: Extractor
    head: Head
    classes: tuple[str, ...]  # of the dataset, in index order
    facts: Mapping[str, Any] = field(default_factory=dict)  # the content of model.json

    def predict_vectors(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities, (n, K) in the order of ``classes``, of vectors (n, d); a class never learnt gets 0."""
        found = np.zeros((len(X), len(self.classes)))
        if len(X):
            found[:, np.asarray(self.head.classes_, np.intp)] = self.head.predict_proba(X)
        return found

    def predict_images(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        """Probabilities, (n, K), of decoded images."""
        return self.predict_vectors(self.extractor.embed(images))


def write_model(folder: Path, predictor: Predictor, facts: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Writes the model's folder and returns its id.

    Args:
        folder: empty or not there yet.
        facts: dataset, content_id, head, settings, seed, metrics and environment.
        texts: further files by name: the model card README.md, the evaluation.
    """
    from pellucid.version import VERSION

    files = save_head(predictor.head, folder)
    for name, text in texts.items():
        data = text.encode()
        (folder / name).write_bytes(data)
        files[name] = hashlib.sha256(data).hexdigest()
    content = {
        **facts,
        "protocol": PROTOCOL,
        "pellucid": VERSION,
        "classes": list(predictor.classes),
        "extractor": dict(predictor.extractor.record),
        "spec": predictor.extractor.spec,
        "fingerprint": predictor.extractor.fingerprint,
        "weights": {role: _file_digest(path) for role, path in predictor.extractor.files.items()},
        "files": files,
    }
    data = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    (folder / "model.json").write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def load_predictor(
    folder: Path, model_id: str | None, fetch: Callable[[str], Path], *, trusted: bool = False
) -> Predictor:
    """Loads a model's folder; digests, types and sizes are checked before anything is constructed.

    Args:
        model_id: the sha256 that model.json must have; None where nobody recorded it.
        fetch: gives a local file with the weights of that sha256.
        trusted: whether the id comes from a place that vouches for the content, as the project's own registry does;
            only then a class that no package has registered is imported.

    Raises:
        UsageError: it needs a class that is not registered, and is not trusted.
        IntegrityError: something was damaged, edited or removed.
        VersionError: a newer Pellucid wrote it.
    """
    facts = read_facts(folder, model_id)
    head = load_head(folder, facts["files"], trusted=trusted)
    classes = np.asarray(head.classes_)
    if classes.dtype.kind not in "iu" or not ((classes >= 0) & (classes < len(facts["classes"]))).all():
        raise IntegrityError(
            f"the head in {folder} answers with classes {classes[:3].tolist()}... that model.json does not list; "
            "train the model again"
        )
    weights = {role: fetch(digest) for role, digest in facts["weights"].items()}
    kinds = [str(facts["extractor"].get("kind"))] if trusted else []
    extractor = restore_extractor(facts["extractor"], weights, trusted=kinds)
    if extractor.fingerprint != facts["fingerprint"]:
        raise IntegrityError(
            f"the extractor in {folder} has the fingerprint {extractor.fingerprint[:12]}..., wanted is "
            f"{facts['fingerprint'][:12]}...: it no longer computes the vectors that the head was trained on"
        )
    return Predictor(extractor, head, tuple(facts["classes"]), facts)


def read_text(folder: Path, model_id: str, name: str) -> str:
    """One of the model's text files, checked.

    Raises:
        IntegrityError: it was damaged, edited or removed.
    """
    wanted, path = read_facts(folder, model_id)["files"].get(name), folder / name
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != wanted:
        raise IntegrityError(f"{path} was damaged or edited; restore it, or train the model again")
    return data.decode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"{path} cannot be read ({error.strerror}); restore it, or train the model again"
        ) from None


def read_facts(folder: Path, model_id: str | None) -> dict[str, Any]:
    """The content of model.json, checked; errors are those of ``load_predictor``."""
    path = folder / "model.json"
    data = _read(path)
    found = hashlib.sha256(data).hexdigest()
    if model_id is not None and found != model_id:
        raise IntegrityError(
            f"{path} has the digest {found[:12]}..., wanted is {model_id[:12]}...: it was damaged or edited; "
            "restore it, or train the model again"
        )
    try:
        facts = json.loads(data)
    except ValueError as error:
        raise IntegrityError(f"{path} is no JSON ({error}); restore it, or train the model again") from None
    if isinstance(facts, dict) and isinstance(facts.get("protocol"), int) and facts["protocol"] > PROTOCOL:
        raise VersionError(
            f"{path} has protocol {facts['protocol']}, this Pellucid reads up to {PROTOCOL}: it was written by a newer "
            "one; upgrade this one (pip install -U pellucid)"
        )
    if not isinstance(facts, dict) or {key: type(value) for key, value in facts.items()} != _FIELDS:
        raise IntegrityError(f"{path} does not have the fields of a model; wanted are {', '.join(sorted(_FIELDS))}")
    texts = [*facts["classes"], *facts["weights"].values(), *facts["files"].values()]
    if not all(isinstance(text, str) for text in texts):
        raise IntegrityError(f"{path} holds classes or digests that are no texts; train the model again")
    return cast("dict[str, Any]", facts)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
