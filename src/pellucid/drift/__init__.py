"""Whether the data have moved: detectors of streams, and tests of windows."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.drift.detector import Detector, build_detector
    from pellucid.drift.watching import DriftReport, Window, watch
    from pellucid.drift.window import Shift, WindowTest, build_window_test

__all__ = [
    "Detector",
    "DriftReport",
    "Shift",
    "Window",
    "WindowTest",
    "build_detector",
    "build_window_test",
    "watch",
]


def __getattr__(name: str) -> Any:
    """Imports numpy and what stands on it only when a name is asked for."""
    if name in ("Detector", "build_detector"):
        return getattr(import_module("pellucid.drift.detector"), name)
    if name in ("DriftReport", "Window", "watch"):
        return getattr(import_module("pellucid.drift.watching"), name)
    if name in ("Shift", "WindowTest", "build_window_test"):
        return getattr(import_module("pellucid.drift.window"), name)
    raise AttributeError(f"module 'pellucid.drift' has no attribute {name!r}; it has {', '.join(__all__)}")
