"""Pictures, their encoded forms and small networks, made on the spot."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

Encode = Callable[..., bytes]
MakeOnnx = Callable[..., Path]


@pytest.fixture
def photo() -> Image.Image:
    """60 x 40, smooth and coloured, different at every corner."""
    y, x = np.mgrid[0:40, 0:60]
    return Image.fromarray(np.stack([x * 4, y * 6, (x + y) * 2], axis=-1).astype(np.uint8))


@pytest.fixture(scope="session")
def encode() -> Encode:
    """encode(image, format, **options): the bytes that Pillow writes."""

    def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return encoded


@pytest.fixture
def make_onnx(tmp_path: Path) -> MakeOnnx:
    """make_onnx(name, ...): a network that gives the mean of each channel, times its weights (3, dim)."""

    def made(
        name: str = "mean.onnx",
        *,
        weights: NDArray[np.float32] | None = None,
        shape: tuple[str | int, ...] = ("n", 3, 8, 8),
        type_: int = TensorProto.FLOAT,
        rank4: bool = False,
        unpooled: bool = False,
        outputs: int = 1,
    ) -> Path:
        matrix = np.eye(3, dtype=np.float32) if weights is None else weights
        last = "pooled" if rank4 else "features"
        nodes = [helper.make_node("Cast", ["anything"], ["cast"], to=TensorProto.FLOAT)]
        if unpooled:
            nodes.append(helper.make_node("Identity", ["cast"], ["features"]))
        elif rank4:
            nodes.append(helper.make_node("GlobalAveragePool", ["cast"], ["features"]))
        else:
            nodes.append(helper.make_node("GlobalAveragePool", ["cast"], ["pooled"]))
            nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], axis=1))
            nodes.append(helper.make_node("MatMul", ["flat", "W"], [last]))
        outs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, None)]
        if outputs == 2:
            nodes.append(helper.make_node("Identity", ["features"], ["second"]))
            outs.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, None))
        graph = helper.make_graph(
            nodes,
            "mean",
            [helper.make_tensor_value_info("anything", type_, shape)],
            outs,
            [numpy_helper.from_array(matrix, "W")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / name
        onnx.save(model, str(path))
        return path

    return made


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of timm's test_resnet, classifier included."""
    from safetensors.torch import save_file

    from pellucid.features.timm import import_timm

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(import_timm().create_model("test_resnet", pretrained=False).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a network is exported once for all tests."""
    return tmp_path_factory.mktemp("exports")
