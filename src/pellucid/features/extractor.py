"""The contract of everything that turns pictures into vectors, and the visible registry of its kinds.

A person names an extractor by a *spec*:

- ``classical``: no weights, works offline;
- ``onnx:PATH`` and ``hf://REPO/FILE``: a network in ONNX form;
- ``openvino:PATH``: the same, run by OpenVINO; ``?precision=bf16`` for processors that have it;
- ``timm:NAME``: a network of the timm library, exported to ONNX once;
- ``views:NAME:SPEC``: one of these, of a picture and its mirrored or turned copies together;
- ``package.module:Class``: a class of one's own, see `Weightless` in `pellucid.features.weightless` for the
  short way.

A model remembers an extractor by its *record*, from which `restore_extractor` opens the very same one or
refuses.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import IntegrityError, NotFoundError, UsageError

ENTRY_POINTS = "pellucid.extractors"  # the group in which an installed package offers further kinds

# kind -> "module:Class", imported when first asked for; add to it with `register`
EXTRACTORS: dict[str, str] = {
    "classical": "pellucid.features.classical:Classical",
    "onnx": "pellucid.features.onnx:OnnxExtractor",
    "openvino": "pellucid.features.openvino:OpenVinoExtractor",
    "timm": "pellucid.features.timm:TimmExtractor",
    "views": "pellucid.features.views:Views",
}


class Extractor(Protocol):
    """Pictures in, vectors out. Safe to share between threads; a call uses one CPU thread.

    The vector of a picture depends on that picture alone, not on what else is in the call.
    """

    @property
    def spec(self) -> str:
        """As the user wrote it."""
        ...

    @property
    def record(self) -> Mapping[str, Any]:
        """JSON: kind, spec, description, and under ``identity`` everything that changes a vector."""
        ...

    @property
    def fingerprint(self) -> str:
        """`fingerprint` of the identity: 64 hexadecimal digits; the same weights elsewhere have the same."""
        ...

    @property
    def files(self) -> Mapping[str, Path]:
        """Weight files by role; empty where there are none."""
        ...

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        ...

    @property
    def input_size(self) -> int:
        """Pixels: the ``at_least`` that pictures are to be decoded with, in training and serving alike."""
        ...

    @property
    def description(self) -> str:
        """One line for people: what it is, and what it costs."""
        ...

    def embed(self, images: Iterable[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim), finite, of n pictures of mode RGB, which may be decoded only as they are taken."""
        ...


class ExtractorKind(Protocol):
    """What a class in the registry offers beside its instances' `Extractor`."""

    def open(self, argument: str, *, base: Path | None, cache: Path | None) -> Extractor:
        """From what follows ``kind:`` in a spec; base is where relative paths start, cache may be written."""
        ...

    def restore(self, record: Mapping[str, Any], files: Mapping[str, Path]) -> Extractor:
        """From a record and its weight files, whose digests were already checked."""
        ...


