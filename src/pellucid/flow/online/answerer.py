"""What answers: one state of a live model, and samples as it sees them. Neither ever changes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.flow.training.predictor import Predictor
from pellucid.heads.online import Snapshot, Span
from pellucid.types import ModelVersion


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Samples as the model sees them."""

    X: NDArray[np.float32]  # (n, d) vectors
    rows: NDArray[np.floating[Any]]  # (n, p) the same, lifted

    def only(self, chosen: NDArray[np.bool_]) -> Views:
        """Those that are chosen, (n,)."""
        return self if chosen.all() else Views(self.X[chosen], self.rows[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Answerer:
    """One state of the live model; it never changes."""

    model: ModelVersion
    classes: tuple[str, ...]  # in index order; those that came after training are at the end
    ledger: int  # the newest entry that is learnt; 0 for the model as it was trained
    predictor: Predictor
    snapshot: Snapshot | None  # None for a head that cannot learn online
    span: Span | None  # what was learnt in training

    @property
    def known(self) -> Mapping[int, str]:
        """The classes of the training by number, and later ones of which something stands."""
        later = self.snapshot.classes if self.snapshot is not None else np.empty(0, np.intp)
        numbers = range(len(self.predictor.classes)), later[later >= len(self.predictor.classes)].tolist()
        return {number: self.classes[number] for number in itertools.chain(*numbers)}

    def reply(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Probabilities and novelty of vectors (n, d).

        The probabilities (n, K) are in the order of ``classes``; a class never learnt gets 0. The novelty (n,), 0..1,
        is the share of training images that lie nearer to what was learnt; None where nothing tells.
        """
        if self.snapshot is None or not len(X):
            return self.predictor.predict_vectors(X), None
        rows = self.snapshot.look(X)
        return self._shares(self.snapshot, rows), None if self.span is None else self.span.novelty(rows)

    def probabilities_of(self, views: Views) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of ``classes``."""
        if self.snapshot is None:
            return self.predictor.predict_vectors(views.X)
        return self._shares(self.snapshot, views.rows)

    def _shares(self, snapshot: Snapshot, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        found = np.zeros((len(rows), len(self.classes)))
        found[:, snapshot.classes] = snapshot.predict_proba(rows)
        return found

    def sets(self, shares: NDArray[np.float64], alpha: float = 0.1) -> NDArray[np.bool_]:
        """Which classes, (n, K), hold the true one with probability 1 - alpha."""
        if self.snapshot is None:
            return np.asarray(np.arange(shares.shape[1]) == shares.argmax(axis=1)[:, None])
        held = np.zeros(shares.shape, np.bool_)
        columns = self.snapshot.classes
        held[:, columns] = self.snapshot.predict_set(shares[:, columns], alpha)
        return held
