"""Ballots: all votes on a dataset as columns, for what is asked of all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.labels.consensus import HEARD
from pellucid.types import Role

ROLES = tuple(Role)


@dataclass(frozen=True, slots=True, eq=False)
class Ballots:
    """Votes in the order in which they were said, (n,) each; names stand once, and columns hold their numbers."""

    samples: tuple[str, ...]
    voters: tuple[str, ...]
    labels: tuple[str, ...]
    sample: NDArray[np.intp]
    voter: NDArray[np.intp]
    label: NDArray[np.intp]
    role: NDArray[np.intp]  # the place in ROLES
    at: NDArray[np.float64]  # seconds since 1970
    imported: NDArray[np.int64]  # the ingest that brought it, or -1
    support: NDArray[np.float64]  # 0..1: what others gave the label when it was said; NaN where nobody could tell

    @classmethod
    def of(cls, pieces: Iterable[Sequence[Sequence[Any]]]) -> Ballots:
        """Of votes as sample, voter, label, role, time (UTC), ingest or None, support or None; oldest first.

        >>> from datetime import UTC, datetime
        >>> noon = datetime(2026, 2, 3, 12, tzinfo=UTC)
        >>> said = [("s", "ann", "cat", "user", noon, None, 0.9), ("s", "ann", "dog", "user", noon, None, None)]
        >>> ballots = Ballots.of([said])
        >>> len(ballots), ballots.labels, ballots.words().label.tolist()
        (2, ('cat', 'dog'), [1])
        """
        names = [defaultdict[str, int](count().__next__) for _ in range(3)]
        names.append(defaultdict(count().__next__, {role: place for place, role in enumerate(ROLES)}))
        blocks: list[list[NDArray[Any]]] = []
        for rows in pieces:
            if rows:
                columns = list(zip(*rows, strict=True))
                found: list[NDArray[Any]] = [
                    np.array([*map(numbers.__getitem__, column)], np.intp)
                    for numbers, column in zip(names, columns, strict=False)
                ]
                found.append(np.array([at.timestamp() for at in columns[4]], np.float64))
                found.append(np.array([-1 if number is None else number for number in columns[5]], np.int64))
                found.append(np.array(columns[6], np.float64))
                blocks.append(found)
        kinds = (np.intp, np.intp, np.intp, np.intp, np.float64, np.int64, np.float64)
        blocks = blocks or [[np.empty(0, kind) for kind in kinds]]
        samples, voters, labels = (tuple(numbers) for numbers in names[:3])
        return cls(samples, voters, labels, *(np.concatenate(parts) for parts in zip(*blocks, strict=True)))

    def __len__(self) -> int:
        return len(self.sample)

    def only(self, chosen: NDArray[Any]) -> Ballots:
        """Those that are chosen, by a mask (n,) or by their places."""
        columns = (self.sample, self.voter, self.label, self.role, self.at, self.imported, self.support)
        return Ballots(self.samples, self.voters, self.labels, *(column[chosen] for column in columns))

    def words(self) -> Ballots:
        """The votes that stand, as `pellucid.labels.consensus.last_words` has it."""
        if not len(self):
            return self
        kinds = np.array([0 if role in HEARD else 1 + place for place, role in enumerate(ROLES)])
        key = (self.sample * len(self.voters) + self.voter) * (1 + len(ROLES)) + kinds[self.role]
        order = np.argsort(key, kind="stable")
        key, brought = key[order], self.imported[order]
        ends = np.flatnonzero(np.append(key[1:] != key[:-1], True))
        group = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
        place = np.arange(len(key))
        differs = brought != brought[ends][group]
        broken = np.full(len(ends), -1)  # the last place of each group that is no part of its newest import
        np.maximum.at(broken, group[differs], place[differs])
        stands = (place == ends[group]) | ((brought >= 0) & (place > broken[group]))
        return self.only(np.sort(order[stands]))

    def per_voter(self) -> list[NDArray[np.intp]]:
        """For each of ``voters``, the places of the votes, oldest first."""
        order = np.argsort(self.voter, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.voter, minlength=len(self.voters)))[:-1])

    def agreements(self) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Whether most others on an image say what a word says; nothing where others tie or nobody else spoke.

        For words (see ``words``), those of models left out. Returns the places of the words that can be told, (m,), and
        whether they agree, (m,).
        """
        heard = np.flatnonzero(self.role != ROLES.index(Role.MODEL))
        if not len(heard):
            return heard, np.zeros(0, np.bool_)
        L, V = len(self.labels), len(self.voters)
        said, total = np.unique(self.sample[heard] * L + self.label[heard], return_counts=True)
        pairs, pair = np.unique(self.sample[heard] * V + self.voter[heard], return_inverse=True)
        own, times = np.unique(pair * L + self.label[heard], return_counts=True)  # an import may say several labels
        # Beside each voter on an image, the labels that were said of it, with how many others say so.
        first, end = np.searchsorted(said, pairs // V * L), np.searchsorted(said, (pairs // V + 1) * L)
        starts = np.cumsum(end - first) - (end - first)
        who = np.repeat(np.arange(len(pairs)), end - first)
        which = np.repeat(first - starts, end - first) + np.arange(len(who))
        mine = who * L + said[which] % L
        at = np.minimum(np.searchsorted(own, mine), len(own) - 1)
        others = total[which] - np.where(own[at] == mine, times[at], 0)
        most = np.maximum.reduceat(others, starts)
        is_most = others == most[who]
        tells = (most > 0) & (np.add.reduceat(is_most, starts) == 1)
        answer = np.full(len(pairs), -1)
        answer[who[is_most & tells[who]]] = said[which[is_most & tells[who]]] % L
        told = tells[pair]
        return heard[told], self.label[heard[told]] == answer[pair[told]]
