"""Judged ahead: what takes long is done before the transaction that holds up everybody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from pellucid.flow.online.judging import Judged, judge
from pellucid.flow.online.live import LiveModel
from pellucid.store.ledger import entries_after
from pellucid.store.votes import votes_of
from pellucid.types import Vote

_Words = Mapping[str, tuple[Sequence[Vote], bool]]  # by sample: the votes that count, and whether it may be learnt


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """Where samples were to stand when they were judged. Made by `judge_ahead`."""

    judged: Judged
    words: _Words  # that they were judged by
    ledger: int  # the newest entry of the model's ledger that was known then

    def split(self, live: LiveModel, connection: sa.Connection, names: Sequence[str]) -> tuple[Judged, list[str]]:
        """Of samples, those that are to stand so still, and the names of the others.

        Of these somebody spoke since, or the model has learnt them otherwise.
        """
        now = _words(live, connection, names)
        moved = {entry.sample for entry in entries_after(connection, live.model, self.ledger)}
        same = {name for name, said in now.items() if said == self.words.get(name) and name not in moved}
        still = np.array([entry.sample in same for entry in self.judged.entries], np.bool_)
        return self.judged.only(still), [name for name in names if name not in same]


def judge_ahead(
    live: LiveModel,
    connection: sa.Connection,
    names: Sequence[str],
    vectors: tuple[Sequence[str], NDArray[np.float32]],
    *,
    action: str,
    reason: str,
) -> Ahead:
    """Where the samples are to stand as it is now; the connection only reads.

    Args:
        vectors: those samples whose images can be had, and their vectors, (n, d).
    """
    words = _words(live, connection, names)
    return Ahead(judge(live, connection, *vectors, action=action, reason=reason), words, live.ledger)


def _words(live: LiveModel, connection: sa.Connection, names: Sequence[str]) -> _Words:
    votes = votes_of(connection, live.model.name, names)
    return {name: (votes.get(name, []), live.may_learn(name)) for name in names}
