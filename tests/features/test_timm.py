"""timm networks with random weights: exported once, equal to the original, refused where they do not fit."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import IntegrityError, MissingExtraError, NotFoundError, SourceError, UsageError
from pellucid.features import timm as module
from pellucid.features.extractor import open_extractor, restore_extractor

NAME = "test_resnet"


def test_export_equals_the_original(tiny_weights: Path, exports: Path, photo: Image.Image) -> None:
    import torch
    from safetensors.torch import load_file

    opened = open_extractor(f"timm:{NAME}?weights={tiny_weights}", cache=exports)
    model = module.import_timm().create_model(NAME, num_classes=0)
    model.load_state_dict(load_file(tiny_weights), strict=False)
    preprocess = module._preprocessing(model, NAME)
    with torch.inference_mode():
        wanted = model.eval()(torch.from_numpy(preprocess(photo))[None]).numpy()
    assert np.allclose(opened.embed([photo]), wanted, rtol=1e-3, atol=1e-4)
    assert opened.record["identity"]["preprocess"] == preprocess.to_dict()


def test_the_second_time_needs_no_pytorch(tiny_weights: Path, exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_extractor(f"timm:{NAME}?weights={tiny_weights}", cache=exports)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "timm", None)
    spec = f"timm:{NAME}?weights={tiny_weights.name}"
    second = open_extractor(spec, base=tiny_weights.parent, cache=exports)
    assert (second.spec, second.fingerprint) == (spec, first.fingerprint)
    assert restore_extractor(second.record, second.files).fingerprint == first.fingerprint
    assert sorted(path.suffix for path in exports.iterdir()) == [".json", ".onnx"]


def test_without_pytorch_the_cure_is_named(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pellucid\[torch\]"):
        open_extractor(f"timm:{NAME}?weights={tiny_weights}", cache=tmp_path)


@pytest.mark.parametrize("spec", ["timm:", "timm:x?colour=red", "timm:x?weights=a&weights=b", "timm:no_such_net"])
def test_unfit_specs_are_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, NotFoundError)):
        open_extractor(spec, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_the_export_is_wanted(tiny_weights: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        open_extractor(f"timm:{NAME}?weights={tiny_weights}")


def test_unfit_weights_are_refused_and_leave_nothing(tiny_weights: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\x80\x04K\x01.")  # a pickle
    nowhere = tmp_path / "cache"
    with pytest.raises(SourceError, match="safetensors"):
        open_extractor(f"timm:{NAME}?weights={bad}", cache=nowhere)
    with pytest.raises(SourceError, match="fit"):
        open_extractor(f"timm:test_vit?weights={tiny_weights}", cache=nowhere)
    with pytest.raises(NotFoundError):
        open_extractor(f"timm:{NAME}?weights={tmp_path / 'absent'}", cache=nowhere)
    assert not nowhere.exists()


def test_unreachable_weights_name_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, **options: Any) -> None:
        raise OSError("offline\nand far away")

    monkeypatch.setattr(module.import_timm(), "create_model", offline)
    with pytest.raises(NotFoundError, match=f"{NAME}.*offline and far away"):
        open_extractor(f"timm:{NAME}", cache=tmp_path)


def test_an_export_that_differs_is_refused(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOLERANCE", -1.0)
    with pytest.raises(IntegrityError, match="other values"):
        open_extractor(f"timm:{NAME}?weights={tiny_weights}", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "resize", "ratio"),
    [
        ({"crop_mode": "center", "crop_pct": 0.875}, "crop", 0.875),
        ({"crop_mode": "squash", "crop_pct": 0.9}, "squash", 1.0),
    ],
)
def test_preprocessing_follows_timm(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object], resize: str, ratio: float
) -> None:
    module.import_timm()
    data = importlib.import_module("timm.data")
    common = {"input_size": (3, 96, 64), "interpolation": "random", "mean": (0, 0, 0), "std": (1, 1, 1)}
    monkeypatch.setattr(data, "resolve_model_data_config", lambda model: common | config)
    got = module._preprocessing(None, "x")
    assert (got.size, got.resize, got.crop_ratio, got.interpolation) == ((96, 64), resize, ratio, "bicubic")
    monkeypatch.setattr(
        data, "resolve_model_data_config", lambda model: common | {"crop_mode": "border", "crop_pct": 1}
    )
    with pytest.raises(UsageError, match="border"):
        module._preprocessing(None, "x")


def test_operators_are_declared_only_where_torchvision_does_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch

    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_C.so").write_bytes(b"")
    declared: list[str] = []

    class Library:
        def __init__(self, name: str, kind: str) -> None:
            declared.append(name)

        def define(self, schema: str) -> None:
            declared.append(schema.partition("(")[0])

    def fails(path: Path) -> None:
        raise OSError("libcudart.so.12: cannot open shared object file")

    found = importlib.machinery.ModuleSpec("torchvision", None, origin=str(package / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    monkeypatch.setattr(torch.library, "Library", Library)
    monkeypatch.setattr(torch.ops, "load_library", lambda path: None)
    assert module._mend_torchvision.__wrapped__() is None
    assert declared == []
    monkeypatch.setattr(torch.ops, "load_library", fails)
    assert module._mend_torchvision.__wrapped__() is not None
    assert declared == ["torchvision", "nms", "qnms"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert module._mend_torchvision.__wrapped__() is None
