"""The load on a server: so many connections that always have a request under way. A process of its own.

    python benchmarks/load.py URL PATH SECONDS CONNECTIONS FOLDER [TOKEN]

Uploads the JPEGs of the folder in turn, each with a comment of its own, so that none is an image that the server has
seen. HTTP/1.1 over bare streams, because a client library would be slower than what it measures. Prints a line when it
begins, and JSON when it ends, be it by SIGTERM.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Tally:
    """What came back."""

    milliseconds: list[float] = field(default_factory=list)  # of each answered request
    failed: list[str] = field(default_factory=list)  # what came instead
    models: dict[str, int] = field(default_factory=dict)  # answers by the model that gave them
    mixed: int = 0  # answers whose parts do not fit together


def distinct(data: bytes) -> bytes:
    """The same JPEG with a comment that no other has."""
    return data[:2] + b"\xff\xfe\x00\x12" + secrets.token_hex(8).encode() + data[2:]


class Connection:
    """One connection that is kept alive.

    >>> Connection("h", 1, "").head("/predict", "image/jpeg", 3).splitlines()[0]
    b'POST /predict HTTP/1.1'
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port, self._token = host, port, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def head(self, path: str, media_type: str, size: int) -> bytes:
        """The headers of a request."""
        shown = f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        text = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\n{shown}Content-Type: {media_type}\r\n"
        return f"{text}Content-Length: {size}\r\n\r\n".encode()

    async def post(self, path: str, media_type: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError or IncompleteReadError where the connection breaks."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(self.head(path, media_type, len(body)) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        answer = await reader.readexactly(length)
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1]), answer

    def close(self) -> None:
        """Ends it; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def press(url: str, path: str, seconds: float, connections: int, images: list[bytes], token: str) -> Tally:
    """Keeps every connection busy for so long, or until SIGTERM."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), int(parts.port or 80)
    pictures, tally = itertools.cycle(images), Tally()
    until, ended = time.monotonic() + seconds, asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    async def one() -> None:
        connection = Connection(host, port, token)
        while time.monotonic() < until and not ended.is_set():
            await ask(connection, path, pictures, tally)
        connection.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return tally


async def ask(connection: Connection, path: str, pictures: Iterator[bytes], tally: Tally) -> None:
    """One upload, and what became of it."""
    began = time.perf_counter()
    try:
        status, answer = await connection.post(path, "image/jpeg", distinct(next(pictures)))
    except (OSError, asyncio.IncompleteReadError) as error:
        connection.close()
        tally.failed.append(f"{type(error).__name__}: {error}")
        return
    if status != 200:
        tally.failed.append(f"{status}: {answer[:200].decode(errors='replace')}")
        return
    tally.milliseconds.append((time.perf_counter() - began) * 1000)
    check(json.loads(answer), tally)


def check(answer: dict[str, Any], tally: Tally) -> None:
    """Notes the model of each answer, and whether label, confidence and probabilities are of one mind."""
    for item in answer.get("predictions", ()):
        tally.models[item["model"]] = tally.models.get(item["model"], 0) + 1
        shares = item["probabilities"]
        sound = abs(sum(shares.values()) - 1) < 1e-6 and shares[item["label"]] == item["confidence"]
        tally.mixed += not (sound and item["confidence"] == max(shares.values()))


def main() -> None:
    """See the module."""
    url, path, seconds, connections, folder, *token = sys.argv[1:]
    images = [file.read_bytes() for file in sorted(Path(folder).rglob("*.jpg"))]
    print("ready", flush=True)
    began = time.monotonic()
    tally = asyncio.run(press(url, path, float(seconds), int(connections), images, "".join(token)))
    found = {
        "seconds": time.monotonic() - began,
        "milliseconds": tally.milliseconds,
        "failed": tally.failed,
        "models": tally.models,
        "mixed": tally.mixed,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
