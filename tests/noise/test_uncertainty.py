"""The Bayesian cut-off: measures by hand, and which are cut off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid.errors import DataError, UsageError
from pellucid.noise.uncertainty import MEASURES, cut_off, uncertainty

# Two passes of three images: always sure, always torn, and sure of another class each time.
OUTPUTS = np.array([[[20.0, 0.0], [0.0, 0.0], [20.0, 0.0]], [[20.0, 0.0], [0.0, 0.0], [0.0, 20.0]]])


def test_entropy_counts_both_kinds_of_doubt_and_information_the_networks_own() -> None:
    np.testing.assert_allclose(uncertainty(OUTPUTS, "entropy"), [0, np.log(2), np.log(2)], atol=1e-6)
    np.testing.assert_allclose(uncertainty(OUTPUTS, "information"), [0, 0, np.log(2)], atol=1e-6)


def test_variance_is_that_of_the_sum_of_the_outputs_before_the_softmax() -> None:
    outputs = np.array([[[1.0, 2.0], [0.0, 0.0]], [[3.0, 4.0], [5.0, -5.0]]])
    assert uncertainty(outputs).tolist() == [4.0, 0.0]  # of 3 and 7, and of 0 and 0


def test_the_most_uncertain_tenth_is_cut_off() -> None:
    kept = cut_off(np.arange(100))
    assert kept.sum() == 90
    assert not kept[90:].any()
    assert cut_off([]).tolist() == []


@pytest.mark.parametrize("outputs", [np.zeros((2, 3)), np.zeros((1, 3, 2)), np.full((2, 3, 2), np.nan)])
def test_what_are_no_samples_is_refused(outputs: Any) -> None:
    with pytest.raises(DataError, match="wanted are finite"):
        uncertainty(outputs)
    with pytest.raises(UsageError, match=", ".join(MEASURES)):
        uncertainty(OUTPUTS, "doubt")
