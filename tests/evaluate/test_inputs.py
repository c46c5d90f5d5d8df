from __future__ import annotations

import numpy as np
import pytest

from pellucid.errors import DataError
from pellucid.evaluate.inputs import check_groups, check_outcomes

HALF = [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("y", "proba", "message"),
    [
        ([0, 1], HALF, "one length"),
        ([], np.empty((0, 2)), "no test images"),
        ([0], [0.5, 0.5], r"wanted \(n,\) and \(n, K\)"),
        ([[0]], HALF, "wanted"),
        ([0.0], HALF, "class indices"),
        ([2], HALF, "K = 2"),
        ([-1], HALF, "K = 2"),
        ([0], np.empty((1, 0)), "K = 0"),
        ([0], [[0.5, 0.6]], "row 0 of proba sums to 1.1"),
        ([0], [[1.5, -0.5]], "negative"),
        ([0], [[np.nan, 1.0]], "missing"),
        ([0], [[np.inf, 0.0]], "infinite"),
    ],
)
def test_bad_outcomes_are_refused_with_what_is_wanted(y: object, proba: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_outcomes(y, proba)  # type: ignore[arg-type]  # bad input is the point


def test_half_precision_softmax_is_accepted() -> None:
    proba = np.full((1, 1000), 1 / 1000, dtype=np.float16)
    y, checked = check_outcomes(np.array([999], dtype=np.uint16), proba)
    assert y.dtype == np.int64
    assert checked.dtype == np.float64


def test_groups_become_codes_and_a_wrong_length_is_refused() -> None:
    codes = check_groups(["b", "a", "b"], 3)
    assert codes is not None
    assert codes.tolist() == [1, 0, 1]
    assert check_groups(None, 3) is None
    with pytest.raises(DataError, match="each of the 2 images"):
        check_groups(["a"], 2)
