"""Many small independent computations: kept as they end, done by several processes, taken up again after a stop."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pellucid.errors import StorageError, TrainingError

Record = Mapping[str, Any]  # what is kept of one computation, as JSON; "key" names it
Work = Callable[..., Iterable[Record]]  # a function of a module, so that other processes find it

_ENOUGH = 10.0  # seconds that a process has to end once it was told


class Results:
    """A file with one line of JSON for each finished computation; lines are only ever added.

    >>> import tempfile
    >>> results = Results(Path(tempfile.mkdtemp()) / "results.jsonl")
    >>> results.add({"key": "a", "value": 1})
    >>> results.read()["a"]["value"]
    1
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Record]:
        """The finished computations by key; the last line of a key counts, and a torn one does not."""
        found: dict[str, Record] = {}
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return found
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:  # torn by a kill or a full disk; it is computed again
                continue
            if isinstance(record, dict) and isinstance(record.get("key"), str):
                found[record["key"]] = record
        return found

    def add(self, record: Record) -> None:
        """Adds a line; it is on the disk when this returns.

        Raises:
            StorageError: the disk does not take it.
        """
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = b"\n" + line  # what was torn stays a line of its own
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"{self._path} takes no more results: {error.strerror or error}; free some space, or name another "
                "folder, and run the same command again: what is in it is kept"
            ) from error


def run_cells(work: Work, tasks: Iterable[tuple[Any, ...]], jobs: int) -> Iterator[Record]:
    """The records that ``work(*task)`` yields for each task, as they come; in this process where jobs is 1.

    Tasks are taken from the iterable when a process is free for them. Closing the iterator, an error or Ctrl-C ends
    the processes at once: a record that was not yielded yet is lost, and so is nothing else.

    Raises:
        TrainingError: a process died, or ``work`` raised something in it.
    """
    if jobs == 1:
        for task in tasks:
            yield from work(*task)
        return
    context = multiprocessing.get_context("spawn")  # threads of BLAS and onnxruntime do not survive a fork
    queue = iter(tasks)
    busy: dict[Connection, BaseProcess] = {}
    processes: list[BaseProcess] = []
    try:
        for task in itertools.islice(queue, jobs):
            ours, theirs = context.Pipe()
            processes.append(context.Process(target=_serve, args=(work, theirs), daemon=True))
            processes[-1].start()
            theirs.close()
            busy[ours] = processes[-1]
            ours.send(task)
        while busy:
            for connection in [one for one in wait(list(busy)) if isinstance(one, Connection)]:
                kind, value = _received(connection)
                if kind == "record":
                    yield value
                elif kind == "error":
                    raise TrainingError(value)
                else:
                    following = next(queue, None)
                    connection.send(following)
                    if following is None:
                        busy.pop(connection).join(_ENOUGH)
    finally:
        for process in processes:
            process.terminate()
            process.join(_ENOUGH)


def _received(connection: Connection) -> tuple[str, Any]:
    try:
        kind, value = connection.recv()
    except (EOFError, ConnectionError):
        raise TrainingError(
            "a process of the benchmark died, perhaps for want of memory; run the same command again to go on, with "
            "fewer --jobs"
        ) from None
    return kind, value


def _serve(work: Work, connection: Connection) -> None:
    """What a process does: one task after the other, on one core, until it is told that there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all; the parent ends this process
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})  # for libraries that are loaded later
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), suppress(EOFError, ConnectionError):  # the parent is gone: nobody wants the answer
        while (task := connection.recv()) is not None:
            try:
                for record in work(*task):
                    connection.send(("record", record))
            except (EOFError, ConnectionError):
                raise
            except Exception as error:  # noqa: BLE001 - told to the parent, which raises it
                connection.send(("error", f"{type(error).__name__}: {error}"))
                return
            connection.send(("done", None))
