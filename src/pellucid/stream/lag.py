"""Lag: how far everybody who reads the project's own stream is behind."""

from __future__ import annotations

import contextlib

from pellucid.flow.workspace import Workspace
from pellucid.stream.standing import Standing, standings, waiting
from pellucid.stream.transport import open_transport

_TIMEOUT = 5.0  # seconds for a broker to answer somebody who only looks


def read_lag(workspace: Workspace) -> tuple[tuple[Standing, ...], int]:
    """Everybody's standing, and how many feedback events wait for their image.

    Raises:
        StorageError: the broker or the database cannot be reached.
        ConfigError, MissingExtraError: ``stream_url`` cannot be used.
    """
    settings = workspace.settings
    transport = open_transport(
        settings.stream_url, workspace.database, timeout=_TIMEOUT, max_bytes=2 * settings.max_image_bytes
    )
    with contextlib.closing(transport):
        found = standings(workspace.database, transport, ())
    return tuple(found), sum(waiting(workspace.database).values())
