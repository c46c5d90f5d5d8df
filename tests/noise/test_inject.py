from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, UsageError
from pellucid.noise.inject import KINDS, Injection, inject_labels

CALL: dict[str, Any] = {"y": np.array(["cat", "dog", "eel"] * 2), "kind": "symmetric", "rate": 0.3, "seed": 0}
THREE = [[0.8, 0.2, 0.0], [0.0, 0.9, 0.1], [0.3, 0.3, 0.4]]


def truth(n: int = 3000) -> np.ndarray[Any, Any]:
    return np.array(["cat", "dog", "eel"])[np.arange(n) % 3]


def model(n: int = 3000) -> np.ndarray[Any, Any]:
    """Probabilities that hold the truth most likely, and the next class for the runner-up; later is surer."""
    sure = np.linspace(0.4, 0.98, n)
    p = np.empty((n, 3))
    rows = np.arange(n)
    p[rows, rows % 3] = sure
    p[rows, (rows + 1) % 3] = (1 - sure) * 0.9
    p[rows, (rows + 2) % 3] = (1 - sure) * 0.1
    return p


def inject(kind: str, rate: float, seed: int = 0, n: int = 3000) -> Injection:
    arguments: dict[str, Any] = {
        "matrix": THREE,
        "pred_probs": model(n),
        "annotators": np.array(["ann", "bob", "cyd", "dan"])[np.arange(n) * 7 % 4],
    }
    needed = {name: arguments[name] for name in (KINDS[kind],) if name is not None}
    return inject_labels(truth(n), kind, rate, seed, **needed)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(rate=st.floats(0, 0.3), seed=st.integers(0, 2**32))
def test_what_is_returned_is_what_was_done(kind: str, rate: float, seed: int) -> None:
    result = inject(kind, rate, seed)
    assert result.changed.tolist() == (result.labels != truth()).tolist()
    assert result.probability.mean() == pytest.approx(rate)
    assert abs(result.changed.mean() - rate) < 5 * np.sqrt(0.25 / 3000)
    np.testing.assert_allclose(result.matrix.sum(axis=1), 1)
    # the matrix is what the labels follow: expected against counted, row by row, within five deviations
    counted = np.array([[np.mean(result.labels[truth() == a] == b) for b in result.classes] for a in result.classes])
    assert np.abs(counted - result.matrix).max() < 5 * np.sqrt(0.25 / 1000)
    again = inject(kind, rate, seed)
    assert again.labels.tolist() == result.labels.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_higher_rate_changes_all_that_a_lower_rate_does(kind: str) -> None:
    low, high = inject(kind, 0.1), inject(kind, 0.3)
    assert 0 < low.changed.sum() < high.changed.sum()
    assert not (low.changed & ~high.changed).any()
    assert (low.labels[low.changed] == high.labels[low.changed]).all()
    assert inject(kind, 0.1, seed=1).changed.tolist() != low.changed.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_no_noise_changes_nothing(kind: str) -> None:
    result = inject(kind, 0.0)
    assert result.labels.tolist() == truth().tolist()
    np.testing.assert_array_equal(result.matrix, np.eye(3))


@pytest.mark.parametrize("kind", ["symmetric", "pair", "instance", "annotator"])
def test_at_rate_one_every_label_is_wrong(kind: str) -> None:
    assert inject(kind, 1.0).changed.all()


def test_symmetric_spreads_evenly_over_the_others() -> None:
    np.testing.assert_allclose(
        inject("symmetric", 0.3).matrix, [[0.7, 0.15, 0.15], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]]
    )


def test_pair_goes_to_the_next_class_and_from_the_last_to_the_first() -> None:
    np.testing.assert_allclose(inject("pair", 0.4).matrix, [[0.6, 0.4, 0], [0, 0.6, 0.4], [0.4, 0, 0.6]])


def test_a_matrix_is_used_as_it_is_at_its_own_rate_and_scaled_at_others() -> None:
    own = (0.2 + 0.1 + 0.6) / 3
    np.testing.assert_allclose(inject("matrix", own).matrix, THREE)
    np.testing.assert_allclose(inject("matrix", own / 2).matrix, (np.array(THREE) + np.eye(3)) / 2)


