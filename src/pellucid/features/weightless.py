"""The base of extractors that need no weight files: of `classical`, and of a user's own in a few lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import UsageError
from pellucid.features.extractor import fingerprint


class Weightless(ABC):
    """Say what it is, and what the vector of one picture is; all else follows.

    >>> class MeanColour(Weightless):
    ...     version, dim, input_size = 1, 3, 8
    ...     description = "mean colour, for pictures told apart by nothing else"
    ...
    ...     def describe(self, image):
    ...         return np.asarray(image).mean(axis=(0, 1))
    >>> MeanColour().embed([Image.new("RGB", (8, 8), "red")])
    array([[255.,   0.,   0.]], dtype=float32)
    """

    kind: ClassVar[str] = ""  # as registered; a class that is named by its path leaves it out
    version: ClassVar[int]  # count it up whenever the vectors change
    dim: int
    input_size: int  # pixels
    description: str

    @abstractmethod
    def describe(self, image: Image.Image) -> NDArray[Any]:
        """The vector (dim,) of one picture of mode RGB."""

    @classmethod
    def open(cls, argument: str, *, base: Path | None, cache: Path | None) -> Self:
        """Needs neither argument nor folders; raises UsageError where an argument is given."""
        if argument:
            raise UsageError(f"extractor {cls.__name__!r} takes no argument, not {argument!r}")
        return cls()

    @classmethod
    def restore(cls, record: Mapping[str, Any], files: Mapping[str, Path]) -> Self:
        """Whether it is still the same is told by the fingerprint."""
        return cls()

    @property
    def spec(self) -> str:
        """The kind, or the path of the class."""
        return self.kind or f"{type(self).__module__}:{type(self).__qualname__}"

    @property
    def record(self) -> dict[str, Any]:
        """As `Extractor` says."""
        return {
            "kind": self.spec,
            "spec": self.spec,
            "description": self.description,
            "identity": {"kind": self.spec, "version": self.version, "dim": self.dim, "files": {}},
        }

    @property
    def fingerprint(self) -> str:
        """Of the spec, its version and its size."""
        return fingerprint(self.record["identity"])

    @property
    def files(self) -> dict[str, Path]:
        """None."""
        return {}

    def embed(self, images: Iterable[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim). Raises UsageError where `describe` gives another length."""
        found = [self.describe(image) for image in images]
        for vector in found:
            if vector.shape != (self.dim,):
                raise UsageError(f"{self.spec} gave a vector of shape {vector.shape}; it says ({self.dim},)")
        return np.array(found, np.float32).reshape(-1, self.dim)
