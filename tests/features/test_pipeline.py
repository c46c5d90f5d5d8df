"""The stream: order, overlap, bounds, and what stops it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import ImageError, UsageError
from pellucid.features.decode import Limits
from pellucid.features.pipeline import embed_stream, usable_cores

Encode = Callable[..., bytes]


class MeanColour:
    """An extractor that can be watched."""

    spec, fingerprint, dim, input_size, description = "mean", "0" * 64, 3, 8, "mean colour"
    record: Mapping[str, Any] = {}
    files: Mapping[str, Path] = {}

    def __init__(self, meet: threading.Barrier | None = None) -> None:
        self.meet = meet
        self.sizes: list[tuple[int, int]] = []

    def embed(self, images: Iterable[Image.Image]) -> NDArray[np.float32]:
        if self.meet:
            self.meet.wait(timeout=30)
        taken = list(images)
        self.sizes += [image.size for image in taken]
        return np.array([np.asarray(image).mean(axis=(0, 1)) for image in taken], dtype=np.float32)


@pytest.fixture
def items(encode: Encode) -> list[tuple[str, Callable[[], bytes]]]:
    files = [encode(Image.new("RGB", (4, 4), (k, 0, 0)), "PNG") for k in range(40)]
    return [(f"{k}.png", partial(bytes, data)) for k, data in enumerate(files)]


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_vectors_come_in_order(items: list[tuple[str, Callable[[], bytes]]], threads: int | None) -> None:
    got = list(embed_stream(MeanColour(), items, threads=threads))
    assert [name for name, _ in got] == [name for name, _ in items]
    assert [float(vector[0]) for _, vector in got if not isinstance(vector, ImageError)] == list(range(40))


def test_threads_work_at_the_same_time(items: list[tuple[str, Callable[[], bytes]]]) -> None:
    """Each of two must be in the model for either to leave it."""
    assert len(list(embed_stream(MeanColour(threading.Barrier(2)), items, threads=2))) == 40


def test_an_unusable_picture_is_given_in_its_place(items: list[tuple[str, Callable[[], bytes]]]) -> None:
    items[3] = ("3.png", bytes)
    items[5] = ("5.png", lambda: b"text")
    got = dict(embed_stream(MeanColour(), items))
    assert {name: v.reason for name, v in got.items() if isinstance(v, ImageError)} == {
        "3.png": "empty",
        "5.png": "not an image",
    }
    assert len(got) == 40


def test_limits_and_reduction_reach_the_decoder(encode: Encode) -> None:
    data = encode(Image.new("RGB", (64, 64)), "JPEG")
    extractor = MeanColour()
    list(embed_stream(extractor, [("a", lambda: data)]))
    assert extractor.sizes == [(8, 8)]
    ((_, refused),) = embed_stream(extractor, [("a", lambda: data)], limits=Limits(max_pixels=100))
    assert isinstance(refused, ImageError)


def test_other_errors_end_the_stream(items: list[tuple[str, Callable[[], bytes]]]) -> None:
    def unreadable() -> bytes:
        raise PermissionError("no")

    items[2] = ("2.png", unreadable)
    seen: list[str] = []
    with pytest.raises(PermissionError):
        seen.extend(name for name, _ in embed_stream(MeanColour(), items))
    before = threading.active_count()
    assert not [t for t in threading.enumerate() if t.name.startswith("pellucid-embed")]
    assert threading.active_count() == before


def test_reading_ahead_is_bounded_and_closing_stops_it(items: list[tuple[str, Callable[[], bytes]]]) -> None:
    taken: list[int] = []

    def endless() -> Iterator[tuple[str, Callable[[], bytes]]]:
        while True:
            taken.append(len(taken))
            yield items[0]

    stream = embed_stream(MeanColour(), endless(), threads=2)
    for _ in range(5):
        next(stream)
    assert len(taken) <= 5 + 8
    stream.close()
    count = len(taken)
    assert not [t for t in threading.enumerate() if t.name.startswith("pellucid-embed")]
    assert len(taken) == count


def test_nothing_gives_nothing_and_no_threads_are_refused_at_once() -> None:
    assert list(embed_stream(MeanColour(), [])) == []
    with pytest.raises(UsageError, match="threads"):
        embed_stream(MeanColour(), [], threads=0)
    assert usable_cores() >= 1


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits it ignored
from pellucid.features.extractor import open_extractor
from pellucid.features.pipeline import embed_stream

def read():
    time.sleep(0.05)
    return b""

def endless():
    while True:
        yield "a", read

for _ in embed_stream(open_extractor("classical"), endless(), threads=2):
    print("working", flush=True)
"""


def test_ctrl_c_stops_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"working\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in message
    assert process.returncode != 0
