from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.heads.conformal import REPORTED, calibrate_sets
from pellucid.heads.temperature import probabilities


def drawn(seed: int, n: int, K: int = 4) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Probabilities, and labels drawn from sharper ones, so that they are calibrated badly."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, K))
    return probabilities(scores, 0.6), (scores + 0.3 * rng.gumbel(size=(n, K))).argmax(axis=1)


def covered(held: NDArray[np.bool_], y: NDArray[np.intp]) -> float:
    return float(held[np.arange(len(y)), y].mean())


def test_four_rows_by_hand() -> None:
    """Of five places between four distances .1 .2 .3 .4, the second reaches 2/5, the fourth 4/5, more is everything."""
    p = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.6, 0.2, 0.2]])
    sets = calibrate_sets(p, np.zeros(4, int), np.ones(4), trusted=True)
    np.testing.assert_allclose(sets.thresholds[[0, 199, 200, 399, 400, 799]], [0.1, 0.1, 0.2, 0.2, 0.3, 0.4])
    assert (sets.thresholds[800:] == 1).all()
    offered = np.array([[0.6, 0.4, 0.0], [0.45, 0.35, 0.2]])
    assert sets.members(offered, 0.2).tolist() == [[True, False, False], [True, False, False]]  # the best is always in
    assert sets.members(offered, 0.1).all()
    assert (sets.coverage[0.8], sets.sizes[0.8], sets.approximate, sets.noise_rate) == (1.0, 1.0, False, 0.0)


@pytest.mark.parametrize("alpha", [0.1, 0.02])
def test_covers_new_rows(alpha: float) -> None:
    p, y = drawn(0, 8000)
    sets = calibrate_sets(p[:4000], y[:4000], np.ones(4000), trusted=True)
    assert covered(sets.members(p[4000:], alpha), y[4000:]) == pytest.approx(1 - alpha, abs=0.02)


def test_covers_on_average_whatever_the_size() -> None:
    """The guarantee: over calibrations of 19 rows the mean coverage is at least the level."""
    p, y = drawn(1, 20_000)
    found = [
        covered(calibrate_sets(p[rows], y[rows], np.ones(19), trusted=True).members(p[10_000:], 0.2), y[10_000:])
        for rows in np.arange(1900).reshape(100, 19)
    ]
    assert np.mean(found) > 0.8 - 0.02


def test_wrong_labels_are_corrected_for() -> None:
    p, y = drawn(2, 8000)
    rng = np.random.default_rng(0)
    wrong = np.where(rng.random(4000) < 0.3, (y[:4000] + rng.integers(1, 4, 4000)) % 4, y[:4000])
    truth = calibrate_sets(p[:4000], y[:4000], np.ones(4000), trusted=True)
    raw = calibrate_sets(p[:4000], wrong, np.ones(4000), trusted=False)
    corrected = calibrate_sets(p[:4000], wrong, np.ones(4000), trusted=False, noise_rate=0.3)
    size = {name: s.members(p[4000:], 0.1).sum(axis=1).mean() for name, s in (("raw", raw), ("corrected", corrected))}
    assert covered(corrected.members(p[4000:], 0.1), y[4000:]) == pytest.approx(0.9, abs=0.03)
    assert covered(raw.members(p[4000:], 0.1), y[4000:]) > 0.97
    assert size["corrected"] < size["raw"] - 1
    assert corrected.approximate
    assert corrected.coverage[0.9] < truth.coverage[0.9] - 0.15  # of the labels as given, and a third are wrong


@given(seed=st.integers(0, 999), n=st.integers(1, 60), noise=st.sampled_from([0.0, 0.2, 0.7]))
@settings(max_examples=50)
def test_order_does_not_matter_and_sets_grow_with_the_level(seed: int, n: int, noise: float) -> None:
    p, y = drawn(seed, n)
    rng = np.random.default_rng(seed)
    weight, order = rng.uniform(0.1, 1, n), rng.permutation(n)
    sets = calibrate_sets(p, y, weight, trusted=False, noise_rate=noise)
    other = calibrate_sets(p[order], y[order], weight[order], trusted=False, noise_rate=noise)
    np.testing.assert_allclose(sets.thresholds, other.thresholds)
    assert (np.diff(sets.thresholds) >= 0).all()
    small, large = sets.members(p, 0.5), sets.members(p, 0.05)
    assert small.any(axis=1).all()
    assert (large | ~small).all()
    assert set(sets.coverage) == set(sets.sizes) == set(REPORTED)


@given(seed=st.integers(0, 999), n=st.integers(1, 40), noise=st.sampled_from([0.0, 0.3, 0.7]))
@example(seed=109, n=10, noise=0.7)  # the corrected weight falls before it rises
@settings(max_examples=40)
def test_thresholds_are_the_first_that_reach_their_level(seed: int, n: int, noise: float) -> None:
    """The definition, threshold by threshold: corrected weight of labels within, over all weight and one row more."""
    p, y = drawn(seed, n)
    weight = np.random.default_rng(seed).uniform(0.1, 1, n)
    sets = calibrate_sets(p, y, weight, trusted=False, noise_rate=noise)
    distance = 1 - p
    for level in (0.005, 0.05, 0.1, 0.25, 0.5, 0.8, 0.9):
        expected = 1.0
        for t in sorted(distance[np.arange(n), y]):
            given_labels = weight @ (distance[np.arange(n), y] <= t)
            all_classes = weight @ (distance <= t).sum(axis=1)
            reached = (given_labels - noise / 3 * all_classes) / (1 - noise - noise / 3)
            if min(reached, weight.sum()) >= level * (weight.sum() + 1) * (1 - 1e-12):
                expected = t
                break
        assert sets.thresholds[round(level * 1000) - 1] == pytest.approx(expected)


def test_whole_weights_are_copies() -> None:
    p, y = drawn(3, 50)
    copies = np.random.default_rng(0).integers(1, 4, 50)
    for noise in (0.0, 0.3):
        one = calibrate_sets(p, y, copies.astype(float), trusted=False, noise_rate=noise)
        other = calibrate_sets(
            np.repeat(p, copies, axis=0), np.repeat(y, copies), np.ones(copies.sum()), trusted=False, noise_rate=noise
        )
        np.testing.assert_allclose(one.thresholds, other.thresholds)


def test_many_rows_are_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    p, y = drawn(4, 300)
    whole = calibrate_sets(p, y, np.ones(300), trusted=False, noise_rate=0.2)
    monkeypatch.setattr("pellucid.heads.conformal.BLOCK", 20)
    parts = calibrate_sets(p, y, np.ones(300), trusted=False, noise_rate=0.2)
    np.testing.assert_allclose(parts.thresholds, whole.thresholds)
    monkeypatch.setattr("pellucid.heads.conformal.CANDIDATES", 100)
    coarse = calibrate_sets(p, y, np.ones(300), trusted=False, noise_rate=0.2)
    assert np.abs(coarse.thresholds[:900] - whole.thresholds[:900]).max() < 0.1


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, True, float("nan")])
def test_bad_alpha(alpha: float) -> None:
    p, y = drawn(0, 9)
    with pytest.raises(UsageError, match="between 0 and 1"):
        calibrate_sets(p, y, np.ones(9), trusted=True).members(p, alpha)


@pytest.mark.parametrize("rate", [-0.1, 0.75, 2.0, float("nan")])
def test_bad_noise_rate(rate: float) -> None:
    p, y = drawn(0, 9)
    with pytest.raises(UsageError, match="below 3/4"):
        calibrate_sets(p, y, np.ones(9), trusted=False, noise_rate=rate)
