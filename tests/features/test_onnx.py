"""Networks in ONNX form: what they give, what they are called by, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from pellucid.errors import MissingExtraError, NotFoundError
from pellucid.features.extractor import open_extractor
from pellucid.features.onnx import OnnxExtractor
from pellucid.features.preprocess import Preprocess

MakeOnnx = Callable[..., Path]


class Hub:
    """What huggingface_hub.hf_hub_download does, from a folder."""

    def __init__(self, folder: Path, missing: Exception) -> None:
        self.folder = folder
        self.missing = missing

    def __call__(self, repo_id: str, filename: str, cache_dir: Path | None = None) -> str:
        path = self.folder / filename
        if repo_id != "owner/repo" or not path.exists():
            raise self.missing
        return str(path)


def test_hub_files_with_and_without_preprocessing(
    make_onnx: MakeOnnx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_onnx("net.onnx")
    hub = Hub(tmp_path, EntryNotFoundError("404"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    opened = open_extractor("hf://owner/repo/net.onnx")
    assert (opened.spec, opened.dim) == ("hf://owner/repo/net.onnx", 3)
    assert open_extractor("onnx:hf://owner/repo/net.onnx").fingerprint == opened.fingerprint
    (tmp_path / "net.onnx.json").write_text('{"size": [8, 8], "interpolation": "bilinear"}')
    assert open_extractor("hf://owner/repo/net.onnx").fingerprint != opened.fingerprint
    with pytest.raises(NotFoundError):
        open_extractor("hf://owner/other/net.onnx")


def test_offline_the_preprocessing_is_not_guessed(
    make_onnx: MakeOnnx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_onnx("net.onnx")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", Hub(tmp_path, LocalEntryNotFoundError("offline")))
    with pytest.raises(NotFoundError, match="preprocessing"):
        open_extractor("hf://owner/repo/net.onnx")


def test_without_the_hub_extra_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pellucid\[hub\]"):
        open_extractor("hf://owner/repo/net.onnx")


def test_direct_construction_takes_a_preprocessing(make_onnx: MakeOnnx) -> None:
    own = Preprocess(size=(8, 8), interpolation="nearest")
    assert OnnxExtractor(make_onnx(), "mine", own).preprocess == own
