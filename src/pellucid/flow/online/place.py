"""Places: how samples stand in a live model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Place:
    """How one sample stands in a live model.

    A doubtful label is learnt by its strength and not by its weight: the image counts as one image, and its target is
    as high as the label is believed.
    """

    number: int  # of the class; -1 where the sample is not learnt
    weight: float  # 0..1: how much the image counts; near-copies share the weight of one
    strength: float  # 0..1: how much of the label is learnt

    @property
    def credit(self) -> float:
        """How much the model learns of the label from this image, 0..1: weight times strength."""
        return self.weight * self.strength


NOWHERE = Place(-1, 0.0, 1.0)


def as_arrays(places: Sequence[Place]) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Class numbers, weights and strengths (n,), as heads take them.

    >>> as_arrays([Place(2, 0.5, 1.0), NOWHERE])
    (array([ 2, -1]), array([0.5, 0. ]), array([1., 1.]))
    """
    return (
        np.array([place.number for place in places], np.intp),
        np.array([place.weight for place in places], np.float64),
        np.array([place.strength for place in places], np.float64),
    )
