"""Networks of the timm library [1]_, exported to ONNX once; from then on PyTorch is not needed.

.. [1] R. Wightman (2019). PyTorch image models. https://github.com/huggingface/pytorch-image-models
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import tempfile
import warnings
from collections.abc import Mapping
from functools import cache as cached
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

import numpy as np

from pellucid.errors import IntegrityError, MissingExtraError, NotFoundError, SourceError, UsageError
from pellucid.features.extractor import file_digest
from pellucid.features.onnx import OnnxExtractor
from pellucid.features.preprocess import Preprocess

_EXPORT_VERSION = 1  # count it up whenever the export changes, so that cached files are made anew
_OPSET = 17
_TOLERANCE = 1e-3  # of the largest value: by how much the export may differ from the original


class TimmExtractor(OnnxExtractor):
    """``timm:NAME`` has timm's own weights, ``timm:NAME?weights=PATH.safetensors`` has yours.

    Preprocessing is what timm says that the network was trained with. What is recorded is the exported ONNX
    file: a model that was trained on it is restored by `OnnxExtractor`.
    """

    @classmethod
    def open(cls, argument: str, *, base: Path | None, cache: Path | None) -> Self:
        """Raises UsageError, NotFoundError, SourceError, and MissingExtraError where there is no PyTorch."""
        name, _, query = argument.partition("?")
        options = parse_qs(query, keep_blank_values=True)
        if not name or set(options) - {"weights"} or any(len(values) != 1 for values in options.values()):
            raise UsageError(f"'timm:{argument}' is not timm:NAME or timm:NAME?weights=PATH.safetensors")
        if cache is None:
            raise UsageError(f"'timm:{argument}' is exported to ONNX once; name a folder to keep that in (cache)")
        weights = (base or Path()) / options["weights"][0] if options else None
        path = cache / _file_name(name, weights)
        if not path.exists():
            _export(name, weights, path)
        preprocess = Preprocess.from_dict(json.loads(_sidecar(path).read_text(encoding="utf-8")))
        return cls(path, f"timm:{argument}", preprocess, f"network {name} of timm, exported to ONNX")


def _file_name(name: str, weights: Path | None) -> str:
    source = "timm" if weights is None else file_digest(weights)
    key = hashlib.sha256(f"{_EXPORT_VERSION}\n{name}\n{source}".encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}-{key[:16]}.onnx"


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _export(name: str, weights: Path | None, path: Path) -> None:
    """Write the network to path and its preprocessing beside it; both appear whole or not at all."""
    model = _build(name, weights)
    preprocess = _preprocessing(model, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        _write_onnx(model, preprocess, draft)
        _sidecar(draft).write_text(json.dumps(preprocess.to_dict(), indent=2), encoding="utf-8")
        _sidecar(draft).replace(_sidecar(path))
        draft.replace(path)


def _build(name: str, weights: Path | None) -> Any:
    """The network without its classifier, in evaluation mode."""
    timm = import_timm()
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('.')[0].split('_')[0]}*")[:5]) or "see timm.list_models()"
        raise UsageError(f"timm has no network {name!r}; it has: {near}")
    try:
        model = timm.create_model(name, pretrained=weights is None, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise NotFoundError(f"cannot get timm's weights of {name!r}: {' '.join(str(error).split())}") from error
    if weights is not None:
        _load_weights(model, weights)
    return model.eval()


def _load_weights(model: Any, path: Path) -> None:
    """Raises SourceError where the file is not safetensors or belongs to another network."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SourceError(f"{path} is not a safetensors file: {error}") from error
    head = model.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{part}." for part in ((head,) if isinstance(head, str) else head))
    state = {key: value for key, value in state.items() if not key.startswith(heads or ("\0",))}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise SourceError(f"{path} does not fit the network: {' '.join(str(error).split())[:300]}") from error


def _preprocessing(model: Any, name: str) -> Preprocess:
    """What timm evaluates the network with."""
    from timm.data import resolve_model_data_config

    config: Mapping[str, Any] = resolve_model_data_config(model)
    mode = config["crop_mode"]
    if mode not in ("center", "squash"):
        raise UsageError(f"{name!r} cuts pictures by {mode!r}; export it to ONNX yourself and use onnx:PATH")
    return Preprocess(
        size=tuple(config["input_size"][1:]),
        resize="crop" if mode == "center" else "squash",
        crop_ratio=float(config["crop_pct"]) if mode == "center" else 1.0,
        interpolation=config["interpolation"] if config["interpolation"] != "random" else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _write_onnx(model: Any, preprocess: Preprocess, path: Path) -> None:
    """Export, and compare with the original on one random picture."""
    import onnxruntime
    import torch

    pixels = torch.rand((1, 3, *preprocess.size), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = model(pixels).numpy()
    with warnings.catch_warnings():  # of the exporter, about itself; a set-up step, not run beside others
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (pixels,),
            str(path),
            input_names=["pixels"],
            output_names=["features"],
            opset_version=_OPSET,
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    got = session.run(None, {"pixels": pixels.numpy()})[0]
    if got.shape != wanted.shape or np.abs(got - wanted).max() > _TOLERANCE * max(np.abs(wanted).max(), 1e-6):
        raise IntegrityError("the exported network gives other values than the original; use another network")


def import_timm() -> Any:
    """timm, on whatever torchvision there is. Raises MissingExtraError."""
    try:
        _mend_torchvision()
        import timm
    except ImportError as error:
        raise MissingExtraError(
            f"timm:NAME needs the extra 'torch': pip install 'pellucid[torch]' ({error})"
        ) from error
    return timm


@cached
def _mend_torchvision() -> Any:
    """Let a torchvision that was built for another PyTorch (CUDA against CPU) be imported at all.

    Its compiled part does not load then, and its import ends in "operator torchvision::nms does not exist".
    timm uses none of that part, so it is enough to declare the operators that it speaks of. What is returned
    keeps the declaration alive.
    """
    import torch

    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return None
    for library in Path(found.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(library)
        except OSError:
            continue
        return None
    missing = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        missing.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return missing
