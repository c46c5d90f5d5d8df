"""Near-duplicates: what is near, what is not, and that grouping neither chains nor depends on order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.fft import dctn

from pellucid.errors import UsageError
from pellucid.features.decode import decode
from pellucid.features.similar import is_near, near_groups, near_pairs, perceptual_hash, sketch

Encode = Callable[..., bytes]
Sketches = NDArray[np.uint8]


def scene(seed: int) -> Image.Image:
    """A picture with structure at several scales, as photographs have."""
    rng = np.random.default_rng(seed)
    total = np.zeros((192, 256, 3))
    for cells in (3, 7, 15, 40):
        patch = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += np.asarray(patch.resize((256, 192), Image.Resampling.BICUBIC)) / 4
    return Image.fromarray(total.astype(np.uint8))


def noise(count: int, seed: int = 0) -> Sketches:
    """Sketches that have nothing to do with each other."""
    return np.random.default_rng(seed).integers(0, 200, (count, 1024), dtype=np.uint8)


def jitter(base: Sketches, count: int, sigma: float, seed: int = 1) -> Sketches:
    """Copies of one sketch, each with its own noise."""
    offsets = np.random.default_rng(seed).normal(0, sigma, (count, 1024))
    return np.clip(base + offsets, 0, 255).round().astype(np.uint8)


def names(count: int) -> list[str]:
    return [f"{index:05d}" for index in range(count)]


def test_sketch_is_the_mean_of_each_area() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 128), dtype=np.uint8)
    wanted = pixels.reshape(32, 2, 32, 4).mean(axis=(1, 3))
    got = np.frombuffer(sketch(Image.fromarray(pixels)), np.uint8).reshape(32, 32)
    assert np.abs(got - wanted).max() <= 1  # Pillow rounds after each of two passes


def test_hash_agrees_with_scipys_cosine_transform() -> None:
    pixels = noise(1)[0]
    coefficients = dctn(pixels.reshape(32, 32).astype(float))
    order = sorted((u + v, abs(u - v), u, v) for u in range(16) for v in range(16))[1:65]
    wanted = "".join("01"[int(coefficients[u, v] > 0)] for _, _, u, v in order)
    assert perceptual_hash(pixels.tobytes()) == int(wanted, 2)


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_near(encode: Encode, seed: int) -> None:
    original = scene(seed)
    copies = [
        original.resize((90, 70)),
        original.resize((400, 300), Image.Resampling.BICUBIC),
        decode(encode(original, "JPEG", quality=20)).image,
        ImageEnhance.Brightness(original).enhance(0.7),
        ImageEnhance.Contrast(original).enhance(0.6),
        original.convert("L"),
    ]
    sketches = [sketch(image) for image in [original, *copies]]
    assert all(is_near(sketches[0], other) and is_near(other, sketches[0]) for other in sketches)
    assert near_groups(names(7), sketches) == ["00000"] * 7


def test_other_pictures_are_not_near() -> None:
    original = scene(0)
    others = [scene(seed) for seed in range(1, 8)]
    others += [original.transpose(Image.Transpose.FLIP_LEFT_RIGHT), original.rotate(180)]
    sketches = [sketch(image) for image in [original, *others]]
    assert not any(is_near(sketches[0], other) for other in sketches[1:])
    assert near_groups(names(10), sketches) == names(10)


def test_same_shape_with_other_content_is_not_near() -> None:
    """Cells, digits, garments: the outline correlates above .95, the inside tells them apart."""
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    disc = np.where(x**2 + y**2 < 0.8, 180.0, 0.0)
    first, second = (disc + np.random.default_rng(seed).normal(20, 12, (32, 32)) for seed in (0, 1))
    a, b = (np.clip(one, 0, 255).astype(np.uint8) for one in (first, second))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95
    assert not is_near(a.tobytes(), b.tobytes())


def test_one_changed_corner_is_another_picture() -> None:
    """A correlation over everything would overlook it."""
    a = noise(1)[0].reshape(32, 32)
    b = a.copy()
    b[:8, :8] = a[:8, :8][::-1]
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
    assert not is_near(a.tobytes(), b.tobytes())


def test_blank_pictures_are_never_joined() -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 40, 1024).astype(np.uint8)
    blanks = np.concatenate(
        [np.zeros((300, 1024), np.uint8), rng.integers(0, 3, (300, 1024), dtype=np.uint8), [ramp] * 3]
    )
    assert near_groups(names(603), blanks) == names(603)
    assert near_pairs(names(603), blanks) == []


def test_no_chain_joins_the_ends() -> None:
    """Each is near its neighbours; those two steps apart are not. A star holds three at most."""
    base, other = noise(2).astype(float)
    shares = np.arange(0, 1, 0.15)[:, None]
    chain = np.round(base + (other - base) * shares).astype(np.uint8)
    a, b, c, *_ = (one.tobytes() for one in chain)
    assert (is_near(a, b), is_near(b, c), is_near(a, c)) == (True, True, False)
    assert near_pairs(["a", "b", "c"], [a, b, c]) == [("a", "b"), ("b", "c")]
    assert near_groups(["a", "b", "c"], [a, b, c]) == ["a", "a", "a"]  # b is the representative
    groups = near_groups(names(7), chain)
    assert groups[0] != groups[-1]
    for title in set(groups):
        members = [chain[row].tobytes() for row in range(7) if groups[row] == title]
        assert any(all(is_near(centre, member) for member in members) for centre in members)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order(seed: int, random: object) -> None:
    base = noise(4, seed)
    sketches = np.concatenate([jitter(base[k], 5, 8 + 6 * k, seed + k) for k in range(4)])
    ids = names(len(sketches))
    order = np.random.default_rng(seed).permutation(len(ids))
    straight = dict(zip(ids, near_groups(ids, sketches), strict=True))
    shuffled = [ids[k] for k in order]
    assert dict(zip(shuffled, near_groups(shuffled, sketches[order]), strict=True)) == straight
    assert all(title == min(i for i in ids if straight[i] == title) for title in straight.values())
    assert sorted(near_pairs(shuffled, sketches[order])) == near_pairs(ids, sketches)


def test_pairs_equal_the_brute_force_where_copies_are_few() -> None:
    base = noise(40)
    sketches = np.concatenate([base, jitter(base[:15], 15, 6), jitter(base[5:10], 5, 6)])
    rows = [one.tobytes() for one in sketches]
    brute = [(a, b) for a in range(len(rows)) for b in range(a + 1, len(rows)) if is_near(rows[a], rows[b])]
    assert near_pairs(names(60), sketches) == [(f"{a:05d}", f"{b:05d}") for a, b in brute]
    assert len(brute) == 25


def test_thousands_of_copies_among_thousands_of_others_are_one_group() -> None:
    """Neither many equal sketches nor many slightly different ones make it quadratic or tear the group."""
    base = noise(2)
    parts = [jitter(base[0], 1500, 4), np.repeat(base[1:], 2000, axis=0), noise(500, seed=7)]
    groups = Counter(near_groups(names(4000), np.concatenate(parts)))
    assert groups["00000"] == 1500
    assert groups["01500"] == 2000
    assert sorted(groups.values())[:500] == [1] * 500


def test_bytes_and_arrays_give_the_same() -> None:
    sketches = np.concatenate([noise(5), noise(5)])
    wanted = names(5) * 2
    assert near_groups(names(10), sketches) == wanted
    assert near_groups(names(10), [one.tobytes() for one in sketches]) == wanted
    assert near_groups(names(10), np.asfortranarray(sketches)) == wanted
    assert near_pairs(names(10), sketches) == [(f"{k:05d}", f"{k + 5:05d}") for k in range(5)]


def test_nothing_and_one_have_no_pairs() -> None:
    assert near_groups([], []) == []
    assert near_pairs(["a"], noise(1)) == []
    assert near_groups(["a"], noise(1)) == ["a"]


@pytest.mark.parametrize(
    ("ids", "sketches"),
    [
        (["a"], noise(2)),
        (["a", "a"], noise(2)),
        (["a"], [bytes(1023)]),
        (["a"], np.zeros((1, 1000), np.uint8)),
        (["a"], np.zeros((1, 1024), np.float32)),
    ],
)
def test_unfit_input_is_refused(ids: list[str], sketches: Sketches) -> None:
    with pytest.raises(UsageError):
        near_groups(ids, sketches)


def test_unfit_sketches_are_refused_one_by_one() -> None:
    with pytest.raises(UsageError):
        perceptual_hash(b"")
    with pytest.raises(UsageError):
        is_near(bytes(1024), bytes(3))
