"""What things are made with and by whom: the versions of all that computes, and the user."""

from __future__ import annotations

import getpass
import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "onnxruntime",
    "openvino",
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


def command_line(root: Path, *words: str) -> str:
    """A command of Pellucid as it works in any folder of this machine, though nothing is on the PATH.

    Args:
        root: the project's folder.

    >>> command_line(Path("/data/my shop"), "worker", "--watch").partition(" --project ")[2]
    "'/data/my shop' worker --watch"
    """
    script = Path(sys.executable).with_name("pellucid")
    program = [str(script)] if script.is_file() else [sys.executable, "-m", "pellucid"]
    return shlex.join([*program, "--project", str(root.resolve()), *words])


def current_user() -> str:
    """The name of the user who runs this, for the record."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that no name belongs to
        return f"uid {os.getuid()}"
