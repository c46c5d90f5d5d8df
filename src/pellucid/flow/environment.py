"""What things are made with and by whom: the versions of all that computes, and the user."""

from __future__ import annotations

import getpass
import os
import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "onnxruntime",
    "pillow",
    "safetensors",
    "torch",
    "timm",
)


def environment() -> dict[str, str]:
    """Name and version of everything that has a hand in a model's numbers.

    >>> environment()["python"].split(".")[0]
    '3'
    """
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def current_user() -> str:
    """The name of the user who runs this, for the record."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that no name belongs to
        return f"uid {os.getuid()}"
