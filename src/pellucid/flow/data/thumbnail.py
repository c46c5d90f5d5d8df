"""Thumbnails of stored samples, for pages, and the folder that keeps them."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import threading
from pathlib import Path

from pellucid.features.decode import decode
from pellucid.flow.workspace import Workspace

SIDE = 192  # pixels
_SMALL = 64  # pixels; up to it PNG is smaller than JPEG, and sharper
_PNG, _JPEG = (b"\x89PNG", b"IEND\xaeB`\x82"), (b"\xff\xd8", b"\xff\xd9")  # how whole files begin and end
_ROOM = 0.8  # of its bound: down to which a full folder is emptied, so that it is not soon full again


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


def kind_of(data: bytes) -> str:
    """The media type of a thumbnail.

    >>> kind_of(b"\\xff\\xd8...")
    'image/jpeg'
    """
    return "image/png" if data.startswith(_PNG[0]) else "image/jpeg"


class Thumbnails:
    """Keeps thumbnails in a folder, up to so many bytes; those that were made longest ago go first. Thread-safe.

    Several processes may share the folder; it may be deleted at any time, and what cannot be kept is made again.

    Args:
        folder: is made when it is needed.
        most: bytes.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._held: int | None = None  # bytes, by what this process knows; None until it has looked
        self._lock = threading.Lock()

    def get(self, workspace: Workspace, sample: str, side: int = SIDE) -> bytes:
        """The thumbnail, kept or made; errors are those of `thumbnail`."""
        path = self._folder / str(side) / sample[:2] / sample[2:]
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            if any(data.startswith(begin) and data.endswith(end) for begin, end in (_PNG, _JPEG)):
                return data
        data = thumbnail(workspace, sample, side)
        with contextlib.suppress(OSError):  # a full disk makes pages slower, and nothing else
            self._keep(path, data)
        return data

    def _keep(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            draft.write_bytes(data)  # not flushed to the disk: one that was torn is recognised and made again
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        with self._lock:
            if self._held is None:
                self._held = sum(size for _, size, _ in self._files())
            else:
                self._held += len(data)
            if self._held > self._most:
                self._held = self._empty()

    def _empty(self) -> int:
        """Removes the oldest files until there is room; returns the bytes that stay."""
        files = sorted(self._files())
        held = sum(size for _, size, _ in files)
        for _, size, path in files:
            if held <= _ROOM * self._most:
                break
            with contextlib.suppress(OSError):
                Path(path).unlink()
            held -= size
        return held

    def _files(self) -> list[tuple[float, int, str]]:
        """When each was made, its bytes, and where it lies."""
        found = []
        for place, _, names in os.walk(self._folder):
            for name in names:
                with contextlib.suppress(OSError):
                    facts = (Path(place) / name).stat()
                    found.append((facts.st_mtime, facts.st_size, f"{place}/{name}"))
        return found
