"""The vectors of those that moved last: the newest, each once, found by their cosine."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from pellucid.flow.online.recent import RecentVectors


def units(n: int, dim: int = 8, seed: int = 0) -> NDArray[np.float32]:
    X = np.random.default_rng(seed).normal(size=(n, dim))
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True), np.float32)


def test_nothing_is_like_nothing() -> None:
    names, alike = RecentVectors(dim=8, most=3).alike(units(2), -2.0)
    assert names == []
    assert alike.shape == (2, 0)


def test_who_moves_again_is_the_newest_and_has_the_newest_vector() -> None:
    recent, X = RecentVectors(dim=8, most=2), units(4)
    recent.put(["a", "b"], X[:2])
    recent.put(["a"], X[2:3])
    recent.put(["c"], X[3:])
    found = recent.vectors()
    assert list(found) == ["a", "c"], "b moved longest ago"
    np.testing.assert_array_equal(np.stack(list(found.values())), X[2:])


@pytest.mark.parametrize("most", [1, 63, 64, 65, 200])
def test_as_the_plain_way_whatever_comes(most: int) -> None:
    """Beside a dictionary whose vectors are stacked for each question, which is what it replaces."""
    rng, recent = np.random.default_rng(most), RecentVectors(dim=3, most=most)
    plain: dict[str, NDArray[np.float32]] = {}
    for step in range(60):
        names = [str(name) for name in rng.choice(300, size=7, replace=False)]
        X = units(7, 3, seed=step)
        recent.put(names, X)
        for name, x in zip(names, X, strict=True):
            plain.pop(name, None)
            plain[name] = x
        while len(plain) > most:
            plain.pop(next(iter(plain)))
        asked = units(5, 3, seed=1000 + step)
        close = asked @ np.stack(list(plain.values())).T > 0.9
        wanted = {name: column.tolist() for name, column in zip(plain, close.T, strict=True) if column.any()}
        found, alike = recent.alike(asked, 0.9)
        assert {name: column.tolist() for name, column in zip(found, alike.T, strict=True)} == wanted
        assert list(recent.vectors()) == list(plain)


def test_what_was_handed_out_does_not_change() -> None:
    recent, X = RecentVectors(dim=8, most=1), units(2)
    recent.put(["a"], X[:1])
    before = recent.vectors()
    recent.put(["b"], X[1:])
    np.testing.assert_array_equal(before["a"], X[0])


def test_one_thread_reads_while_another_writes() -> None:
    """A name never stands beside another one's vector, nor beside half of it."""
    recent, X = RecentVectors(dim=64, most=10), np.repeat(np.arange(100, dtype=np.float32)[:, None], 64, axis=1)
    done = threading.Event()

    def write() -> None:
        for turn in range(300):
            recent.put([str(turn % 100)], X[turn % 100 : turn % 100 + 1])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert all((x == float(name)).all() for name, x in recent.vectors().items())
    writer.join()
