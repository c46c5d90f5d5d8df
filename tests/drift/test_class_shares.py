from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from pellucid.drift.class_shares import ClassShares
from pellucid.errors import DataError


def test_by_hand() -> None:
    """Of the 70 ways to draw 4 of 8, each equally likely, two part the classes altogether."""
    shift = ClassShares(alpha=0.001).compare(["a"] * 4, ["b"] * 4)
    assert shift.statistic == pytest.approx(8.0)  # expected are 2 in each of four cells, off by 2: 4 * 4 / 2
    assert shift.p_value == pytest.approx(2 / comb(8, 4), abs=0.006)
    assert shift.effect == 1.0
    assert not shift.drifted


def test_the_effect_is_what_chance_does_not_explain() -> None:
    """Of a, a, b, b two are drawn; of the 6 ways, each equally likely, 2 part the classes and 4 do not at all."""
    shift = ClassShares(alpha=0.001).compare(["a", "b"], ["a", "b"])
    assert (shift.effect, shift.p_value) == (0.0, 1.0)
    shift = ClassShares(alpha=0.001).compare(["a", "a"], ["b", "b"])
    assert shift.effect == pytest.approx(1.0)
    assert shift.p_value == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("k", [2, 5, 20])
def test_as_scipy_in_full_tables(k: int) -> None:
    rng = np.random.default_rng(k)
    for _ in range(5):
        a, b = rng.integers(0, k, 3000), rng.choice(k, 2000, p=np.append(np.full(k - 1, 0.98 / k), 0.98 / k + 0.02))
        shift = ClassShares(alpha=0.001).compare(a, b)
        table = [np.bincount(a, minlength=k), np.bincount(b, minlength=k)]
        expected = chi2_contingency(table, correction=False)
        assert shift.statistic == pytest.approx(expected.statistic)
        assert shift.p_value == pytest.approx(expected.pvalue, abs=0.03)


def test_as_fisher_in_a_sparse_table() -> None:
    a, b = [0] * 9 + [1], [0] * 4 + [1] * 6
    expected = fisher_exact([[9, 1], [4, 6]]).pvalue  # equal windows: both orders of the tables are the same
    assert ClassShares(alpha=0.001).compare(a, b).p_value == pytest.approx(expected, abs=0.01)


def test_an_unseen_class_is_named_with_its_rows() -> None:
    shift = ClassShares().compare(["cat"] * 50 + ["dog"] * 50, ["cat"] * 30 + ["fox"] * 20 + ["dog"] * 50)
    assert shift.drifted
    assert shift.direction == "more fox, less cat"
    assert shift.detail == "fox from 0% to 20%, cat from 50% to 30%"
    assert set(shift.moved) <= set(range(30, 50))


def test_many_classes_and_few_rows_are_no_effect() -> None:
    rng = np.random.default_rng(0)
    effects = [ClassShares().compare(rng.integers(0, 200, 150), rng.integers(0, 200, 150)).effect for _ in range(20)]
    assert np.mean(effects) < 0.04  # the total variation itself is about a half


def test_numbers_of_any_width_and_strings() -> None:
    test = ClassShares()
    assert test.compare(np.array([1, 2], np.int8), np.array([1, 2], np.uint64)).effect == 0.0
    assert test.compare(["a", "bbb"], np.array(["a", "bbb"], object)).effect == 0.0
    assert test.compare(np.array([True, False]), [1, 0]).effect == 0.0


@pytest.mark.parametrize(
    ("current", "message"),
    [
        (["1", "2"], "name classes alike in both"),
        ([1, "2"], "mixes kinds"),
        ([1, None], "mixes kinds"),
        ([0.5, 1.0], "holds float64; wanted classes as whole numbers or strings"),
    ],
)
def test_classes_of_other_kinds(current: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ClassShares().compare([1, 2], current)  # type: ignore[arg-type]
