"""The rule for people's own mistakes: what looks like another class is labelled as that class.

A sample's label is wrong with a probability rho that grows with how unsure the model is, and it is then the label
of a class that the model holds for likely beside the true one. With q(t) the belief in the true class, c the same
at a temperature of its own, and u in 0..1 the rank of the lead of the likeliest class (1 the smallest),

    rho = 0.95 / (1 + exp(-a - b (u - 1/2))),  b >= 0
    P(t, y) = q(t) (1 - rho) where y = t,  q(t) rho c(y) / (1 - c(t)) where it is not

The two temperatures, a and b are those of the largest likelihood of the given labels. With no wrong labels the
model's own doubt explains every contradiction and rho goes to zero. Where labels are lost by class beside that
(`pellucid.noise.compound`), q(t) (1 - rho) T[t, y] takes the place of the first line, for every t.

Instance-dependent noise: P. Chen et al. (2021), "Beyond class-conditional assumption: a primary attempt to combat
instance-dependent label noise", AAAI; P(y) as a mixture of a right and a wrong label is E. Arazo et al. (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from pellucid.noise.evidence import DOUBT, Evidence, Verdict, by_trust, logs_of, tempered, worth

FIT_ROWS = 5_000  # more than these are represented by these when the four numbers are fitted
Parameters = tuple[float, float, float, float]
_MOST = 0.95  # rho stays below
_LEAST_REST = 1e-12  # of what a class leaves to the others
# Of the parameters log temperature of q, a, b, log temperature of c
_BOUNDS = ((-4.0, 3.0), (-9.0, 5.0), (0.0, 12.0), (-4.0, 3.0))
STARTS: Sequence[Parameters] = tuple((t, a, 2.0, t) for a in (-4.0, -1.5) for t in (-1.5, -0.5))
NUMBERS = len(_BOUNDS)


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """Fitted parameters, ready to judge."""

    parameters: NDArray[np.float64]  # (4,) see _BOUNDS
    leads: NDArray[np.float64]  # (m,) sorted leads of the likeliest class, which ranks are taken in

    def beliefs(self, evidence: Evidence) -> NDArray[np.float64]:
        """q (n, K): the model's belief in each true class, before the given label is looked at."""
        return tempered(logs_of(evidence.p), float(np.exp(self.parameters[0])))

    def joint(self, evidence: Evidence, emission: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """P(true class, given label) of each row, (n, K); see `parts` for ``emission``."""
        kept, turned = self.parts(evidence, own_class(evidence) if emission is None else emission)
        return kept + turned

    def parts(
        self, evidence: Evidence, emission: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The joint (n, K) of labels that no doubt has turned, and of those that it has.

        ``emission`` (n, K) is P(given label | each true class) of the first.
        """
        logs = logs_of(evidence.p)
        return _parts(self.parameters, logs, _unsure(logs, self.leads), evidence, emission)

    def verdict(self, evidence: Evidence) -> Verdict:
        """The posterior that these parameters give."""
        joint = self.joint(evidence)
        posterior = joint / joint.sum(axis=1, keepdims=True)
        why = "labels are the more often wrong the less sure the model is, as people's own mistakes are"
        value = worth(joint, self.beliefs(evidence), evidence, NUMBERS)
        return Verdict("instance", posterior, by_trust(posterior, evidence.index), why, value)


def instance(evidence: Evidence) -> Verdict:
    """Judge by the posterior under the most likely dependence on the model's doubt."""
    return fit_instance(evidence).verdict(evidence)


def fit_instance(evidence: Evidence) -> Instance:
    """The parameters of the largest likelihood, from four starts."""
    leads = np.sort(_lead(logs_of(evidence.p)))
    sample = evidence.thinned(FIT_ROWS)
    return climb(sample, leads, own_class(sample), STARTS)


def climb(
    sample: Evidence, leads: NDArray[np.float64] | None, emission: NDArray[np.float64], starts: Sequence[Parameters]
) -> Instance:
    """The parameters of the largest likelihood under this emission (n, K), from these starts.

    Ranks are taken in ``leads``, sorted; in those of the sample where there are none.
    """
    logs = logs_of(sample.p)
    leads = np.sort(_lead(logs)) if leads is None else leads
    unsure, total = _unsure(logs, leads), max(float(sample.weight.sum()), 1e-300)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slopes = _log_likelihood(parameters, logs, unsure, sample, emission)
        # a slight pull where the data say nothing: to b = 0, a = 0 and equal temperatures
        t, a, b, s = parameters
        pull = np.array([-2e-3 * (s - t), 2e-4 * a, 2e-4 * b, 2e-3 * (s - t)])
        return -value / total + 1e-4 * b**2 + 1e-4 * a**2 + 1e-3 * (s - t) ** 2, pull - slopes / total

    results = [minimize(loss, start, method="L-BFGS-B", jac=True, bounds=_BOUNDS) for start in starts]
    return Instance(min(results, key=lambda result: float(result.fun)).x, leads)


def own_class(evidence: Evidence) -> NDArray[np.float64]:
    """The emission (n, K) where only doubt turns a label: 1 for the given class."""
    return np.asarray(np.eye(evidence.p.shape[1])[evidence.index])


def _log_likelihood(
    parameters: NDArray[np.float64],
    logs: NDArray[np.float64],
    unsure: NDArray[np.float64],
    evidence: Evidence,
    emission: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """The log likelihood of the given labels less the price of doubt, and its slopes in the parameters, (4,).

    With v = log(c) up to a shift and V its mean under c, dc/ds = c (V - v); the entropy of q has the variance of its
    exponent under q as its slope.
    """
    t, a, b, s = parameters
    rows, given, ones = np.arange(len(logs)), evidence.index, np.ones(logs.shape[1])
    u, v = logs * np.exp(-t), logs * np.exp(-s)
    q, c = np.exp(u), np.exp(v)
    size = q @ ones
    q *= (1 / size)[:, None]
    c *= (1 / (c @ ones))[:, None]
    u_mean, v_mean = np.einsum("ij,ij->i", q, u), np.einsum("ij,ij->i", c, v)
    u -= u_mean[:, None]
    v -= v_mean[:, None]
    rest = np.maximum(1 - c, _LEAST_REST)
    ratio = q / rest
    ratio[rows, given] = 0
    others = ratio @ ones
    share = expit(a + b * (unsure - 0.5))
    free = ~evidence.trusted
    rho = np.where(free, _MOST * share, 0.0)
    stayed = q * emission
    right, wrong = stayed @ ones, c[rows, given]
    likelihood = np.maximum(right * (1 - rho) + rho * wrong * others, 1e-300)
    value = np.log(likelihood) - DOUBT * (np.log(size) - u_mean)

    along_a = np.where(free, _MOST * share * (1 - share), 0.0) * (wrong * others - right)
    along_t = -np.einsum("ij,ij->i", stayed, u) * (1 - rho) - rho * wrong * np.einsum("ij,ij->i", ratio, u)
    ratio *= c
    ratio /= rest
    turned = np.einsum("ij,ij->i", ratio, v)
    along_s = -rho * wrong * (v[rows, given] * others + turned)
    weight = evidence.weight / likelihood
    q *= u  # sums of three factors are several times slower
    doubt = float(evidence.weight @ np.einsum("ij,ij->i", q, u))
    slopes = [weight @ along_t - DOUBT * doubt, weight @ along_a, weight @ (along_a * (unsure - 0.5)), weight @ along_s]
    return float(evidence.weight @ value), np.array(slopes)


def _parts(
    parameters: NDArray[np.float64],
    logs: NDArray[np.float64],
    unsure: NDArray[np.float64],
    evidence: Evidence,
    emission: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    t, a, b, s = parameters
    rows = np.arange(len(logs))
    rho = _MOST * expit(a + b * (unsure - 0.5))
    rho = np.where(evidence.trusted, 0.0, rho)
    q, c = tempered(logs, float(np.exp(t))), tempered(logs, float(np.exp(s)))
    kept = q * emission * (1 - rho)[:, None]
    turned = q / np.maximum(1 - c, _LEAST_REST) * (rho * c[rows, evidence.index])[:, None]
    turned[rows, evidence.index] = 0
    return np.asarray(kept), np.asarray(turned)


def _lead(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    top = np.partition(logs, logs.shape[1] - 2, axis=1)
    return np.asarray(top[:, -1] - top[:, -2])


def _unsure(logs: NDArray[np.float64], leads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each row's lead stands among all, from 1 for the smallest to 0 for the largest; ties in the middle."""
    lead = _lead(logs)
    below, upto = np.searchsorted(leads, lead, "left"), np.searchsorted(leads, lead, "right")
    return np.asarray(1 - (below + upto) / (2 * len(leads)))
