from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.errors import DataError, UsageError
from pellucid.noise.corrupt import CORRUPTIONS, corrupt_image


def picture(width: int = 224, height: int = 160) -> Image.Image:
    """Noise of middle values: no pixel is white or black, and no two neighbours are alike."""
    pixels = np.random.default_rng(0).integers(40, 200, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", [*CORRUPTIONS, "mixed"])
@settings(max_examples=10)
@given(width=st.integers(8, 300), height=st.integers(8, 300), seed=st.integers(0, 2**32))
def test_any_size_changes_only_what_the_mask_says_and_always_the_same(
    kind: str, width: int, height: int, seed: int
) -> None:
    before = picture(width, height)
    result = corrupt_image(before, kind, seed)
    assert result.image.size == before.size
    assert result.image.mode == "RGB"
    assert result.kind in CORRUPTIONS
    assert kind in (result.kind, "mixed")
    touched = (np.asarray(result.image) != np.asarray(before)).any(axis=2)
    assert touched.any()
    assert not (touched & ~result.mask).any()
    again = corrupt_image(before, kind, seed)
    assert again.image.tobytes() == result.image.tobytes()
    assert (again.boxes, again.lines, again.strength) == (result.boxes, result.lines, result.strength)


def test_the_picture_that_came_in_stays_as_it_was() -> None:
    before = picture()
    for kind in CORRUPTIONS:
        corrupt_image(before, kind, 1)
    assert before.tobytes() == picture().tobytes()


@pytest.mark.parametrize(("kind", "fewest", "most"), [("boxes", 10, 20), ("mosaic", 20, 30)])
def test_boxes_have_the_number_and_size_of_the_protocol(kind: str, fewest: int, most: int) -> None:
    counts = set()
    for seed in range(60):
        result = corrupt_image(picture(), kind, seed)
        counts.add(len(result.boxes))
        for left, top, right, bottom in result.boxes:
            assert 0 <= left < right <= 224
            assert 0 <= top < bottom <= 160
            assert 22 <= right - left <= 45
            assert 16 <= bottom - top <= 32
    assert counts == set(range(fewest, most + 1))


def test_boxes_are_white_and_the_mask_is_exactly_theirs() -> None:
    result = corrupt_image(picture(), "boxes", 0)
    white = (np.asarray(result.image) == 255).all(axis=2)
    np.testing.assert_array_equal(white, result.mask)


def test_a_mosaic_has_ten_by_ten_cells_with_the_mean_of_their_pixels() -> None:
    result = corrupt_image(picture(200, 200), "mosaic", 0)
    left, top, right, bottom = result.boxes[-1]  # the last one is covered by no other
    piece = np.asarray(result.image)[top:bottom, left:right].astype(float)
    steps = (np.diff(piece, axis=1) != 0).any(axis=(0, 2)).sum(), (np.diff(piece, axis=0) != 0).any(axis=(1, 2)).sum()
    assert steps == (9, 9)
    # against the picture itself where only one box lies over it
    single = Image.new("RGB", (200, 200), "navy")
    assert corrupt_image(single, "mosaic", 0).image.tobytes() == single.tobytes()


def test_the_line_is_black_straight_from_edge_to_edge_and_as_thick_as_it_says() -> None:
    diagonal = np.hypot(224, 160)
    for seed in range(20):
        result = corrupt_image(picture(), "line", seed)
        ((x0, y0, x1, y1, thickness),) = result.lines
        assert diagonal / 10 <= thickness <= diagonal / 5
        assert (x0, x1) == (0, 224) or (y0, y1) == (0, 160)
        np.testing.assert_array_equal((np.asarray(result.image) == 0).all(axis=2), result.mask)
        y, x = np.nonzero(result.mask)
        off = (x + 0.5 - x0) * (y1 - y0) - (y + 0.5 - y0) * (x1 - x0)  # twice the area: distance times length
        off = off / np.hypot(x1 - x0, y1 - y0)
        assert np.abs(off).max() <= thickness / 2 + 1e-9
        assert np.ptp(off) > 0.8 * thickness or not result.mask[1:-1, 1:-1].any()
        # an axis within the picture from edge to edge is covered all along
        steps = np.linspace(0.001, 0.999, 50)
        columns, rows = x0 + steps * (x1 - x0), y0 + steps * (y1 - y0)
        assert result.mask[rows.astype(int), columns.astype(int)].all()


def test_mixed_draws_evenly_among_the_three() -> None:
    kinds = [corrupt_image(picture(16, 16), "mixed", seed).kind for seed in range(600)]
    assert {kind: 150 < kinds.count(kind) < 250 for kind in kinds} == {"boxes": True, "mosaic": True, "line": True}


def test_exposure_goes_both_ways_and_monotonously() -> None:
    ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0))
    signs = set()
    for seed in range(10):
        result = corrupt_image(ramp, "exposure", seed)
        values = np.asarray(result.image)[0, :, 0].astype(int)
        assert (np.diff(values) >= 0).all()
        assert 1.5 <= abs(result.strength["stops"]) <= 3
        assert np.sign(values.mean() - 127.5) == np.sign(result.strength["stops"])
        signs.add(np.sign(result.strength["stops"]))
    assert len(signs) == 2


def test_a_blur_smooths_and_noise_roughens_by_what_they_say() -> None:
    grey = Image.new("RGB", (200, 200), (128, 128, 128))
    noisy = corrupt_image(grey, "noise", 0)
    assert np.asarray(noisy.image).std() == pytest.approx(noisy.strength["sigma"], rel=0.1)
    blurred = corrupt_image(picture(200, 200), "blur", 0)
    assert 4 <= blurred.strength["radius"] <= 10
    assert np.asarray(blurred.image).std() < np.asarray(picture(200, 200)).std() / 4


def test_jpeg_keeps_its_quality_in_bounds() -> None:
    assert all(3 <= corrupt_image(picture(), "jpeg", seed).strength["quality"] <= 12 for seed in range(20))


def test_what_cannot_be_corrupted() -> None:
    with pytest.raises(UsageError, match="boxes, mosaic, line"):
        corrupt_image(picture(), "coffee", 0)
    with pytest.raises(UsageError, match="seed"):
        corrupt_image(picture(), "boxes", -1)
    with pytest.raises(DataError, match="RGB"):
        corrupt_image(picture().convert("L"), "boxes", 0)
    with pytest.raises(DataError, match="ndarray; wanted is Pillow's"):
        corrupt_image(np.zeros((9, 9, 3), np.uint8), "boxes", 0)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="65500"):
        corrupt_image(Image.new("RGB", (70_000, 8)), "jpeg", 0)
    with pytest.raises(DataError, match="7 x 40"):
        corrupt_image(Image.new("RGB", (7, 40)), "boxes", 0)
