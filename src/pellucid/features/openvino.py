"""Networks in ONNX form, run by OpenVINO [1]_: on processors that calculate in bfloat16, in half the time.

.. [1] Intel (2018). OpenVINO toolkit. https://github.com/openvinotoolkit/openvino
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self, cast
from urllib.parse import parse_qs

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import IntegrityError, MissingExtraError, SourceError, UsageError
from pellucid.features.onnx import MODEL, Network, OnnxExtractor, line, locate
from pellucid.features.pipeline import usable_cores
from pellucid.features.preprocess import Preprocess

PRECISIONS = ("f32", "bf16")


class OpenVinoExtractor(OnnxExtractor):
    """``openvino:PATH`` and ``openvino:hf://REPO/FILE``, with ``?precision=bf16`` where that is wanted.

    f32 gives what onnxruntime gives, to some parts in a million, and is a little faster. bf16 keeps 8 bits of every
    number: on a processor with AMX a picture takes less than half the time, and the vector points elsewhere by some
    degrees, for training and serving alike. The precision is part of the fingerprint, so a model serves with the one
    that it was trained with; a processor that cannot calculate in bf16 refuses such a model.
    """

    kind = "openvino"

    def __init__(
        self,
        path: Path,
        spec: str,
        preprocess: Preprocess | None = None,
        description: str = "",
        precision: str = "f32",
    ) -> None:
        """Raises what `OnnxExtractor` does, UsageError (precision) and MissingExtraError (no OpenVINO)."""
        if precision not in PRECISIONS:
            raise UsageError(f"{spec!r} wants the precision {precision!r}; there are {' and '.join(PRECISIONS)}")
        self._precision = precision
        super().__init__(path, spec, preprocess, description)
        self.description = description or f"{self.description}, by OpenVINO in {precision}"

    @classmethod
    def open(cls, argument: str, *, base: Path | None, cache: Path | None) -> Self:
        """From a path, or from ``hf://REPO/FILE``; either may end in ``?precision=bf16``."""
        place, _, query = argument.partition("?")
        options = parse_qs(query, keep_blank_values=True)
        if not place or set(options) - {"precision"} or any(len(values) != 1 for values in options.values()):
            raise UsageError(f"'openvino:{argument}' is not openvino:PATH or openvino:PATH?precision=bf16")
        path, preprocess = locate(place, base, cache)
        (precision,) = options.get("precision", ["f32"])
        return cls(path, f"openvino:{argument}", preprocess, precision=precision)

    @classmethod
    def restore(cls, record: Mapping[str, Any], files: Mapping[str, Path]) -> Self:
        """As `OnnxExtractor.restore`. Raises UsageError where this processor lacks the recorded precision."""
        try:
            identity = record["identity"]
            preprocess, precision = Preprocess.from_dict(identity["preprocess"]), identity["precision"]
            given = files[MODEL], record["spec"], preprocess, record["description"]
        except (KeyError, TypeError, UsageError) as error:
            raise IntegrityError(f"the extractor record is damaged: {error}") from error
        return cls(*given, precision=precision)

    def _load(self, content: bytes, path: Path) -> Network:
        # onnxruntime tells what the network takes, and refuses weights in further files, which OpenVINO would read.
        return _Compiled(content, path, self._precision, super()._load(content, path).size)

    def _traits(self) -> Mapping[str, Any]:
        return {"precision": self._precision}


class _Compiled:
    """One stream, of one thread, for each core that this process may use."""

    def __init__(self, content: bytes, path: Path, precision: str, size: tuple[int, int] | None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError(
                "openvino:PATH needs the extra 'openvino': pip install 'pellucid[openvino]'"
            ) from error
        self._path = path
        self._core = openvino.Core()
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and "BF16" not in able:
            raise UsageError(f"this processor does not calculate in bf16; use {path.name} with precision=f32")
        try:
            self._model = self._core.read_model(content)
        except RuntimeError as error:
            raise SourceError(f"{path} is no ONNX model that OpenVINO can run: {line(error)}") from error
        self.size = size
        self._precision = precision
        self._compiled: Any = None
        self._idle: SimpleQueue[Any] = SimpleQueue()

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        """All calls have pixels of one shape, and the first comes alone: it compiles the network for that shape."""
        try:
            if self._compiled is None:
                self._compiled = self._compile(pixels.shape)
            request = self._request()
            (result,) = request.infer([pixels], share_inputs=True).values()
        except RuntimeError as error:
            raise SourceError(f"{self._path} does not run on pixels {pixels.shape[2:]}: {line(error)}") from error
        self._idle.put(request)
        return cast(NDArray[Any], result)

    def _compile(self, shape: tuple[int, ...]) -> Any:
        self._model.reshape({self._model.inputs[0]: list(shape)})
        cores = usable_cores()
        return self._core.compile_model(
            self._model,
            "CPU",
            {
                "NUM_STREAMS": cores,
                "INFERENCE_NUM_THREADS": cores,
                "ENABLE_CPU_PINNING": False,  # the operating system knows what else is to run
                "INFERENCE_PRECISION_HINT": self._precision,
            },
        )

    def _request(self) -> Any:
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._compiled.create_infer_request()