def register(kind: str, target: str) -> None:
    """Add a kind: from then on ``kind`` and ``kind:ARGUMENT`` open the class ``target``, "module:Class".

    Raises UsageError where the kind is taken, or is no name, or the target has another form.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", kind):
        raise UsageError(f"{kind!r} cannot name a kind of extractor; use small letters, digits, - and _")
    if not _is_class_path(target):
        raise UsageError(f"{target!r} is no class; wanted 'package.module:Class'")
    if kind in EXTRACTORS:
        raise UsageError(f"extractor kind {kind!r} is already {EXTRACTORS[kind]}; choose another name")
    EXTRACTORS[kind] = target


def open_extractor(spec: str, *, base: Path | None = None, cache: Path | None = None) -> Extractor:
    """Open what a person named.

    Parameters
    ----------
    spec : see the module's list.
    base : the folder that relative paths in the spec start from; the working directory if None.
    cache : a folder that downloads and exports may be kept in; ``timm:`` needs one.

    Raises UsageError for a spec of no known form, NotFoundError for a missing file or module, SourceError for
    a file that is no usable model, MissingExtraError where an optional dependency is not installed.

    >>> open_extractor("classical").spec
    'classical'
    """
    kinds = _kinds()
    kind, _, argument = spec.partition(":")
    if spec.startswith("hf://"):
        kind, argument = "onnx", spec
    if kind in kinds:
        return _load(kinds[kind]).open(argument, base=base, cache=cache)
    if _is_class_path(spec):
        return _load(spec).open("", base=base, cache=cache)
    raise UsageError(
        f"{spec!r} names no extractor; wanted hf://REPO/FILE, package.module:Class or one of the kinds "
        f"{', '.join(sorted(kinds))} (onnx:PATH, openvino:PATH, timm:NAME, views:NAME:SPEC)"
    )


def restore_extractor(
    record: Mapping[str, Any], files: Mapping[str, Path], *, trusted: Collection[str] = ()
) -> Extractor:
    """Open what a model's record names, or refuse: the vectors will be those that the model was trained on.

    Digests of all files are checked before anything is imported or constructed. A record comes with a model,
    perhaps from elsewhere, so a ``package.module:Class`` in it is imported only where it stands in
    ``trusted``; registered kinds and those of installed packages need no such word.

    Raises IntegrityError where the record or a file is not what was recorded, NotFoundError for a missing
    file and UsageError for a class that is not trusted.

    >>> restore_extractor(open_extractor("classical").record, {}).spec
    'classical'
    """
    kind, identity = record.get("kind"), record.get("identity")
    digests = identity.get("files") if isinstance(identity, Mapping) else None
    if not isinstance(kind, str) or not isinstance(identity, Mapping) or not isinstance(digests, Mapping):
        raise IntegrityError("an extractor record without kind, identity or files; the model file is damaged")
    if identity.get("kind") != kind or set(digests) != set(files):
        raise IntegrityError(
            f"the extractor record of kind {kind!r} wants the files {sorted(digests)}, not {sorted(files)}"
        )
    for role, path in files.items():
        if file_digest(path) != digests[role]:
            raise IntegrityError(f"{path} is not the {role} file that was recorded; restore it or train again")
    kinds = _kinds()
    if kind not in kinds and kind not in trusted:
        raise UsageError(
            f"the model wants the extractor class {kind!r}, which is not registered; if you trust it, "
            f"offer it as an entry point of {ENTRY_POINTS!r} or pass trusted=[{kind!r}]"
        )
    extractor = _load(kinds.get(kind, kind)).restore(record, files)
    if extractor.fingerprint != fingerprint(identity):
        raise IntegrityError(
            f"extractor {extractor.spec!r} no longer computes the vectors that were recorded (fingerprint "
            f"{extractor.fingerprint[:12]}, recorded {fingerprint(identity)[:12]}); train again"
        )
    return extractor


def fingerprint(identity: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of what changes a vector: keys sorted, no spaces, ASCII.

    >>> fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    True
    """
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file, 64 hexadecimal digits. Raises NotFoundError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise NotFoundError(f"cannot read {path}: {error.strerror}") from error


def _kinds() -> dict[str, str]:
    """The registry and what installed packages add to it."""
    kinds = dict(EXTRACTORS)
    for point in entry_points(group=ENTRY_POINTS):
        if kinds.setdefault(point.name, point.value) != point.value:
            raise UsageError(f"extractor kind {point.name!r} is both {point.value} and {kinds[point.name]}; remove one")
    return kinds


def _is_class_path(text: str) -> bool:
    module, _, name = text.partition(":")
    return name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _load(target: str) -> ExtractorKind:
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise NotFoundError(f"extractor {target!r}: {error}; install it or correct the name") from error
    if not isinstance(found, type) or not all(hasattr(found, part) for part in ("open", "restore", "embed")):
        raise UsageError(f"{target!r} is no extractor; wanted a class with open, restore and embed")
    return cast(ExtractorKind, found)
