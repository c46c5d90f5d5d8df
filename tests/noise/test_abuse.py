"""Signs of bad faith, against scipy's test and against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pellucid.errors import DataError
from pellucid.noise.abuse import aim_of, fastest


@pytest.mark.parametrize(("hits", "n"), [(8, 10), (20, 40), (12, 12)])
def test_an_aim_is_a_binomial_test_with_a_correction(hits: int, n: int) -> None:
    usual = {"cat": 0.2, "dog": 0.5, "eel": 0.3}
    found = aim_of(["cat"] * hits + ["dog"] * (n - hits), usual)
    assert found is not None
    exact = binomtest(hits, n, 0.2, alternative="greater").pvalue
    assert (found.label, found.count, found.of) == ("cat", hits, n)
    assert found.p_value == pytest.approx(min(1.0, 3 * exact))


def test_who_errs_in_all_directions_aims_at_nothing() -> None:
    usual = {"cat": 0.2, "dog": 0.5, "eel": 0.3}
    found = aim_of(["cat"] * 4 + ["dog"] * 10 + ["eel"] * 6, usual)
    assert found is not None
    assert found.p_value == 1.0
    assert aim_of([], usual) is None


@given(st.lists(st.integers(0, 500), max_size=40), st.integers(1, 100))
def test_the_fastest_stretch_is_what_counting_finds(at: list[int], window: int) -> None:
    counted = max((sum(0 <= other - start < window for other in at) for start in at), default=0)
    assert fastest(at, window) == counted


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="above 0"):
        fastest([1.0], 0)
    assert fastest(np.array([])) == 0