def test_instance_noise_goes_to_the_runner_up_and_falls_with_the_margin() -> None:
    result = inject("instance", 0.3)
    wrong = np.flatnonzero(result.changed)
    assert (result.labels[wrong] == result.classes[(wrong + 1) % 3]).all()
    assert (np.diff(result.probability) < 0).all()
    assert result.probability[[0, -1]] == pytest.approx([0.6, 0], abs=1e-3)


def test_instance_noise_only_sees_the_order_of_the_margins() -> None:
    p = model()
    hotter = p**3 / (p**3).sum(axis=1, keepdims=True)
    result = inject_labels(truth(), "instance", 0.3, 0, pred_probs=hotter)
    assert result.labels.tolist() == inject("instance", 0.3).labels.tolist()


def test_equal_margins_have_equal_probabilities() -> None:
    result = inject_labels([0, 1, 0, 1], "instance", 0.2, 0, pred_probs=[[0.5, 0.5]] * 4)
    assert result.probability.tolist() == pytest.approx([0.2] * 4)


def test_annotators_differ_and_each_has_one_rate() -> None:
    result = inject("annotator", 0.2)
    who = np.arange(3000) * 7 % 4
    rates = [set(result.probability[who == a].round(9)) for a in range(4)]
    assert sorted(rate for (rate,) in rates) == pytest.approx([0.05, 0.15, 0.25, 0.35])


def test_integers_and_booleans_stay_what_they_are() -> None:
    assert inject_labels([0, 5, 9], "pair", 1.0, 0).labels.tolist() == [5, 9, 0]
    assert inject_labels([True, False], "symmetric", 1.0, 0).labels.tolist() == [False, True]


def test_classes_that_do_not_occur_can_be_drawn_when_they_are_named() -> None:
    result = inject_labels([0, 0], "pair", 1.0, 0, classes=[0, 1, 2])
    assert result.labels.tolist() == [1, 1]
    np.testing.assert_array_equal(result.matrix, [[0, 1, 0], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "sideways"}, "symmetric, pair"),
        ({"rate": 1.2}, "0 to 1"),
        ({"rate": float("nan")}, "0 to 1"),
        ({"seed": -1}, "seed"),
        ({"kind": "matrix"}, "needs matrix"),
        ({"kind": "instance"}, "needs pred_probs"),
        ({"kind": "annotator"}, "needs annotators"),
        ({"matrix": THREE}, "does not take matrix"),
    ],
)
def test_calls_that_are_wrong(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        inject_labels(**(CALL | arguments))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"y": ["cat", "cat"]}, "second"),
        ({"y": []}, "no labels"),
        ({"y": [1.0, np.nan]}, "missing"),
        ({"kind": "matrix", "matrix": np.eye(2)}, r"wanted \(3, 3\)"),
        ({"kind": "matrix", "matrix": np.full((3, 3), 0.5)}, "sum to 1"),
        ({"kind": "matrix", "matrix": [[2, -1, 0], [0, 1, 0], [0, 0, 1]]}, "probabilities"),
        ({"kind": "matrix", "matrix": np.full((3, 3), np.nan)}, "probabilities"),
        ({"kind": "matrix", "matrix": "abc"}, "numbers"),
        ({"kind": "matrix", "matrix": np.eye(3)}, "changes no label"),
        ({"kind": "matrix", "matrix": THREE, "rate": 0.9}, "the most it reaches is 0.5"),
        ({"kind": "instance", "pred_probs": np.ones((2, 3)) / 3}, "n = 6"),
        ({"kind": "instance", "pred_probs": np.ones((6, 1))}, "1 columns for 3 classes"),
        ({"kind": "annotator", "annotators": ["ann"]}, "1 entries for 6"),
    ],
)
def test_data_that_cannot_be_used(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        inject_labels(**(CALL | arguments))


def test_the_lazy_names_of_the_package() -> None:
    import pellucid.noise as package

    assert package.inject_labels is inject_labels
    assert all(hasattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="it has"):
        package.nothing  # noqa: B018  # the access is the test
