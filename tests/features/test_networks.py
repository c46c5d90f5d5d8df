"""What holds for networks in ONNX form whichever runtime runs them: what they give, and which are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from PIL import Image

from pellucid.errors import IntegrityError, NotFoundError, SourceError, UsageError
from pellucid.features.extractor import open_extractor, restore_extractor
from pellucid.features.preprocess import Preprocess

MakeOnnx = Callable[..., Path]


@pytest.fixture(params=["onnx", "openvino"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_vectors_are_what_the_network_computes(make_onnx: MakeOnnx, photo: Image.Image, kind: str) -> None:
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    opened = open_extractor(f"{kind}:{make_onnx(weights=weights)}")
    wanted = Preprocess(size=(8, 8))(photo).mean(axis=(1, 2)) @ weights
    assert opened.dim == 2
    assert np.allclose(opened.embed([photo])[0], wanted, atol=1e-5)


def test_pooled_maps_of_one_pixel_are_vectors_too(make_onnx: MakeOnnx, photo: Image.Image, kind: str) -> None:
    flat, maps = (open_extractor(f"{kind}:{make_onnx(f'{rank4}.onnx', rank4=rank4)}") for rank4 in (False, True))
    assert maps.dim == 3
    assert np.allclose(maps.embed([photo]), flat.embed([photo]))


def test_free_sides_mean_224_pixels(make_onnx: MakeOnnx, kind: str) -> None:
    assert open_extractor(f"{kind}:{make_onnx(shape=('n', 3, 'h', 'w'))}").input_size == 224
    assert open_extractor(f"{kind}:{make_onnx(shape=(1, 3, 16, 16))}").input_size == 16


def test_relative_paths_start_from_base(make_onnx: MakeOnnx, kind: str) -> None:
    path = make_onnx("net.onnx")
    assert open_extractor(f"{kind}:net.onnx", base=path.parent).files["model"] == path


def test_the_same_weights_elsewhere_have_the_same_fingerprint(make_onnx: MakeOnnx, kind: str) -> None:
    one, copy = make_onnx("one.onnx"), make_onnx("copy.onnx")
    other = make_onnx("other.onnx", weights=np.ones((3, 3), np.float32))
    first, second, third = (open_extractor(f"{kind}:{path}") for path in (one, copy, other))
    assert first.fingerprint == second.fingerprint != third.fingerprint


def test_a_file_beside_it_sets_the_preprocessing(make_onnx: MakeOnnx, photo: Image.Image, kind: str) -> None:
    path = make_onnx()
    plain = open_extractor(f"{kind}:{path}")
    sidecar = path.with_name("mean.onnx.json")
    sidecar.write_text(json.dumps({"size": [8, 8], "mean": [0, 0, 0], "std": [1, 1, 1]}))
    own = open_extractor(f"{kind}:{path}")
    assert own.fingerprint != plain.fingerprint
    assert np.allclose(own.embed([photo])[0], np.asarray(photo).mean(axis=(0, 1)) / 255, atol=0.02)
    sidecar.unlink()
    again = restore_extractor(own.record, own.files)
    assert np.array_equal(again.embed([photo]), own.embed([photo]))


@pytest.mark.parametrize("text", ["{", "[]", '{"colour": 1}', '{"size": [9, 9]}'])
def test_unfit_preprocessing_files_are_refused(make_onnx: MakeOnnx, text: str, kind: str) -> None:
    path = make_onnx()
    path.with_name("mean.onnx.json").write_text(text)
    with pytest.raises(UsageError):
        open_extractor(f"{kind}:{path}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": ("n", 3, 8)}, "wanted tensor"),
        ({"shape": ("n", 1, 8, 8), "rank4": True}, "wanted tensor"),
        ({"type_": TensorProto.UINT8}, "wanted tensor"),
        ({"shape": (16, 3, 8, 8)}, "16 pictures at a time"),
        ({"outputs": 2}, "2 outputs"),
        ({"unpooled": True}, "without its classifier, pooled"),
    ],
)
def test_networks_of_another_form_are_refused(
    make_onnx: MakeOnnx, options: dict[str, object], message: str, kind: str
) -> None:
    with pytest.raises(SourceError, match=message):
        open_extractor(f"{kind}:{make_onnx(**options)}")


def test_files_that_are_no_network_are_refused(tmp_path: Path, make_onnx: MakeOnnx, kind: str) -> None:
    whole = make_onnx().read_bytes()
    for content in (b"", b"not a network", whole[: len(whole) // 2]):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(SourceError) as caught:
            open_extractor(f"{kind}:bad.onnx", base=tmp_path)
        assert "\n" not in str(caught.value)
    for absent in ("absent.onnx", str(tmp_path)):
        with pytest.raises(NotFoundError):
            open_extractor(f"{kind}:{absent}", base=tmp_path)
    with pytest.raises(UsageError):
        open_extractor(f"{kind}:")


def test_weights_in_a_second_file_are_refused(
    make_onnx: MakeOnnx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """No digest would cover them."""
    model = onnx.load(str(make_onnx()))
    onnx.save(model, str(tmp_path / "two.onnx"), save_as_external_data=True, location="second.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"External data|second"):
        open_extractor(f"{kind}:two.onnx")


def test_values_that_are_not_finite_are_refused(make_onnx: MakeOnnx, photo: Image.Image, kind: str) -> None:
    path = make_onnx(weights=np.full((3, 3), np.inf, np.float32))
    with pytest.raises(SourceError, match="finite"):
        open_extractor(f"{kind}:{path}").embed([photo])


@pytest.mark.parametrize("preprocess", [None, {"size": [0, 0]}, {"colour": 1}])
def test_records_with_damaged_preprocessing_are_refused(make_onnx: MakeOnnx, preprocess: object, kind: str) -> None:
    opened = open_extractor(f"{kind}:{make_onnx()}")
    identity = {**opened.record["identity"], "preprocess": preprocess}
    with pytest.raises(IntegrityError):
        restore_extractor({**opened.record, "identity": identity}, opened.files)


def test_threads_share_one_network(make_onnx: MakeOnnx, kind: str) -> None:
    opened = open_extractor(f"{kind}:{make_onnx()}")
    images = [Image.new("RGB", (20, 20), (k, 2 * k, 255 - k)) for k in range(100)]
    with ThreadPoolExecutor(4) as pool:
        together = np.concatenate(list(pool.map(lambda image: opened.embed([image]), images)))
    assert np.array_equal(together, opened.embed(images))
