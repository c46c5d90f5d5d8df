"""Many pictures to vectors: reading, decoding and the model overlap over a few threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ImageError, UsageError
from pellucid.features.decode import DEFAULT_LIMITS, Limits, decode
from pellucid.features.extractor import Extractor

Vector = NDArray[np.float32]

_LOOK_AHEAD = 4  # pictures under way for each thread; keeps all busy, bounds memory


def embed_stream(
    extractor: Extractor,
    items: Iterable[tuple[str, Callable[[], bytes]]],
    *,
    limits: Limits = DEFAULT_LIMITS,
    threads: int | None = None,
) -> Generator[tuple[str, Vector | ImageError], None, None]:
    """For each item (name, how to read its bytes) its name with its vector (dim,), or with why there is none.

    In the order of the items. A thread takes a picture all the way from its bytes to its vector, so that one
    decodes while another is in the model; at most four pictures a thread are read ahead of what was taken
    from the iterator.

    An ImageError concerns one picture and is given in its place. Any other error, of a reader too, ends the
    stream. Closing the iterator, an error or Ctrl-C waits for the pictures that are in work, not for those
    ahead.

    Parameters
    ----------
    extractor : shared by all threads.
    items : taken one by one, in the calling thread.
    limits : as of `decode`.
    threads : as many as there are usable cores if None. Raises UsageError below 1.

    >>> from pellucid.features.extractor import open_extractor
    >>> stream = embed_stream(open_extractor("classical"), [("a.jpg", bytes)])
    >>> [(name, str(vector)) for name, vector in stream]
    [('a.jpg', 'empty: the file has no bytes')]
    """
    number = usable_cores() if threads is None else threads
    if number < 1:
        raise UsageError(f"threads is {number}; wanted at least 1")
    return _stream(extractor, iter(items), limits, number)


def usable_cores() -> int:
    """Cores that this process may run on, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stream(
    extractor: Extractor, items: Iterator[tuple[str, Callable[[], bytes]]], limits: Limits, threads: int
) -> Generator[tuple[str, Vector | ImageError], None, None]:
    def embed(read: Callable[[], bytes]) -> Vector | ImageError:
        try:
            image = decode(read(), limits, at_least=extractor.input_size).image
        except ImageError as error:
            return error
        vector: Vector = extractor.embed([image])[0]
        return vector

    pool = ThreadPoolExecutor(threads, thread_name_prefix="pellucid-embed")
    try:
        under_way: deque[tuple[str, Future[Vector | ImageError]]] = deque()
        under_way.extend((name, pool.submit(embed, read)) for name, read in islice(items, _LOOK_AHEAD * threads))
        while under_way:
            name, future = under_way.popleft()
            yield name, future.result()
            under_way.extend((name, pool.submit(embed, read)) for name, read in islice(items, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
