"""Signs that somebody votes in bad faith, or that it is no person who votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from pellucid.errors import DataError


@dataclass(frozen=True, slots=True)
class Target:
    """The label that a voter gives most often where nobody else would."""

    label: str
    count: int  # of the doubted votes, those for that label
    of: int  # doubted votes
    p_value: float  # 0..1: how often chance alone would aim so; small is suspicious

    @property
    def share(self) -> float:
        """0..1."""
        return self.count / self.of


def aim_of(doubted: Sequence[str], usual: Mapping[str, float]) -> Target | None:
    """Whether the votes that nobody else believes aim at one label; None where there are none.

    Who errs, errs in all directions; who poisons a model for a purpose gives one label to what is something else. Of n
    doubted votes m are for the label with the least P(M >= m), M ~ Binomial(n, q), with q the share that the label has
    among everybody's; times K for having looked at all labels (Bonferroni).

    Args:
        doubted: the labels of the voter's votes that others do not believe.
        usual: by label the share that it has among all votes, 0..1.

    >>> aim_of(["cat"] * 9 + ["dog"], {"cat": 0.5, "dog": 0.5})
    Target(label='cat', count=9, of=10, p_value=0.021...)
    >>> aim_of(["cat"] * 5 + ["dog"] * 5, {"cat": 0.5, "dog": 0.5}).p_value
    1.0
    """
    if not doubted:
        return None
    n, K = len(doubted), max(1, len(usual))
    counts: dict[str, int] = {}
    for label in doubted:
        counts[label] = counts.get(label, 0) + 1
    found = [
        Target(label, count, n, min(1.0, K * float(binom.sf(count - 1, n, min(1.0, usual.get(label, 1 / K))))))
        for label, count in counts.items()
    ]
    return min(found, key=lambda target: (target.p_value, -target.count, target.label))


def fastest(seconds: ArrayLike, window: float = 60.0) -> int:
    """The most votes that were said within any stretch of so many seconds.

    Parameters
    ----------
    seconds : (n,) when each vote was said, in any order, from any beginning.
    window : seconds, above 0.

    Raises DataError for a window that is none.

    >>> fastest([0, 10, 20, 100, 101, 102, 103])
    4
    >>> fastest([])
    0
    """
    if not window > 0:
        raise DataError(f"a window of {window:g} seconds was offered; wanted is one above 0")
    at = np.sort(np.asarray(seconds, np.float64))
    if not len(at):
        return 0
    first = np.searchsorted(at, at - window, side="right")  # the first vote less than a window before each
    return int((np.arange(len(at)) - first).max()) + 1
