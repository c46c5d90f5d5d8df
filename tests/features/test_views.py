"""Views: how a picture lies makes no difference, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import IntegrityError, UsageError
from pellucid.features.extractor import open_extractor, restore_extractor
from pellucid.features.views import VIEWS

MakeOnnx = Callable[..., Path]

Way = Callable[[Image.Image], Image.Image]


def mirror(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def turn(angle: int, after: Way = lambda image: image) -> Way:
    return lambda image: after(image.rotate(angle, expand=True))


TURNS = [turn(angle) for angle in (90, 180, 270)]
# By hand: the other ways in which a picture may lie that a set of views does not tell apart.
WAYS: Mapping[str, list[Way]] = {
    "mirror": [mirror],
    "turns": TURNS,
    "all": [mirror, *TURNS, *(turn(angle, mirror) for angle in (90, 180, 270))],
}


@pytest.mark.parametrize("name", VIEWS)
def test_pictures_that_lie_otherwise_have_one_vector(photo: Image.Image, name: str) -> None:
    square = photo.resize((128, 128))
    found = open_extractor(f"views:{name}:classical").embed([square, *(way(square) for way in WAYS[name])])
    assert len(found) == 1 + len(VIEWS[name])
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-6)
    plain = open_extractor("classical").embed([square, *(way(square) for way in WAYS[name])])
    np.testing.assert_allclose(found[0], plain.mean(axis=0), atol=1e-6)
    assert np.abs(plain[1:] - plain[0]).max() > 0.01, "plainly looked at they differ"


def test_what_is_not_looked_at_still_tells(photo: Image.Image) -> None:
    square = photo.resize((128, 128))
    upright, fallen = open_extractor("views:mirror:classical").embed([square, square.rotate(90)])
    assert np.abs(upright - fallen).max() > 0.01


def test_other_views_and_other_weights_have_other_fingerprints(make_onnx: MakeOnnx) -> None:
    one, other = make_onnx("one.onnx"), make_onnx("other.onnx", weights=np.ones((3, 3), np.float32))
    specs = [f"onnx:{one}", *(f"views:{name}:onnx:{path}" for name in VIEWS for path in (one, other))]
    assert len({open_extractor(spec).fingerprint for spec in specs}) == len(specs)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("views:", "not views:NAME:SPEC"),
        ("views:mirror", "not views:NAME:SPEC"),
        ("views:upside:classical", "choose mirror, turns, all"),
        ("views:mirror:views:turns:classical", "cannot be taken of 'views'"),
        ("views:mirror:nothing", "'nothing' names no extractor"),
    ],
)
def test_what_is_no_view_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_extractor(spec)


def test_a_class_of_ones_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from pellucid.features.classical import Classical\nclass Own(Classical):\n kind=''\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="cannot be taken of 'mine:Own'"):
        open_extractor("views:mirror:mine:Own")


def test_a_damaged_record_is_refused() -> None:
    record = open_extractor("views:mirror:classical").record
    identity = record["identity"]
    for damaged in (
        {key: value for key, value in record.items() if key != "of"},
        {**record, "identity": {**identity, "views": "upside"}},
        {**record, "identity": {**identity, "views": "turns"}, "of": None},
    ):
        with pytest.raises(IntegrityError):
            restore_extractor(damaged, {})


def test_it_is_the_same_one_with_the_weights_elsewhere(make_onnx: MakeOnnx, photo: Image.Image) -> None:
    opened = open_extractor(f"views:all:onnx:{make_onnx('one.onnx')}")
    moved = make_onnx("two.onnx")
    again = restore_extractor(opened.record, {"model": moved})
    assert np.array_equal(again.embed([photo]), opened.embed([photo]))
    assert again.files["model"] == moved
