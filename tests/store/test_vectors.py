"""The cache of vectors: whole shards or none, any number of writers, few open files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from pellucid.errors import IntegrityError, StorageError
from pellucid.store.vectors import MAX_SMALL, SMALL, VectorCache

DIM = 3
PRINT = "f" * 64


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path, PRINT, DIM)


def ids_of(numbers: Sequence[int]) -> list[str]:
    return [f"{number:064x}" for number in numbers]


def vectors_of(numbers: Sequence[int]) -> NDArray[np.float32]:
    return np.array([[number, number / 2, -number] for number in numbers], np.float32).reshape(-1, DIM)


def put(cache: VectorCache, numbers: Sequence[int]) -> None:
    cache.append(ids_of(numbers), vectors_of(numbers))


def shards(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / PRINT).glob("*.npy"))


def test_vectors_come_back_in_the_order_asked_for(cache: VectorCache, tmp_path: Path) -> None:
    put(cache, [3, 1, 2])
    put(cache, [7])
    put(cache, [])
    again = VectorCache(tmp_path, PRINT, DIM)
    for found in (cache, again):
        assert len(found) == 4
        np.testing.assert_array_equal(found.gather(ids_of([7, 1, 3, 1])), vectors_of([7, 1, 3, 1]))
        assert found.gather([]).shape == (0, DIM)
        assert found.missing(ids_of([9, 1, 8, 9, 3])) == ids_of([9, 8])


def test_extractors_do_not_share_vectors(cache: VectorCache, tmp_path: Path) -> None:
    put(cache, [1])
    assert VectorCache(tmp_path, "0" * 64, DIM).missing(ids_of([1])) == ids_of([1])


def test_what_another_process_adds_is_seen(cache: VectorCache, tmp_path: Path) -> None:
    put(VectorCache(tmp_path, PRINT, DIM), [1, 2])
    assert cache.missing(ids_of([1, 2, 3])) == ids_of([3])
    np.testing.assert_array_equal(cache.gather(ids_of([2])), vectors_of([2]))


@pytest.mark.parametrize("shape", [(2, DIM + 1), (1, DIM), (3, DIM), (2,), (0, DIM)])
def test_vectors_of_another_shape_are_refused(cache: VectorCache, tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(IntegrityError, match=r"were offered; wanted is \(2, 3\)"):
        cache.append(ids_of([1, 2]), np.zeros(shape, np.float32))
    assert not (tmp_path / PRINT).exists()


def damage(file: Path) -> list[Callable[[], object]]:
    ids = file.with_suffix(".ids")
    return [
        lambda: file.write_bytes(file.read_bytes()[:-1]),
        lambda: file.write_bytes(b""),
        file.unlink,
        lambda: ids.write_bytes(ids.read_bytes()[:-1]),
        lambda: ids.write_bytes(ids.read_bytes()[:-32]),
        lambda: np.save(file, np.zeros((2, DIM), np.float64)),
        lambda: np.save(file, np.zeros((2, DIM + 1), np.float32)),
    ]


@pytest.mark.parametrize("kind", range(7))
def test_a_damaged_shard_is_computed_again(cache: VectorCache, tmp_path: Path, kind: int) -> None:
    put(cache, [1, 2])
    damage(shards(tmp_path)[0])[kind]()
    found = VectorCache(tmp_path, PRINT, DIM)
    assert found.missing(ids_of([1, 2])) == ids_of([1, 2])
    put(found, [1, 2])
    np.testing.assert_array_equal(found.gather(ids_of([2, 1])), vectors_of([2, 1]))


def test_a_shard_whose_writer_was_killed_does_not_exist(cache: VectorCache, tmp_path: Path) -> None:
    put(cache, [1])
    shards(tmp_path)[0].with_suffix(".ids").unlink()
    (tmp_path / PRINT / ".x.ids.0.draft").write_bytes(b"half")
    assert len(VectorCache(tmp_path, PRINT, DIM)) == 0


def test_a_full_disk_keeps_what_is_stored(
    cache: VectorCache, tmp_path: Path, no_space: Callable[[int], AbstractContextManager[None]]
) -> None:
    put(cache, [1])
    with no_space(1000), pytest.raises(StorageError, match=r"takes no more vectors.*free some space"):
        put(cache, range(100, 400))
    assert len(shards(tmp_path)) == 1
    assert cache.missing(ids_of([1, 100])) == ids_of([100])
    np.testing.assert_array_equal(cache.gather(ids_of([1])), vectors_of([1]))


def test_many_may_write_at_once(tmp_path: Path) -> None:
    def write(worker: int) -> None:
        mine = VectorCache(tmp_path, PRINT, DIM)
        for start in range(0, 100, 10):
            put(mine, range(start, start + 10 + worker))
            np.testing.assert_array_equal(mine.gather(ids_of(range(start))), vectors_of(range(start)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    np.testing.assert_array_equal(VectorCache(tmp_path, PRINT, DIM).gather(ids_of(range(100))), vectors_of(range(100)))


def test_many_small_shards_are_put_together_under_the_eyes_of_a_reader(cache: VectorCache, tmp_path: Path) -> None:
    put(cache, range(10_000, 10_000 + SMALL))  # a large one stays as it is
    reader = VectorCache(tmp_path, PRINT, DIM)
    for number in range(MAX_SMALL - 1):
        put(cache, [number])
    assert reader.missing(ids_of([0])) == []
    assert len(shards(tmp_path)) == MAX_SMALL
    put(cache, [MAX_SMALL])
    assert len(shards(tmp_path)) == 2
    everything = [*range(MAX_SMALL - 1), MAX_SMALL, *range(10_000, 10_000 + SMALL)]
    for found in (cache, reader, VectorCache(tmp_path, PRINT, DIM)):
        np.testing.assert_array_equal(found.gather(ids_of(everything)), vectors_of(everything))


def test_no_file_stays_open(cache: VectorCache, tmp_path: Path) -> None:
    for start in range(0, 5 * SMALL, SMALL):
        put(cache, range(start, start + SMALL))
    reader = VectorCache(tmp_path, PRINT, DIM)
    reader.gather(ids_of(range(5 * SMALL)))
    process = psutil.Process()
    held = [file.path for file in process.open_files()] + [item.path for item in process.memory_maps()]
    assert not [path for path in held if path.startswith(str(tmp_path))]


def test_a_cache_that_is_deleted_meanwhile_is_said(cache: VectorCache, tmp_path: Path) -> None:
    put(cache, [1])
    for file in (tmp_path / PRINT).iterdir():
        file.unlink()
    with pytest.raises(StorageError, match="deleted meanwhile; run the same command again"):
        cache.gather(ids_of([1]))
    assert cache.missing(ids_of([1])) == ids_of([1])
