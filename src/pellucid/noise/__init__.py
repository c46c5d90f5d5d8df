"""Which labels to distrust, and noise on purpose: arrays in, arrays out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.noise.corrupt import Corruption, corrupt_image
    from pellucid.noise.inject import Injection, inject_labels

__all__ = ["Corruption", "Injection", "corrupt_image", "inject_labels"]


def __getattr__(name: str) -> Any:
    """Imports numpy and what stands on it only when a name is asked for."""
    if name in ("Corruption", "corrupt_image"):
        from pellucid.noise import corrupt

        return getattr(corrupt, name)
    if name in ("Injection", "inject_labels"):
        from pellucid.noise import inject

        return getattr(inject, name)
    raise AttributeError(f"module 'pellucid.noise' has no attribute {name!r}; it has {', '.join(__all__)}")
