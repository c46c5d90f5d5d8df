"""Which labels to distrust, and noise on purpose: arrays in, arrays out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.noise.auditing import Audit, audit, audit_probabilities
    from pellucid.noise.corrupt import Corruption, corrupt_image
    from pellucid.noise.inject import Injection, inject_labels
    from pellucid.noise.pixels import PixelStatistics, pixel_statistics
    from pellucid.noise.quality import ImageQuality, image_quality

__all__ = [
    "Audit",
    "Corruption",
    "ImageQuality",
    "Injection",
    "PixelStatistics",
    "audit",
    "audit_probabilities",
    "corrupt_image",
    "image_quality",
    "inject_labels",
    "pixel_statistics",
]


def __getattr__(name: str) -> Any:
    """Imports numpy and what stands on it only when a name is asked for."""
    if name in ("Audit", "audit", "audit_probabilities"):
        return getattr(import_module("pellucid.noise.auditing"), name)
    if name in ("Corruption", "corrupt_image"):
        return getattr(import_module("pellucid.noise.corrupt"), name)
    if name in ("Injection", "inject_labels"):
        return getattr(import_module("pellucid.noise.inject"), name)
    if name in ("ImageQuality", "image_quality"):
        return getattr(import_module("pellucid.noise.quality"), name)
    if name in ("PixelStatistics", "pixel_statistics"):
        return getattr(import_module("pellucid.noise.pixels"), name)
    raise AttributeError(f"module 'pellucid.noise' has no attribute {name!r}; it has {', '.join(__all__)}")
