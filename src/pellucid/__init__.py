"""Pellucid keeps an image classifier right in production while the data it learns from is not.

>>> from pellucid import PellucidError, Project
>>> from pellucid import RidgeClassifier, audit, believe
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import PellucidError
from pellucid.version import VERSION

if TYPE_CHECKING:
    from pellucid.heads.kernel import KernelClassifier
    from pellucid.heads.ridge import RidgeClassifier
    from pellucid.noise import Audit, audit, audit_probabilities, corrupt_image, image_quality, inject_labels
    from pellucid.noise.belief import Belief, believe
    from pellucid.project import Project

__version__ = VERSION
__all__ = [
    "Audit",
    "Belief",
    "KernelClassifier",
    "PellucidError",
    "Project",
    "RidgeClassifier",
    "__version__",
    "audit",
    "audit_probabilities",
    "believe",
    "corrupt_image",
    "image_quality",
    "inject_labels",
]


def __getattr__(name: str) -> Any:
    """Imports the heavier public names only when they are asked for."""
    from importlib import import_module
    from types import MappingProxyType

    places = MappingProxyType(
        {
            "Audit": "pellucid.noise.auditing",
            "Belief": "pellucid.noise.belief",
            "KernelClassifier": "pellucid.heads.kernel",
            "Project": "pellucid.project",
            "RidgeClassifier": "pellucid.heads.ridge",
            "audit": "pellucid.noise.auditing",
            "audit_probabilities": "pellucid.noise.auditing",
            "believe": "pellucid.noise.belief",
            "corrupt_image": "pellucid.noise.corrupt",
            "image_quality": "pellucid.noise.quality",
            "inject_labels": "pellucid.noise.inject",
        }
    )
    if name in places:
        return getattr(import_module(places[name]), name)
    raise AttributeError(f"module 'pellucid' has no attribute {name!r}; it has {', '.join(__all__)}")
