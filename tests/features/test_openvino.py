"""Networks run by OpenVINO: the same vectors as onnxruntime's, nearly so in bfloat16, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from PIL import Image

from pellucid.errors import IntegrityError, MissingExtraError, UsageError
from pellucid.features.extractor import open_extractor, restore_extractor

MakeOnnx = Callable[..., Path]

PICTURES = [Image.new("RGB", (20, 20), (k, 2 * k, 255 - k)) for k in range(100)]


def able(precision: str) -> bool:
    return precision in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture
def convolutions(tmp_path: Path) -> Path:
    """A network that multiplies enough for its precision to show: 3 -> 32 channels by 5 x 5, ReLU, pooled."""
    weights = np.random.default_rng(0).standard_normal((32, 3, 5, 5)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Conv", ["pixels", "weights"], ["maps"]),
        onnx.helper.make_node("Relu", ["maps"], ["positive"]),
        onnx.helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    ends = [("pixels", ("n", 3, "h", "w")), ("features", ("n", 32))]
    first, last = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in ends)
    graph = onnx.helper.make_graph(nodes, "net", [first], [last], [onnx.numpy_helper.from_array(weights, "weights")])
    path = tmp_path / "convolutions.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_vectors_are_those_of_onnxruntime(convolutions: Path, photo: Image.Image) -> None:
    wanted = open_extractor(f"onnx:{convolutions}").embed([photo])
    assert np.allclose(open_extractor(f"openvino:{convolutions}").embed([photo]), wanted, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_near_or_refused(convolutions: Path, photo: Image.Image) -> None:
    spec = f"openvino:{convolutions}?precision=bf16"
    if not able("BF16"):
        with pytest.raises(UsageError, match="does not calculate in bf16"):
            open_extractor(spec)
        return
    exact, near = open_extractor(f"openvino:{convolutions}"), open_extractor(spec)
    (left,), (right,) = exact.embed([photo]), near.embed([photo])
    assert 0 < np.abs(left - right).max() < 0.02 * np.abs(left).max(), "eight bits of each number"
    assert exact.fingerprint != near.fingerprint
    assert np.array_equal(restore_extractor(near.record, near.files).embed([photo])[0], right)


def test_a_processor_without_bfloat16_refuses_its_models(make_onnx: MakeOnnx, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that another machine has trained: served in f32 it would get other vectors."""
    plain = open_extractor(f"openvino:{make_onnx()}")
    record = {**plain.record, "identity": {**plain.record["identity"], "precision": "bf16"}}

    monkeypatch.setattr(openvino.Core, "get_property", lambda self, *asked: ["FP32", "INT8"])
    with pytest.raises(UsageError, match="this processor does not calculate in bf16"):
        restore_extractor(record, plain.files)


def test_its_models_are_not_those_of_onnxruntime(make_onnx: MakeOnnx) -> None:
    path = make_onnx()
    opened = open_extractor(f"openvino:{path}")
    assert opened.fingerprint != open_extractor(f"onnx:{path}").fingerprint
    assert (opened.spec, opened.record["kind"]) == (f"openvino:{path}", "openvino")
    assert opened.description.endswith("by OpenVINO in f32")


@pytest.mark.parametrize("query", ["?precision=int4", "?precision=", "?precision=f32&precision=bf16", "?colour=red"])
def test_options_that_there_are_not(make_onnx: MakeOnnx, query: str) -> None:
    with pytest.raises(UsageError, match="precision"):
        open_extractor(f"openvino:{make_onnx()}{query}")


def test_records_without_a_fit_precision_are_refused(make_onnx: MakeOnnx) -> None:
    opened = open_extractor(f"openvino:{make_onnx()}")
    with pytest.raises((IntegrityError, UsageError)):
        restore_extractor({**opened.record, "identity": {**opened.record["identity"], "precision": "f8"}}, opened.files)
    identity = {key: value for key, value in opened.record["identity"].items() if key != "precision"}
    with pytest.raises(IntegrityError):
        restore_extractor({**opened.record, "identity": identity}, opened.files)


def test_without_the_extra_the_cure_is_named(make_onnx: MakeOnnx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pellucid\[openvino\]"):
        open_extractor(f"openvino:{make_onnx()}")
