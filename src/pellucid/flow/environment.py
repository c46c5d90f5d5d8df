"""What a model was made with: versions of the interpreter, the machine and the packages that compute."""

from __future__ import annotations

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
