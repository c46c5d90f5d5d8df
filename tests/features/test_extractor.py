"""The registry: what a spec opens, what a record restores, and what both refuse."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import IntegrityError, NotFoundError, UsageError
from pellucid.features import extractor as registry
from pellucid.features.extractor import (
    EXTRACTORS,
    Extractor,
    file_digest,
    fingerprint,
    open_extractor,
    register,
    restore_extractor,
)

MakeOnnx = Callable[..., Path]

OWN_CLASS = """
import numpy as np
from pellucid.features.weightless import Weightless

class MeanColour(Weightless):
    version, dim, input_size = 1, 3, 8
    description = "mean colour"

    def describe(self, image):
        return np.asarray(image).mean(axis=(0, 1))

class NoExtractor:
    pass
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A user's module on the import path."""
    (tmp_path / "a_users_module.py").write_text(OWN_CLASS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "a_users_module"
    sys.modules.pop("a_users_module", None)


CONTRACT = ["classical", "onnx", "openvino", "timm", "views", "own"]


@pytest.fixture(params=CONTRACT)
def any_extractor(
    request: pytest.FixtureRequest, own_module: str, make_onnx: MakeOnnx, tiny_weights: Path, exports: Path
) -> Extractor:
    specs = {
        "classical": "classical",
        "onnx": f"onnx:{make_onnx()}",
        "openvino": f"openvino:{make_onnx()}",
        "timm": f"timm:test_resnet?weights={tiny_weights}",
        "views": f"views:mirror:onnx:{make_onnx()}",
        "own": f"{own_module}:MeanColour",
    }
    return open_extractor(specs[request.param], cache=exports)


def test_the_contract_is_held_to_every_kind() -> None:
    assert set(CONTRACT) == {*EXTRACTORS, "own"}


def test_every_extractor_keeps_the_contract(any_extractor: Extractor, photo: Image.Image) -> None:
    images = [photo, photo.rotate(180), Image.new("RGB", (9, 5))]
    vectors = any_extractor.embed(images)
    assert (vectors.shape, vectors.dtype.name) == ((3, any_extractor.dim), "float32")
    assert np.isfinite(vectors).all()
    alone = np.concatenate([any_extractor.embed([image]) for image in images])
    assert np.array_equal(vectors, alone)
    assert np.array_equal(vectors, any_extractor.embed(iter(images))), "they may come one by one"
    assert any_extractor.embed([]).shape == (0, any_extractor.dim)
    assert any_extractor.input_size >= 1
    assert any_extractor.fingerprint == fingerprint(any_extractor.record["identity"])
    assert json.loads(json.dumps(any_extractor.record)) == any_extractor.record
    assert any_extractor.description
    assert "\n" not in any_extractor.description


def test_every_extractor_is_restored_from_its_record(any_extractor: Extractor, photo: Image.Image) -> None:
    record = json.loads(json.dumps(any_extractor.record))
    again = restore_extractor(record, any_extractor.files, trusted=["a_users_module:MeanColour"])
    assert (again.spec, again.fingerprint) == (any_extractor.spec, any_extractor.fingerprint)
    assert np.array_equal(again.embed([photo]), any_extractor.embed([photo]))


def test_fingerprint_is_the_known_digest() -> None:
    """sha256 of '{"a":[1,2],"b":"x"}'; a change here orphans every cached vector."""
    wanted = "d0f56dda38d34376527524ddd98f7ec117d5cbfb240f86e11bfb9d2d01a717d9"
    assert fingerprint({"b": "x", "a": [1, 2]}) == wanted


@pytest.mark.parametrize(
    "spec", ["", "classic", "onnx:", "resnet50", "a b:C", "module:", ":Class", "classical:x", "hf://owner"]
)
def test_specs_of_no_known_form_are_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        open_extractor(spec)


def test_missing_modules_and_unfit_classes_are_refused(own_module: str) -> None:
    with pytest.raises(NotFoundError, match="no_such_module"):
        open_extractor("no_such_module:Class")
    for name in ("NoExtractor", "np", "Absent"):
        with pytest.raises(UsageError, match="no extractor"):
            open_extractor(f"{own_module}:{name}")


def test_a_new_kind_is_registered_once(own_module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "EXTRACTORS", dict(EXTRACTORS))
    register("mean-colour", f"{own_module}:MeanColour")
    assert open_extractor("mean-colour").dim == 3
    with pytest.raises(UsageError, match="already"):
        register("mean-colour", "other:Class")
    with pytest.raises(UsageError, match="already"):
        register("onnx", "other:Class")
    for kind, target in (("Mean Colour", "a:B"), ("", "a:B"), ("x", "a.B"), ("x", "a b:C")):
        with pytest.raises(UsageError):
            register(kind, target)


def test_installed_packages_add_kinds_but_replace_none(own_module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [EntryPoint("mean", f"{own_module}:MeanColour", registry.ENTRY_POINTS)]
    monkeypatch.setattr(registry, "entry_points", lambda group: offered)
    assert open_extractor("mean").dim == 3
    offered.append(EntryPoint("classical", f"{own_module}:MeanColour", registry.ENTRY_POINTS))
    with pytest.raises(UsageError, match="classical"):
        open_extractor("classical")


def test_a_class_from_a_record_is_imported_only_if_trusted(own_module: str) -> None:
    record = open_extractor(f"{own_module}:MeanColour").record
    del sys.modules[own_module]
    with pytest.raises(UsageError, match="trust"):
        restore_extractor(record, {})
    assert own_module not in sys.modules


def test_files_are_checked_before_anything_is_constructed(make_onnx: MakeOnnx) -> None:
    opened = open_extractor(f"onnx:{make_onnx()}")
    path = opened.files["model"]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(IntegrityError, match="recorded"):
        restore_extractor(opened.record, opened.files)
    with pytest.raises(IntegrityError, match="wants the files"):
        restore_extractor(opened.record, {})
    path.unlink()
    with pytest.raises(NotFoundError):
        restore_extractor(opened.record, opened.files)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "classical"},
        {"kind": 3, "identity": {"kind": 3, "files": {}}},
        {"kind": "classical", "identity": {"kind": "onnx", "files": {}}},
        {"kind": "classical", "identity": {"kind": "classical", "files": None}},
        {"kind": "classical", "identity": {"kind": "classical", "version": 0, "dim": 1, "files": {}}},
    ],
)
def test_damaged_records_are_refused(record: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        restore_extractor(record, {})


def test_digest_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert file_digest(tmp_path / "empty").startswith("e3b0c44298fc1c14")
    with pytest.raises(NotFoundError):
        file_digest(tmp_path)
