"""Guard: trusted images that no feedback touches, and that an online step must not hurt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.heads.online import Snapshot

HURTS = 0.01  # of the accuracy: a step that takes it lower than so far below the champion's is undone


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """One half of the trusted images."""

    rows: NDArray[np.floating[Any]]  # (n, p) lifted
    y: NDArray[np.intp]  # (n,) class numbers

    def accuracy(self, snapshot: Snapshot) -> float:
        """The share of the guard that is answered rightly, 0..1."""
        return float((snapshot.classes[snapshot.scores(self.rows).argmax(axis=1)] == self.y).mean())

    def fault(self, before: float, now: float, best: float) -> str:
        """Why a step has to be undone; empty where it may stay.

        >>> guard = Guard(np.empty((20, 0)), np.zeros(20, np.intp))
        >>> guard.fault(1.0, 0.95, best=1.0), guard.fault(1.0, 0.9, best=1.0)
        ('', 'the accuracy on 20 trusted images would fall from 1.000 to 0.900')

        Args:
            before: the accuracy without the step, 0..1; what was bad before it is not its fault.
            now: the same with it.
            best: the accuracy of the model as it was trained.
        """
        allowed = max(HURTS, 1 / len(self.y))
        if now >= min(before, best - allowed) - 1e-9:
            return ""
        return f"the accuracy on {len(self.y)} trusted images would fall from {before:.3f} to {now:.3f}"
