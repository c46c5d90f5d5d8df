"""The rule for both at once: labels are lost by class, and beside that the more often the less sure the model is.

People confuse certain classes with each other (`pellucid.noise.transition`) and slip on the pictures that look like
two (`pellucid.noise.instance`). With T, q, rho and c as there,

    P(t, y) = q(t) ((1 - rho) T[t, y] + rho c(y) / (1 - c(t)) where y is not t)

and q is freed from T before. T by expectation-maximisation and the four numbers of the doubt by ascent, in turn, from
what each of the two explains alone: a climb from the first does not find labels that the model has learnt to doubt,
a climb from the second finds them at half of all and more.

Wrong labels make a model less sure than it could be, never surer. Where q has to be flattened all the same, the model
is overconfident, what it contradicts is in good part its own error, and `auto` does not take this explanation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pellucid.noise.evidence import Evidence, Verdict, by_trust, worth
from pellucid.noise.instance import FIT_ROWS, NUMBERS, STARTS, Instance, Parameters, climb, fit_instance
from pellucid.noise.transition import Transition, deconvolve, emission_of, fit_transition, matrix_of, moved

_ROUNDS, _STEPS = 4, 5  # of fitting; of T within a round
_CONVERGED = 0.5  # units of log likelihood between two rounds, of rows that weigh 1
_LOST = 0.02  # of each class, evenly, where the climb starts from doubt alone


@dataclass(frozen=True, slots=True, eq=False)
class Compound:
    """A fitted matrix and a fitted doubt, ready to judge."""

    matrix: NDArray[np.float64]  # T (K, K), P(label before any doubt = column | true = row)
    mixing: NDArray[np.float64] | None  # (K, K) what p is to be freed from; None where nothing
    doubt: Instance  # of p so freed
    moved: int  # cells off the diagonal of T with at least one label

    @property
    def flattened(self) -> bool:
        """Whether q is less sure than p once p is freed: the model is overconfident."""
        return bool(self.doubt.parameters[0] > 0)

    def verdict(self, evidence: Evidence) -> Verdict:
        """The posterior that the two give."""
        freed = _freed(evidence, self.mixing)
        joint = self.doubt.joint(freed, emission_of(self.matrix, freed))
        posterior = joint / joint.sum(axis=1, keepdims=True)
        sent = 1 - float(np.diag(self.matrix).mean())
        why = f"each true class loses {sent:.1%} of its labels on average, and more are wrong where the model is unsure"
        value = worth(joint, self.doubt.beliefs(freed), evidence, self.moved + NUMBERS)
        return Verdict("compound", posterior, by_trust(posterior, evidence.index), why, value)


def compound(evidence: Evidence) -> Verdict:
    """Judge by the posterior under the most likely matrix and doubt together."""
    return fit_compound(evidence, fit_transition(evidence), fit_instance(evidence)).verdict(evidence)


def fit_compound(evidence: Evidence, by_class: Transition, by_doubt: Instance) -> Compound:
    """The matrix and the doubt of the largest likelihood, from what each explains alone."""
    sample = evidence.thinned(FIT_ROWS)
    K = sample.p.shape[1]
    even = (1 - _LOST) * np.eye(K) + _LOST / K
    t, a, b, s = by_doubt.parameters.tolist()
    starts = ((by_class.matrix, by_class.mixing, STARTS), (even, None, ((t, a, b, s),)))
    return max((_climb(sample, *start) for start in starts), key=lambda fit: fit[0])[1]


def _climb(
    sample: Evidence, T: NDArray[np.float64], mixing: NDArray[np.float64] | None, starts: tuple[Parameters, ...]
) -> tuple[float, Compound]:
    given = np.eye(len(T))[sample.index]
    counted = np.where(sample.trusted, 0.0, sample.weight)[:, None]
    enough = _CONVERGED * sample.weight.sum() / max(1, np.count_nonzero(sample.weight))
    fits: list[tuple[float, Compound]] = []
    for number in range(_ROUNDS):
        freed = _freed(sample, mixing)
        doubt = climb(freed, None, emission_of(T, freed), starts)
        free, turned = doubt.parts(freed, np.ones_like(freed.p))
        joint = free * emission_of(T, freed) + turned
        value = worth(joint, doubt.beliefs(freed), sample, 0)
        share = counted * (joint - turned) / joint.sum(axis=1, keepdims=True)
        fits.append((value, Compound(T, mixing, doubt, moved(share, given))))
        if number > 1 and value - fits[-2][0] < enough:
            break
        t, a, b, s = doubt.parameters.tolist()
        starts = ((t, a, b, s),)
        for _ in range(_STEPS):
            T = matrix_of(share, given)
            kept = free * emission_of(T, freed)
            share = counted * kept / (kept + turned).sum(axis=1, keepdims=True)
        mixing = T if sample.learnt_given else None
    return max(fits, key=lambda fit: fit[0])


def _freed(evidence: Evidence, mixing: NDArray[np.float64] | None) -> Evidence:
    """The evidence with p freed from the noise that the model has learnt."""
    return evidence if mixing is None else replace(evidence, p=deconvolve(evidence.p, mixing))
