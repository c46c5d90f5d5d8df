"""Hand-made features: what they see, what they do not, and that they are good for something."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from pellucid.features.classical import Classical


def test_each_part_has_unit_length(photo: Image.Image) -> None:
    (vector,) = Classical().embed([photo])
    shape, texture, colour = np.split(vector, [1764, 1764 + 120])
    for part in (shape, texture, colour):
        assert np.linalg.norm(part) == np.float32(1) or abs(np.linalg.norm(part) - 1) < 1e-5
        assert (part >= 0).all()


def test_one_colour_fills_one_bin_of_each_quarter() -> None:
    (vector,) = Classical().embed([Image.new("RGB", (50, 50), (255, 0, 0))])
    colour = vector[1764 + 120 :].reshape(4, 12, 4, 4)
    assert np.allclose(colour[:, 0, 3, 3], 0.5)  # hue 0, full saturation and value; four quarters share 1
    assert np.count_nonzero(colour) == 4


def test_blank_pictures_have_no_shape_but_finite_vectors() -> None:
    (vector,) = Classical().embed([Image.new("RGB", (1, 1))])
    assert np.isfinite(vector).all()
    assert not vector[:1764].any()


def test_colour_changes_colour_only_and_turning_changes_shape(photo: Image.Image) -> None:
    grey = photo.convert("L").convert("RGB")
    plain, turned, dyed = Classical().embed([grey, ImageOps.mirror(grey), photo])
    assert not np.allclose(plain[:1764], turned[:1764], atol=0.01)
    assert plain[:1764] @ dyed[:1764] > 0.99  # equal but for rounding
    assert not np.allclose(plain[1884:], dyed[1884:], atol=0.1)


def test_tiny_digits_are_told_apart() -> None:
    images, labels = load_digits(return_X_y=True)
    pictures = [Image.fromarray((row.reshape(8, 8) * 15.9).astype(np.uint8)).convert("RGB") for row in images[:400]]
    vectors = Classical().embed(pictures)
    model = RidgeClassifier(alpha=0.1).fit(vectors[:300], labels[:300])
    assert model.score(vectors[300:], labels[300:400]) > 0.85  # 0.98 on all of them
