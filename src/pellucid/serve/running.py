"""The server as a process: one port, one event loop, and an orderly end."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from pellucid.errors import UsageError
from pellucid.serve.patience import PatientProtocol

GRACE_SECONDS = 15  # for requests that are under way when the server is to end
MOST_CONNECTIONS = 1000  # at one time; more are answered with 503


def run_server(app: FastAPI, host: str, port: int, *, started: Callable[[str], None] = lambda url: None) -> None:
    """Serves until SIGINT or SIGTERM; requests that are under way are answered first.

    Args:
        port: 0 takes a free one.
        started: told the address once the port is open.

    Raises:
        UsageError: the port is taken, or the address is not this machine's.
    """
    door = _listen(host, port)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="auto",  # the pages' own; no route of the API takes one
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=MOST_CONNECTIONS,
    )
    number = door.getsockname()[1]
    with threadpool_limits(1):  # images side by side are faster than one image on all cores, and steadier
        started(f"http://{f'[{host}]' if ':' in host else host}:{number}")
        uvicorn.Server(config).run(sockets=[door])


def check_free(host: str, port: int) -> None:
    """Raises UsageError where nobody can listen there now."""
    _listen(host, port).close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY); without, each waits some 40 ms.
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host, port))
        door.listen(2048)
    except OSError as error:
        door.close()
        raise UsageError(f"nobody can listen on {host}:{port}: {error.strerror}; choose another --port") from None
    return door
