"""What a rule is given to judge by, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

SMALLEST = 1e-6  # a probability below it is taken for it: models are seldom right to be surer

# What a unit of doubt (entropy of the belief in the true class, in natural units) costs a row, in units of log
# likelihood. Where the data cannot tell an unsure model from wrong labels, as with two classes and very many wrong
# labels, this says which is the more usual; elsewhere it is outweighed.
DOUBT = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Labels, and the probabilities that a model gives which has not seen the label of the row in question."""

    p: NDArray[np.float64]  # (n, K) rows sum to 1
    index: NDArray[np.intp]  # (n,) the given label, 0..K-1
    weight: NDArray[np.float64]  # (n,) 0 or more; a row of weight 0 is judged, but nothing is inferred from it
    trusted: NDArray[np.bool_]  # (n,) True where the given label is known to be right
    learnt_given: bool = True  # the model learnt labels as wrong as these are; False where it learnt corrected ones
    taught_back: bool = False  # what is found here is learnt in place of the labels, which are then judged again

    @property
    def margin(self) -> NDArray[np.float64]:
        """p[given] - the largest of the others, (n,), -1..1; the lower, the more suspect."""
        return margins(self.p, self.index)

    def thinned(self, most: int) -> Evidence:
        """At most about ``most`` rows that stand for all, by their weights; all rows where there are no more.

        Of each class every k-th row in the order of its margin, so that the choice does not depend on the
        order of rows; a class of fewer than ``most / K`` rows is kept whole.
        """
        n, K = self.p.shape
        if n <= most:
            return self
        share = max(1, most // K)
        order = np.lexsort((self.weight, self.p.max(axis=1), self.margin, self.trusted, self.index))
        chosen, factors = [], []
        for rows in np.split(order, np.flatnonzero(np.diff(self.index[order])) + 1):
            kept = rows[np.linspace(0, len(rows) - 1, min(share, len(rows))).round().astype(np.intp)]
            chosen.append(kept)
            factors.append(np.full(len(kept), len(rows) / len(kept)))
        picked = np.concatenate(chosen)
        return replace(
            self,
            p=self.p[picked],
            index=self.index[picked],
            weight=self.weight[picked] * np.concatenate(factors),
            trusted=self.trusted[picked],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A rule's answer."""

    rule: str
    posterior: NDArray[np.float64]  # (n, K) P(true class | model, given label); rows sum to 1
    suspect: NDArray[np.bool_]  # (n,)
    why: str  # one sentence
    worth: float | None = None  # log likelihood of the labels less what the explanation costs; None: not a model
    counted: bool = False  # the noise is what was suspected, since the posterior does not measure it


def margins(scores: NDArray[np.float64], index: NDArray[np.intp]) -> NDArray[np.float64]:
    """The given class's score less the largest of the others, (n,).

    >>> margins(np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]]), np.array([0, 1])).round(9).tolist()
    [0.5, -0.5]
    """
    rows = np.arange(len(scores))
    others = scores.copy()
    others[rows, index] = -np.inf
    return np.asarray(scores[rows, index] - others.max(axis=1))


def by_trust(posterior: NDArray[np.float64], index: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Suspect where the given label is more likely wrong than right, (n,)."""
    return np.asarray(posterior[np.arange(len(index)), index] < 0.5)


def entropy(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy of each row in natural units, (n,).

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(3).tolist()
    [0.693, 0.0]
    """
    return np.asarray(entr(q) @ np.ones(q.shape[1]))  # a sum over few columns is several times slower


def logs_of(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of p (n, K), shifted so that the largest of each row is 0: ready for `tempered`."""
    logs = np.log(np.maximum(p, SMALLEST))
    return np.asarray(logs - logs.max(axis=1, keepdims=True))


def tempered(logs: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """softmax(logs / temperature) of what `logs_of` gives, (n, K).

    >>> tempered(logs_of(np.array([[0.8, 0.2]])), 1.0).round(3).tolist(), tempered(np.zeros((1, 2)), 9.0).tolist()
    ([[0.8, 0.2]], [[0.5, 0.5]])
    """
    q = np.exp(logs / temperature)
    return np.asarray(q / (q @ np.ones(q.shape[1]))[:, None])


def worth(joint: NDArray[np.float64], q: NDArray[np.float64], evidence: Evidence, numbers: int) -> float:
    """What an explanation is worth: its log likelihood, less the price of doubt and of each number it chose.

    ``joint`` (n, K) is P(true class, given label) and ``q`` (n, K) the belief in the true class; a free number
    costs one unit (Akaike 1974).
    """
    likelihood = np.log(np.maximum(joint.sum(axis=1), 1e-300))
    return float(evidence.weight @ (likelihood - DOUBT * entropy(q))) - numbers
