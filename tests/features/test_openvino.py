"""Networks run by OpenVINO: the same vectors as onnxruntime's, nearly so in bfloat16, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from PIL import Image

from pellucid.errors import IntegrityError, MissingExtraError, NotFoundError, SourceError, UsageError
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


def test_free_sides_and_relative_paths(make_onnx: MakeOnnx, photo: Image.Image) -> None:
    path = make_onnx("free.onnx", shape=("n", 3, "h", "w"))
    opened = open_extractor("openvino:free.onnx?precision=f32", base=path.parent)
    assert opened.input_size == 224
    assert np.allclose(opened.embed([photo]), open_extractor(f"onnx:{path}").embed([photo]), atol=1e-5)


def test_threads_share_one_network(make_onnx: MakeOnnx) -> None:
    opened = open_extractor(f"openvino:{make_onnx()}")
    with ThreadPoolExecutor(4) as pool:
        together = np.concatenate(list(pool.map(lambda image: opened.embed([image]), PICTURES)))
    assert np.array_equal(together, opened.embed(PICTURES))


@pytest.mark.parametrize("query", ["?precision=int4", "?precision=", "?precision=f32&precision=bf16", "?colour=red"])
def test_options_that_there_are_not(make_onnx: MakeOnnx, query: str) -> None:
    with pytest.raises(UsageError, match="precision"):
        open_extractor(f"openvino:{make_onnx()}{query}")


def test_files_that_are_no_network_are_refused(tmp_path: Path, make_onnx: MakeOnnx) -> None:
    whole = make_onnx().read_bytes()
    for content in (b"", b"not a network", whole[: len(whole) // 2]):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(SourceError) as caught:
            open_extractor("openvino:bad.onnx", base=tmp_path)
        assert "\n" not in str(caught.value)
    with pytest.raises(NotFoundError):
        open_extractor("openvino:absent.onnx", base=tmp_path)
    with pytest.raises(UsageError):
        open_extractor("openvino:")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": ("n", 3, 8)}, "wanted tensor"),
        ({"shape": ("n", 1, 8, 8), "rank4": True}, "wanted tensor"),
        ({"type_": onnx.TensorProto.UINT8}, "wanted tensor"),
        ({"shape": (16, 3, 8, 8)}, "16 pictures at a time"),
        ({"outputs": 2}, "2 outputs"),
        ({"unpooled": True}, "without its classifier, pooled"),
    ],
)
def test_networks_of_another_form_are_refused(make_onnx: MakeOnnx, options: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_extractor(f"openvino:{make_onnx(**options)}")


def test_weights_in_a_second_file_are_refused(
    make_onnx: MakeOnnx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No digest would cover them."""
    model = onnx.load(str(make_onnx()))
    onnx.save(model, str(tmp_path / "two.onnx"), save_as_external_data=True, location="second.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError):
        open_extractor("openvino:two.onnx")


def test_records_that_are_damaged_are_refused(make_onnx: MakeOnnx) -> None:
    opened = open_extractor(f"openvino:{make_onnx()}")
    for change in ({"preprocess": None}, {"precision": "f8"}):
        with pytest.raises((IntegrityError, UsageError)):
            restore_extractor({**opened.record, "identity": {**opened.record["identity"], **change}}, opened.files)
    identity = {key: value for key, value in opened.record["identity"].items() if key != "precision"}
    with pytest.raises(IntegrityError):
        restore_extractor({**opened.record, "identity": identity}, opened.files)


def test_without_the_extra_the_cure_is_named(make_onnx: MakeOnnx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pellucid\[openvino\]"):
        open_extractor(f"openvino:{make_onnx()}")
