"""Thumbnails of stored samples, for pages."""

from __future__ import annotations

import io

from pellucid.features.decode import decode
from pellucid.flow.workspace import Workspace

SIDE = 192  # pixels
_SMALL = 64  # pixels; up to it PNG is smaller than JPEG, and sharper


def thumbnail(workspace: Workspace, sample: str, side: int = SIDE) -> bytes:
    """The sample's image as PNG or JPEG, its longer side at most ``side`` pixels.

    Raises:
        NotFoundError, IntegrityError, ImageError: the image is gone, damaged or beyond the project's limits.
    """
    image = decode(workspace.images.get(sample), workspace.limits, at_least=side).image
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    if max(image.size) <= _SMALL:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
