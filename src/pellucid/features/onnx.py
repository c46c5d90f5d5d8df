"""Networks in ONNX form, run by onnxruntime: no PyTorch is needed to train a head, to clean or to serve.

Pictures go through one at a time. On CPUs several threads, each with one picture, are faster than one batch
on several threads, and the vector of a picture cannot depend on its company.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import IntegrityError, MissingExtraError, NotFoundError, SourceError, UsageError
from pellucid.features.extractor import fingerprint
from pellucid.features.preprocess import Preprocess

_TOGETHER = 1 << 22  # numbers, 16 MiB: pixels of pictures that wait together; 27 of 224 x 224
VERSION = 1  # count it up whenever the same file and preprocessing give other vectors
MODEL = "model"  # the role of the one weight file


class Network(Protocol):
    """A network of one image input and one output, loaded; safe to share between threads."""

    size: tuple[int, int] | None  # height and width that it takes, None where they are free

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        """The output for pixels (1, 3, height, width). Raises SourceError where it does not run."""
        ...


class OnnxExtractor:
    """One input (n, 3, height, width) float32 of any name, one output (n, d) or (n, d, 1, 1) float32, in one file.

    ``PATH.json`` beside ``PATH`` holds the preprocessing (`Preprocess.to_dict`) where it is not the default.
    """

    kind = "onnx"

    def __init__(self, path: Path, spec: str, preprocess: Preprocess | None = None, description: str = "") -> None:
        """Raises NotFoundError, SourceError (no usable model) or UsageError (unfit preprocessing)."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise NotFoundError(f"cannot read the ONNX model {path}: {error.strerror}") from error
        self.spec = spec
        self.files: Mapping[str, Path] = {MODEL: path}
        self._network = self._load(content, path)
        size = self._network.size
        self.preprocess = preprocess or Preprocess(size=size or (224, 224))
        if size and self.preprocess.size != size:
            raise UsageError(f"{path} takes pictures of {size}; its preprocessing makes {self.preprocess.size}")
        self.dim = self._probe(path)
        self.input_size = self.preprocess.at_least
        height, width = self.preprocess.size
        self.description = description or f"ONNX network {path.name}: {self.dim} features of {width} x {height} pixels"
        self._digest = hashlib.sha256(content).hexdigest()

    @classmethod
    def open(cls, argument: str, *, base: Path | None, cache: Path | None) -> Self:
        """From a path, or from ``hf://REPO/FILE``."""
        if not argument:
            raise UsageError("'onnx' wants a file: onnx:PATH or hf://REPO/FILE")
        path, preprocess = locate(argument, base, cache)
        return cls(path, argument if argument.startswith("hf://") else f"onnx:{argument}", preprocess)

    @classmethod
    def restore(cls, record: Mapping[str, Any], files: Mapping[str, Path]) -> Self:
        """With the recorded preprocessing, whatever lies beside the file. Raises IntegrityError."""
        try:
            preprocess = Preprocess.from_dict(record["identity"]["preprocess"])
            return cls(files[MODEL], record["spec"], preprocess, record["description"])
        except (KeyError, TypeError, UsageError) as error:
            raise IntegrityError(f"the extractor record is damaged: {error}") from error

    @property
    def record(self) -> dict[str, Any]:
        """As `Extractor` says."""
        identity = {
            "kind": self.kind,
            "version": VERSION,
            "preprocess": self.preprocess.to_dict(),
            "dim": self.dim,
            "files": {MODEL: self._digest},
            **self._traits(),
        }
        return {"kind": self.kind, "spec": self.spec, "description": self.description, "identity": identity}

    @property
    def fingerprint(self) -> str:
        """Of the file's content and the preprocessing; where the file lies does not matter."""
        return fingerprint(self.record["identity"])

    def embed(self, images: Iterable[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim). Raises SourceError where the network gives values that are not finite."""
        height, width = self.preprocess.size
        most = max(1, _TOGETHER // (3 * height * width))
        waiting, found = iter(images), []
        # What comes between two runs of the network empties the processor's caches of its weights.
        while pictures := [self.preprocess(image) for image in islice(waiting, most)]:
            found += [self._network(pixels[None]).reshape(-1) for pixels in pictures]
        out = np.array(found, np.float32).reshape(-1, self.dim)
        if not np.isfinite(out).all():
            raise SourceError(f"{self.spec} gives values that are not finite; use weights in float32")
        return out

    def _load(self, content: bytes, path: Path) -> Network:
        return _Session(content, path)

    def _traits(self) -> Mapping[str, Any]:
        """What else changes a vector."""
        return {}

    def _probe(self, path: Path) -> int:
        """The size of a vector, from a dry run."""
        result = self._network(np.zeros((1, 3, *self.preprocess.size), dtype=np.float32))
        size = np.size(result)
        if np.shape(result) not in ((1, size), (1, size, 1, 1)) or size == 0 or result.dtype != np.float32:
            raise SourceError(
                f"{path} gives a result of shape {np.shape(result)} for one picture; wanted float32 (1, d) or "
                "(1, d, 1, 1): export it without its classifier, pooled"
            )
        return size


class _Session:
    """By onnxruntime, on the thread that calls."""

    def __init__(self, content: bytes, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised; nothing is to be printed beside them
        # Weights in further files would escape the digest: they are looked for where nothing can be.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except _runtime_errors() as error:
            raise SourceError(f"{path} is no ONNX model that can be run: {line(error)}") from error
        self._input, self.size = _image_input(self._session, path)
        self._path = path

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        try:
            result: NDArray[Any] = self._session.run(None, {self._input: pixels})[0]
        except _runtime_errors() as error:
            raise SourceError(f"{self._path} does not run on pixels {pixels.shape[2:]}: {line(error)}") from error
        return result


def _runtime_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises; its classes have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    return (
        runtime.Fail,
        runtime.InvalidArgument,
        runtime.InvalidGraph,
        runtime.InvalidProtobuf,
        runtime.NotImplemented,
        runtime.RuntimeException,
    )


def _image_input(session: Any, path: Path) -> tuple[str, tuple[int, int] | None]:
    """The name of the image input, and height and width where they are fixed."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise SourceError(f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; wanted one of each")
    shape = inputs[0].shape
    batch, channels, *sides = shape if len(shape) == 4 else (None, None)
    if inputs[0].type != "tensor(float)" or not (channels in (3, None) or isinstance(channels, str)) or not sides:
        raise SourceError(f"{path} takes {inputs[0].type} of shape {shape}; wanted tensor(float) (n, 3, height, width)")
    if isinstance(batch, int) and batch != 1:
        raise SourceError(f"{path} takes {batch} pictures at a time; export it with a batch of 1 or a free one")
    fixed = all(isinstance(side, int) for side in sides)
    return inputs[0].name, (sides[0], sides[1]) if fixed else None


