"""Pellucid keeps an image classifier right in production while the data it learns from is not.

>>> from pellucid import PellucidError, Project
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.errors import PellucidError
from pellucid.version import VERSION

if TYPE_CHECKING:
    from pellucid.heads.ridge import RidgeClassifier
    from pellucid.project import Project

__version__ = VERSION
__all__ = ["PellucidError", "Project", "RidgeClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    """Imports the heavier public names only when they are asked for."""
    if name == "Project":
        from pellucid.project import Project

        return Project
    if name == "RidgeClassifier":
        from pellucid.heads.ridge import RidgeClassifier

        return RidgeClassifier
    raise AttributeError(f"module 'pellucid' has no attribute {name!r}; it has {', '.join(__all__)}")
