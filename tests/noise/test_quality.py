"""Bad images: pixels by hand, novelty against scikit-learn, and hardly a clean one suspected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from pellucid.errors import DataError
from pellucid.noise.corrupt import corrupt_image
from pellucid.noise.pixels import PixelStatistics, as_columns, pixel_statistics
from pellucid.noise.quality import NEIGHBOURS, image_quality


def photograph(seed: int, side: int = 64) -> Image.Image:
    """A smooth picture with some grain, as cameras make them."""
    rng = np.random.default_rng(seed)
    smooth = Image.fromarray(rng.integers(60, 200, (6, 6), dtype=np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    grain = np.clip(np.asarray(smooth, np.int16) + rng.normal(0, 6, (side, side)), 0, 255)
    return Image.fromarray(grain.astype(np.uint8)).convert("RGB")


def statistics_of(image: Image.Image) -> PixelStatistics:
    return pixel_statistics(np.asarray(image.convert("L")))


def test_statistics_by_hand() -> None:
    grey = np.array([[0, 0, 255, 255], [0, 0, 255, 255], [0, 0, 255, 255]], np.uint8)
    found = pixel_statistics(grey)
    assert (found.brightness, found.contrast, found.dark, found.bright) == (127.5, 127.5, 0.5, 0.5)
    # of 2 x 3 pixels with a right and a lower neighbour, the column before the edge differs from its right one
    assert found.flat == pytest.approx(4 / 6)
    # the Laplacian is 255 left of the edge and -255 right of it
    assert found.sharpness == pytest.approx(255.0)
    assert (found.width, found.height) == (4, 3)
    columns = as_columns([found])
    assert columns["aspect"][0] == pytest.approx(np.log(4 / 3))
    assert columns["side"][0] == pytest.approx(np.log(12) / 2)


@pytest.mark.parametrize("grey", [np.zeros((2, 9), np.uint8), np.zeros((9, 9)), np.zeros((9, 9, 3), np.uint8)])
def test_what_is_no_grey_picture_is_refused(grey: NDArray[Any]) -> None:
    with pytest.raises(DataError, match="wanted are grey levels"):
        pixel_statistics(grey)


def test_novelty_is_the_mean_distance_to_the_nearest() -> None:
    rng = np.random.default_rng(0)
    base, rows = rng.normal(size=(50, 7)), rng.normal(size=(20, 7))
    unit = [X / np.linalg.norm(X, axis=1, keepdims=True) for X in (base, rows)]
    neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(unit[0])
    expected = neighbours.kneighbors(unit[1])[0].mean(axis=1)
    np.testing.assert_allclose(image_quality(rows, base).novelty, expected, atol=1e-12)
    own = neighbours.kneighbors()[0].mean(axis=1)  # without itself
    np.testing.assert_allclose(image_quality(base, base).novelty, own, atol=1e-7)


def test_leverage_is_high_off_the_plane_of_the_reference() -> None:
    rng = np.random.default_rng(1)
    base = np.c_[rng.normal(3, 1, (60, 2)), np.zeros(60)]
    found = image_quality(np.array([[3.0, 3.0, 0.0], [0.0, 0.0, 1.0]]), base)
    assert found.leverage[1] > 50 * found.leverage[0]


def test_what_is_done_to_a_picture_is_found_and_said() -> None:
    usual = [photograph(seed) for seed in range(120)]
    reference = [statistics_of(image) for image in usual]
    rng = np.random.default_rng(0)
    X = rng.normal(1, 0.1, (120, 16))
    odd = {
        "darker": Image.new("RGB", (64, 64), (3, 3, 3)),
        "large parts are white": corrupt_image(photograph(900), "boxes", 1).image,
        "blurred": photograph(901).resize((8, 8)).resize((64, 64), Image.Resampling.BICUBIC),
        "larger": photograph(902, side=640),
        "wider": photograph(903).resize((640, 64)),
        "noisier": Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).convert("RGB"),
    }
    stats = [statistics_of(image) for image in odd.values()]
    found = image_quality(X[: len(odd)], X, stats, reference)
    for word, reason in zip(odd, found.reasons, strict=True):
        assert word in reason
    assert found.suspect.all()


def test_hardly_a_clean_picture_is_suspected_and_corrupted_ones_rank_first() -> None:
    usual = [photograph(seed) for seed in range(300)]
    X = np.random.default_rng(0).normal(1, 0.2, (300, 16))
    stats = [statistics_of(image) for image in usual]
    assert image_quality(X, X, stats).suspect.mean() < 0.03
    broken = [statistics_of(corrupt_image(image, "mixed", seed).image) for seed, image in enumerate(usual[:100])]
    fresh = np.random.default_rng(1).normal(1, 0.2, (200, 16))
    found = image_quality(fresh, X[200:], [*broken, *stats[100:200]], stats[200:])
    assert roc_auc_score(np.arange(200) < 100, found.score) > 0.95


@settings(max_examples=30)
@given(st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(3)
    X, base = rng.normal(size=(12, 4)), rng.normal(size=(20, 4))
    one, other = image_quality(X, base), image_quality(X[order], base)
    np.testing.assert_allclose(other.score, one.score[order])
    assert other.reasons == tuple(one.reasons[index] for index in order)


@pytest.mark.parametrize(
    ("X", "reference", "says"),
    [
        (np.ones((3, 2)), np.ones((9, 3)), "2 features and the reference 3"),
        (np.ones((3, 2)), np.ones((4, 2)), "wanted are at least 7"),
        (np.full((3, 2), np.nan), np.ones((9, 2)), "NaN|finite|infinit"),
    ],
)
def test_what_cannot_be_compared_is_refused(X: NDArray[Any], reference: NDArray[Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        image_quality(X, reference)
    with pytest.raises(DataError, match="pixel statistics for 9 rows"):
        image_quality(np.ones((9, 2)), np.ones((9, 2)), [statistics_of(photograph(0))])


def test_reference_statistics_are_one_for_each_row_and_go_with_pixel_statistics() -> None:
    X, found = np.random.default_rng(0).normal(size=(9, 2)), [statistics_of(photograph(0))] * 9
    for pixels, reference in ((found, found[:3]), (found, []), (None, found)):
        with pytest.raises(DataError, match="reference statistics for 9 rows"):
            image_quality(X, X, pixels, reference)


def test_the_size_of_a_row_does_not_matter_however_large() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    for scale in (1e200, 1e-200):
        scaled = X * scale
        np.testing.assert_allclose(image_quality(scaled, scaled).novelty, image_quality(X, X).novelty)
