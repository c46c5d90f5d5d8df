"""A trained head that goes on learning and forgetting single rows, and the snapshots that answer meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.heads.conformal import ConformalSets
from pellucid.heads.head import Head
from pellucid.heads.inputs import class_index, join_classes
from pellucid.heads.kernel import KernelClassifier
from pellucid.heads.lift import Lift
from pellucid.heads.ridge import RidgeClassifier
from pellucid.heads.running import NeverLearntError, Running
from pellucid.heads.statistic import accumulate, blocks, design, leave_one_out, predict_scores
from pellucid.heads.temperature import probabilities

Lifting = Callable[[NDArray[np.floating[Any]]], NDArray[np.floating[Any]]]

_AGREE = 1e-4  # of the largest weight: how far rounding may part a head from the statistic of its rows


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What answers: it never changes, so an answer is of one state whatever is learnt meanwhile."""

    lift: Lifting  # vectors (n, d) to rows (n, p)
    classes: NDArray[np.intp]  # (K,) class numbers, sorted
    weights: NDArray[np.float64]  # W (p, K)
    temperature: float
    sets: ConformalSets | None

    def look(self, X: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Vectors (n, d) as rows (n, p) that are good enough to be answered, and not exact enough to be learnt."""
        return self.lift.nearly(X) if isinstance(self.lift, Lift) else X

    def scores(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """x'W (n, K) of lifted rows (n, p)."""
        return predict_scores(rows, self.weights)

    def predict_proba(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Calibrated probabilities (n, K) of lifted rows, in the order of ``classes``; they sum to 1."""
        return probabilities(self.scores(rows), self.temperature)

    def predict_set(self, shares: NDArray[np.float64], alpha: float = 0.1) -> NDArray[np.bool_]:
        """Which classes, (n, K), hold the true one with probability 1 - alpha; the likeliest where uncalibrated."""
        if self.sets is None:
            return np.asarray(np.arange(shares.shape[1]) == shares.argmax(axis=1)[:, None])
        return self.sets.members(shares, alpha)


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """What was learnt at one time, to tell what is new: leverages as the training rows have them."""

    R: NDArray[np.float32]  # (p, p) the inverse statistic
    unseen: float  # leverage of what the lift does not show, a landmark being far from everything: 1 / lambda, or 0
    known: NDArray[np.float32]  # (m,) leverages of training rows, rising

    def novelty(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """The share (n,), 0..1, of training rows with a lower leverage x'Rx than each of the lifted rows (n, p)."""
        x = design(rows).astype(np.float32)
        leverage = np.einsum("ij,ij->i", (self.R @ x.T).T, x)  # see Lift.nearly
        if self.unseen:
            shown = np.clip(np.einsum("ij,ij->i", rows, rows), 0, 1)  # of the unit length that a kernel's features have
            leverage = shown * leverage + (1 - shown) * self.unseen
        return np.asarray(np.searchsorted(self.known, leverage) / len(self.known))


class OnlineHead:
    """The statistic of a ridge or kernel head, with rows learnt and forgotten exactly, one by one or many.

    Made by `resume` from a trained head and the rows that it has learnt, because a model's file holds no statistic.
    Lambda, temperature and sets stay those of the head. Rows are vectors that went through `lift`, once. Not for two
    threads at once; a `snapshot` may be used by any.

    >>> from pellucid.heads.ridge import RidgeClassifier
    >>> X, y = np.eye(4, dtype=np.float32), np.array([0, 0, 1, 1])
    >>> online = OnlineHead.resume(RidgeClassifier(0.1).fit(X, y), X, y, np.ones(4))
    >>> before = online.snapshot()
    >>> online.learn(X[:1], np.array([2]), np.ones(1))
    >>> before.classes.tolist(), online.snapshot().classes.tolist()
    ([0, 1], [0, 1, 2])
    """

    def __init__(self, head: RidgeClassifier, lift: Lifting, running: Running) -> None:
        self._head = head
        self._lift = lift
        self._running = running

    @classmethod
    def resume(
        cls,
        head: Head,
        X: NDArray[np.floating[Any]],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | None = None,
    ) -> OnlineHead:
        """The head with the statistic of the rows that it was trained on: vectors (n, d), class numbers, weights and
        strengths, 1 where None.

        Raises:
            UsageError: the head is of a kind that cannot learn online.
            NeverLearntError: it was trained on other rows.
        """
        ridge, lift = _parts(head)
        learnt = weight > 0
        rows, index = lift(X[learnt]), class_index(ridge.classes_, y[learnt])
        if (index < 0).any():
            raise NeverLearntError(f"the head knows {ridge.classes_.tolist()}, and the rows have other classes")
        K = len(ridge.classes_)
        A, B = accumulate(rows, index, weight[learnt], K, None if strength is None else strength[learnt])
        counts = np.bincount(index, minlength=K)
        running = Running.start(ridge.classes_, A, B, counts, ridge.lambda_)
        if not np.allclose(running.W, ridge.coef_, rtol=_AGREE, atol=_AGREE * np.abs(ridge.coef_).max()):
            raise NeverLearntError("the head was trained on other rows than these; give those of its dataset version")
        return cls(ridge, lift, running)

    def copy(self) -> OnlineHead:
        """Another one with the same rows, which learns and forgets by itself. Time and memory p^2."""
        return OnlineHead(self._head, self._lift, deepcopy(self._running))

    @property
    def classes(self) -> NDArray[np.intp]:
        """Class numbers that have a column, sorted, (K,)."""
        return np.asarray(self._running.classes)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Rows of each class, (K,)."""
        return self._running.counts

    @property
    def lift(self) -> Lifting:
        """Turns vectors (n, d) into the rows (n, p) that are learnt."""
        return self._lift

    def snapshot(self) -> Snapshot:
        """The state that answers from now on."""
        head = self._head
        W = self._running.W
        return Snapshot(self._lift, self.classes, W, head.temperature_, head.sets_)

    def learn(
        self,
        rows: NDArray[np.floating[Any]],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | None = None,
    ) -> None:
        """Add rows (m, p) with class numbers, of which some may be new, weights above 0 and strengths, 1 where None."""
        known = join_classes(self.classes, np.unique(y))
        running = self._running.spread(known)
        running.learn(rows, class_index(known, y), weight, strength)
        self._running = running

    def forget(
        self,
        rows: NDArray[np.floating[Any]],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | None = None,
    ) -> None:
        """Take rows out, exactly; a class without a row is known no longer.

        Raises NeverLearntError where that cannot be, and changes nothing.
        """
        index = class_index(self.classes, y)
        if (index < 0).any():
            raise NeverLearntError(f"class {y[index < 0][0]} was never learnt; give rows as they were learnt")
        self._running.forget(rows, index, weight, strength)
        self._running = self._running.shed()

    def without(
        self,
        rows: NDArray[np.floating[Any]],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        strength: NDArray[np.float64] | float = 1.0,
    ) -> NDArray[np.float64]:
        """Probabilities (n, K) of rows as all the other rows have them; a row of weight 0 was not learnt."""
        fitted = predict_scores(rows, self._running.W)
        index = class_index(self.classes, y)
        h = np.minimum(weight * self._running.leverage(rows), 1 - np.finfo(np.float64).eps)
        h[index < 0] = 0.0
        left_out = leave_one_out(fitted, np.maximum(index, 0), h, strength)
        return probabilities(np.where(h[:, None] > 0, left_out, fitted), self._head.temperature_)

    def expected_change(
        self,
        rows: NDArray[np.floating[Any]],
        y: NDArray[np.intp],
        weight: NDArray[np.float64],
        shares: NDArray[np.float64],
        strength: NDArray[np.float64] | float = 1.0,
    ) -> NDArray[np.float64]:
        """How far the scores of all other learnt rows are expected to move once a row's class is known, (n,).

        A row that stands with weight w and strength t under class s will stand with weight 1 under class k with
        probability q_k. Let R = (A + lambda I)^-1, h = x'Rx and f = x'W be of all other rows alone. To learn the row
        adds R x a_w (t e_s - f)' to W, with a_w = w / (1 + w h) (Sherman and Morrison), so that its new class moves W
        by R x v_k' and the scores of the others by |v_k|^2 x'RARx, squared and summed by weight, with

            v_k = a_1 (e_k - f) - a_w (t e_s - f)        x'RARx = h - lambda |Rx|^2

        Returned is the mean over q; higher is more worth knowing. A row that is certain to stand rightly with weight
        and strength 1 gets 0, and so nearly does one that is far from all others. It is Cook's distance (R. Cook 1977,
        "Detection of influential observation in linear regression", Technometrics 19) of what is to be learnt: B.
        Settles, M. Craven and S. Ray 2008, "Multiple-instance active learning" (expected gradient length); W. Cai, Y.
        Zhang and J. Zhou 2013, "Maximizing expected model change for active learning in regression".

        Args:
            rows: (n, p) lifted.
            y: (n,) class numbers under which they stand.
            weight: (n,) with which, 0..1; 0 for a row that was not learnt.
            shares: (n, K) the q_k in the order of ``classes``; what a row lacks to 1 is a class never learnt.
            strength: (n,) of the labels under which they stand, 0..1.
        """
        K, index = len(self.classes), np.maximum(class_index(self.classes, y), 0)
        strength = np.broadcast_to(strength, weight.shape)
        change = np.empty(len(rows))
        for block in blocks(len(rows)):
            h, squares = self._running.pull(rows[block])
            w, t, s, x = weight[block], strength[block], index[block], np.arange(len(h))
            rest = np.maximum(1 - w * h, np.finfo(np.float64).eps)  # the row itself is taken out of R, h and f
            f = np.zeros((len(h), K + 1))
            f[:, :K] = leave_one_out(predict_scores(rows[block], self._running.W), s, w * h, t)
            q = np.column_stack([shares[block], np.maximum(1 - shares[block].sum(axis=1), 0)])
            h, squares = h / rest, squares / rest**2
            length = np.einsum("ij,ij->i", f, f)
            new, old = 1 / (1 + h), w / (1 + w * h)
            own = 1 - 2 * f + length[:, None]  # |e_k - f|^2
            cross = length[:, None] - f - (t * f[x, s])[:, None]  # (e_k - f)'(t e_s - f)
            cross[x, s] += t
            before = old**2 * (t**2 - 2 * t * f[x, s] + length)
            moved = (new**2)[:, None] * own - (2 * new * old)[:, None] * cross + before[:, None]
            reach = np.maximum(h - self._running.l2 * squares, 0)
            change[block] = reach * np.maximum((q * moved).sum(axis=1), 0)
        return change

    def span(self, rows: NDArray[np.floating[Any]], most: int = 5000) -> Span:
        """What is learnt by now, beside at most so many of the learnt rows (n, p), evenly spread.

        A learnt row pulls the statistic towards itself, so each is taken as if it had not been learnt: h / (1 - h).
        """
        upper = np.triu(self._running.R)
        R = upper + upper.T - np.diag(np.diag(upper))
        h = np.minimum(self._running.leverage(rows[:: max(1, len(rows) // most)]), 1 - 1e-6)
        unseen = 1 / self._running.l2 if isinstance(self._lift, Lift) else 0.0
        return Span(R.astype(np.float32), unseen, np.sort(h / (1 - h)).astype(np.float32))


def learns_online(head: Head) -> bool:
    """Whether `OnlineHead` can take the head up.

    >>> from pellucid.heads.head import build_head
    >>> learns_online(build_head("kernel", {}, seed=0)), learns_online(build_head("logistic", {}, seed=0))
    (True, False)
    """
    return isinstance(head, RidgeClassifier | KernelClassifier)


def _parts(head: Head) -> tuple[RidgeClassifier, Lifting]:
    if isinstance(head, KernelClassifier):
        return head.ridge_, head.lift_
    if isinstance(head, RidgeClassifier):
        return head, lambda X: X
    raise UsageError(
        f"a {type(head).__name__} cannot learn single rows; train `kernel` or `ridge` to learn from feedback at once"
    )