def locate(place: str, base: Path | None, cache: Path | None) -> tuple[Path, Preprocess | None]:
    """The file of ``PATH`` or ``hf://REPO/FILE``, and the preprocessing that lies beside it.

    Raises:
        UsageError: that preprocessing is none.
        NotFoundError: the repository does not have it, or cannot be reached.
    """
    if place.startswith("hf://"):
        path, sidecar = _download(place, cache)
        return path, _read_sidecar(sidecar)
    path = (base or Path()) / place
    return path, _read_sidecar(path.with_name(path.name + ".json"))


def _read_sidecar(path: Path | None) -> Preprocess | None:
    if path is None or not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise UsageError("wanted a JSON object")
        return Preprocess.from_dict(values)
    except (ValueError, OSError, UsageError) as error:
        raise UsageError(f"{path} does not hold a preprocessing: {error}") from error


def _download(address: str, cache: Path | None) -> tuple[Path, Path | None]:
    """Weights and, if there are any, the preprocessing, of ``hf://OWNER/REPO/FILE``."""
    owner, _, rest = address.removeprefix("hf://").partition("/")
    repository, _, file = rest.partition("/")
    if not (owner and repository and file):
        raise UsageError(f"{address!r} names no file; wanted hf://OWNER/REPO/FILE.onnx")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError("hf:// needs the extra 'hub': pip install 'pellucid[hub]'") from error
    repo_id = f"{owner}/{repository}"
    try:
        path = Path(hf_hub_download(repo_id, file, cache_dir=cache))
    except (HfHubHTTPError, EntryNotFoundError, OSError, ValueError) as error:
        raise NotFoundError(f"cannot get {address}: {line(error)}") from error
    try:
        return path, Path(hf_hub_download(repo_id, f"{file}.json", cache_dir=cache))
    except LocalEntryNotFoundError as error:
        raise NotFoundError(f"cannot tell whether {address} has a preprocessing: {line(error)}") from error
    except EntryNotFoundError:
        return path, None


def line(error: BaseException) -> str:
    """What an error of another library says, in one line."""
    return " ".join(str(error).split())
