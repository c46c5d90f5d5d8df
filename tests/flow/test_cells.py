"""Results outlive kills and torn lines; several processes give the same as one."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import StorageError, TrainingError
from pellucid.flow.cells import Record, Results, run_cells


def squares(start: int, count: int) -> Iterator[Record]:
    """Work that another process can find."""
    for number in range(start, start + count):
        yield {"key": str(number), "square": number**2, "pid": os.getpid()}


def dies(number: int) -> Iterator[Record]:
    yield {"key": "before"}
    os.kill(os.getpid(), signal.SIGKILL)


def raises(number: int) -> Iterator[Record]:
    raise ValueError(f"no good: {number}")
    yield {}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "new" / "results.jsonl")


def test_what_was_added_is_read_and_the_last_word_counts(results: Results) -> None:
    assert results.read() == {}
    for value in (1, 2):
        results.add({"key": "a", "value": value})
    results.add({"key": "b", "value": 3})
    assert {key: record["value"] for key, record in results.read().items()} == {"a": 2, "b": 3}


@pytest.mark.parametrize("torn", [b'{"key": "b", "val', b"\xff\xfe", b"[1]", b'{"value": 1}', b"null"])
def test_a_torn_line_is_no_line_and_spoils_none(results: Results, tmp_path: Path, torn: bytes) -> None:
    results.add({"key": "a", "value": 1})
    with (tmp_path / "new" / "results.jsonl").open("ab") as file:
        file.write(torn)
    assert list(results.read()) == ["a"]
    results.add({"key": "c", "value": 2})
    assert list(results.read()) == ["a", "c"]


def test_a_full_disk_is_told_in_one_line(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device; free some space"):
        results.add({"key": "a"})


def test_one_process_or_several_give_the_same() -> None:
    tasks = [(0, 3), (10, 1), (20, 2), (30, 0), (40, 2)]
    alone = list(run_cells(squares, tasks, jobs=1))
    several = list(run_cells(squares, tasks, jobs=2))

    def plain(records: list[Record]) -> list[Any]:
        return sorted((record["key"], record["square"]) for record in records)

    assert plain(alone) == plain(several)
    assert {record["pid"] for record in alone} == {os.getpid()}
    pids = {record["pid"] for record in several}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_tasks_are_taken_when_a_process_is_free() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[tuple[int, int]]:
        for number in range(50):
            taken.append(number)
            yield number, 1

    stream = run_cells(squares, tasks(), jobs=2)
    next(stream)
    assert len(taken) <= 3
    stream.close()  # type: ignore[attr-defined]


def test_a_process_that_dies_is_told_of() -> None:
    seen: list[Record] = []
    with pytest.raises(TrainingError, match="died"):
        seen.extend(run_cells(dies, [(1,)], jobs=2))


def test_what_a_process_raises_is_told_of() -> None:
    with pytest.raises(TrainingError, match="ValueError: no good: 7"):
        list(run_cells(raises, [(7,)], jobs=2))
    with pytest.raises(ValueError, match="no good"):
        list(run_cells(raises, [(7,)], jobs=1))


def test_no_task_no_record() -> None:
    assert list(run_cells(squares, [], jobs=2)) == []
