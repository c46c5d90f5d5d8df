"""Pictures, their encoded forms and small networks, made on the spot."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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
