"""A user's own extractor in a few lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import UsageError
from pellucid.features.weightless import Weightless


class MeanColour(Weightless):
    version, dim, input_size = 1, 3, 8
    description = "mean colour"

    def describe(self, image: Image.Image) -> NDArray[Any]:
        colour: NDArray[Any] = np.asarray(image).mean(axis=(0, 1))
        return colour


class Newer(MeanColour):
    version = 2


class Wrong(MeanColour):
    dim = 4


def test_vectors_are_those_described() -> None:
    images = [Image.new("RGB", (4, 4), (1, 2, 3)), Image.new("RGB", (9, 2), (4, 5, 6))]
    assert MeanColour().embed(images).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_spec_is_the_path_of_the_class_and_the_version_is_in_the_fingerprint() -> None:
    assert MeanColour().spec.endswith(":MeanColour")
    assert MeanColour().fingerprint == MeanColour().fingerprint
    assert MeanColour().fingerprint != Newer().fingerprint
    assert MeanColour().files == {}


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\(4,\)"):
        Wrong().embed([Image.new("RGB", (4, 4))])


def test_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="no argument"):
        MeanColour.open("x", base=None, cache=None)
