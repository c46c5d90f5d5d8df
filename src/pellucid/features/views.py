"""Views: one vector of a picture and its mirrored and turned copies, for what has no right way up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import IntegrityError, UsageError
from pellucid.features.extractor import Extractor, fingerprint, open_extractor, restore_extractor

_MIRROR = Image.Transpose.FLIP_LEFT_RIGHT
_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
_TURNED_MIRRORS = (Image.Transpose.TRANSPOSE, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSVERSE)

# name -> what is looked at beside the picture as it is
VIEWS: Mapping[str, tuple[Image.Transpose, ...]] = MappingProxyType(
    {"mirror": (_MIRROR,), "turns": _TURNS, "all": (_MIRROR, *_TURNS, *_TURNED_MIRRORS)}
)


class Views:
    """``views:NAME:SPEC``: the mean of another extractor's vectors of a picture and of its copies.

    The copies are the picture ``mirror``-ed, in its other three quarter ``turns``, or ``all`` seven: it takes 2, 4 or 8
    times as long to look. Training on copies teaches a model that they are one thing; here they have one vector from
    the beginning, in training and in serving alike [1]_. So a picture stays one row, which can be learnt, audited and
    unlearnt singly, and the answer is the same however the picture lies.

    .. [1] T. Cohen, M. Welling (2016). Group equivariant convolutional networks. ICML. (Pooling over the group.)

    >>> turned = Views.open("turns:classical", base=None, cache=None)
    >>> picture = Image.linear_gradient("L").convert("RGB")
    >>> first, second = turned.embed([picture, picture.rotate(90)])
    >>> np.allclose(first, second, atol=1e-6)
    True
    """

    kind = "views"

    def __init__(self, name: str, of: Extractor) -> None:
        """Raises UsageError where there are no views of that name."""
        if name not in VIEWS:
            raise UsageError(f"there are no views {name!r}; choose {', '.join(VIEWS)}, as in views:mirror:{of.spec}")
        self._name, self._of = name, of

    @classmethod
    def open(cls, argument: str, *, base: Path | None, cache: Path | None) -> Self:
        """From NAME:SPEC; raises UsageError for another form, and what `open_extractor` raises of the SPEC."""
        name, _, spec = argument.partition(":")
        if not spec:
            raise UsageError(f"'views:{argument}' is not views:NAME:SPEC, as in views:mirror:onnx:PATH")
        of = open_extractor(spec, base=base, cache=cache)
        _check_kind(str(of.record["kind"]))
        return cls(name, of)

    @classmethod
    def restore(cls, record: Mapping[str, Any], files: Mapping[str, Path]) -> Self:
        """Raises IntegrityError for a damaged record, and what `restore_extractor` raises of the inner one."""
        try:
            name, inner = record["identity"]["views"], record["of"]
            _check_kind(str(inner["kind"]))
        except (KeyError, TypeError) as error:
            raise IntegrityError(f"the extractor record is damaged: {error}") from error
        if not isinstance(name, str) or name not in VIEWS:
            raise IntegrityError(f"the extractor record is damaged: it names the views {name!r}")
        return cls(name, restore_extractor(inner, files))

    @property
    def spec(self) -> str:
        """With the inner one's."""
        return f"{self.kind}:{self._name}:{self._of.spec}"

    @property
    def record(self) -> dict[str, Any]:
        """As `Extractor` says, with the inner one's record under ``of``."""
        inner = self._of.record
        identity = {
            "kind": self.kind,
            "views": self._name,
            "of": self._of.fingerprint,
            "files": inner["identity"]["files"],
        }
        return {
            "kind": self.kind,
            "spec": self.spec,
            "description": self.description,
            "identity": identity,
            "of": inner,
        }

    @property
    def fingerprint(self) -> str:
        """As `Extractor` says."""
        return fingerprint(self.record["identity"])

    @property
    def files(self) -> Mapping[str, Path]:
        """The inner one's."""
        return self._of.files

    @property
    def dim(self) -> int:
        """The inner one's."""
        return self._of.dim

    @property
    def input_size(self) -> int:
        """The inner one's."""
        return self._of.input_size

    @property
    def description(self) -> str:
        """One line for people."""
        return f"{self._of.description}; the mean of {1 + len(VIEWS[self._name])} views ({self._name})"

    def embed(self, images: Iterable[Image.Image]) -> NDArray[np.float32]:
        """Vectors (n, dim) of n pictures of mode RGB."""
        ways = VIEWS[self._name]
        views = (view for image in images for view in (image, *(image.transpose(way) for way in ways)))
        found = self._of.embed(views).reshape(-1, 1 + len(ways), self.dim)
        return np.asarray(found.mean(axis=1))


def _check_kind(kind: str) -> None:
    if ":" in kind or kind == Views.kind:  # a class of one's own is imported for those alone who trust a record
        raise UsageError(f"views cannot be taken of {kind!r}; average the vectors in the class itself")
