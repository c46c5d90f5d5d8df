"""The one preprocessing against the formula, written out plainly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import UsageError
from pellucid.features.preprocess import Preprocess


def test_default_is_a_bicubic_squash_with_imagenets_mean(photo: Image.Image) -> None:
    pixels = np.asarray(photo.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    wanted = ((pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)
    got = Preprocess()(photo)
    assert (got.shape, got.dtype.name, got.flags.c_contiguous) == ((3, 224, 224), "float32", True)
    assert np.abs(got - wanted).max() < 1e-5


def test_plain_numbers_by_hand() -> None:
    half = Preprocess(size=(1, 2), mean=(0, 0.5, 1), std=(1, 0.5, 2))
    got = half(Image.new("RGB", (5, 5), (255, 255, 255)))
    assert got.tolist() == [[[1, 1]], [[1, 1]], [[0, 0]]]


def test_size_is_height_then_width(photo: Image.Image) -> None:
    assert Preprocess(size=(10, 30))(photo).shape == (3, 10, 30)


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (60, 60)])
def test_crop_takes_the_middle_in_proportion(size: tuple[int, int]) -> None:
    """White within the largest central square's inner half, black around it."""
    width, height = size
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[height // 2 - 15 : height // 2 + 15, width // 2 - 15 : width // 2 + 15] = 255
    crop = Preprocess(
        size=(30, 30), resize="crop", crop_ratio=0.5, interpolation="nearest", mean=(0, 0, 0), std=(1, 1, 1)
    )
    assert crop(Image.fromarray(pixels)).min() == 1
    whole = Preprocess(size=(30, 30), resize="crop", interpolation="nearest", mean=(0, 0, 0), std=(1, 1, 1))
    assert whole(Image.fromarray(pixels)).mean() == pytest.approx(0.25)


def test_crop_agrees_with_resizing_first_and_cutting_then() -> None:
    y, x = np.mgrid[0:300, 0:400]
    image = Image.fromarray(np.stack([x * 0.6, y * 0.8, (x + y) * 0.3], axis=-1).astype(np.uint8))
    levels = (1 / 255, 1 / 255, 1 / 255)
    got = Preprocess((84, 84), "crop", 0.875, mean=(0, 0, 0), std=levels)(image)
    shorter = image.resize((128, 96), Image.Resampling.BICUBIC).crop((22, 6, 106, 90))
    assert np.abs(got - np.asarray(shorter).transpose(2, 0, 1)).max() <= 1


def test_large_pictures_shrink_in_two_steps_without_visible_difference() -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    large = small.resize((3000, 2000), Image.Resampling.BICUBIC)
    one_step = np.asarray(large.resize((224, 224), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    got = Preprocess(mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255))(large)
    assert np.abs(got - one_step).mean() < 1
    assert np.abs(got - one_step).max() < 8


def test_dictionary_and_back() -> None:
    odd = Preprocess((64, 96), "crop", 0.9, "lanczos", (0.1, 0.2, 0.3), (1, 2, 3))
    assert Preprocess.from_dict(json.loads(json.dumps(odd.to_dict()))) == odd
    assert Preprocess.from_dict({}) == Preprocess()


def test_at_least_leaves_enough_to_cut_from() -> None:
    assert Preprocess().at_least == 224
    assert Preprocess(resize="crop", crop_ratio=0.875).at_least == 256


@pytest.mark.parametrize(
    "values",
    [
        {"colour": "red"},
        {"size": 224},
        {"size": [224]},
        {"size": [0, 5]},
        {"size": [224.5, 224]},
        {"size": [10**6, 5]},
        {"size": ["a", "b"]},
        {"resize": "stretch"},
        {"resize": "crop", "crop_ratio": 0},
        {"resize": "crop", "crop_ratio": 1.1},
        {"resize": "crop", "crop_ratio": "0.9"},
        {"crop_ratio": 0.9},
        {"interpolation": "magic"},
        {"mean": [0, 0]},
        {"mean": 0.5},
        {"mean": [0, 0, "x"]},
        {"mean": [0, 0, float("nan")]},
        {"std": [1, 1, 0]},
        {"std": [1, 1, True]},
    ],
)
def test_unfit_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Preprocess.from_dict(values)
