"""The rule of two components: margins of right labels on one hill, those of wrong labels on another.

E. Arazo et al. (2019), "Unsupervised label noise modeling and loss correction", ICML; J. Li et al. (2020),
"DivideMix", ICLR, who fit two normal distributions to the losses. Simple and long in use; where no label is wrong
it finds two hills all the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pellucid.noise.evidence import Evidence, Verdict, by_trust

_STEPS = 200
_NARROWEST = 0.01  # standard deviation, in units of the margin: no hill is a needle


def mixture(evidence: Evidence) -> Verdict:
    """Judge by the two-component normal mixture on the margins; what is not right is divided as the model has it."""
    trust = _right(evidence.margin, np.where(evidence.trusted, 0.0, evidence.weight))
    rows = np.arange(len(trust))
    others = evidence.p.copy()
    others[rows, evidence.index] = 0
    rest = others.sum(axis=1)
    K = others.shape[1]
    others[rest <= 0] = 1 / (K - 1)
    posterior = others * ((1 - trust) / np.where(rest > 0, rest, 1))[:, None]
    posterior[rows, evidence.index] = trust
    why = "two normal distributions were fitted to the margins"
    return Verdict("mixture", posterior, by_trust(posterior, evidence.index), why)


def _right(margin: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(the component of higher mean | margin), (n,), made to rise with the margin."""
    if not weight.any() or np.ptp(margin[weight > 0]) < _NARROWEST:
        return np.ones(len(margin))
    used, w = margin[weight > 0], weight[weight > 0]
    order = np.argsort(used)
    total = np.cumsum(w[order])
    means = np.array([np.interp(share * total[-1], total, used[order]) for share in (0.1, 0.9)])
    deviations = np.full(2, max(_NARROWEST, float(used.std()) / 2))
    shares = np.full(2, 0.5)
    for _ in range(_STEPS):
        r = _responsibilities(used, means, deviations, shares) * w[:, None]
        mass = r.sum(axis=0) + 1e-12
        moved = (r * used[:, None]).sum(axis=0) / mass
        done = np.abs(moved - means).max() < 1e-6
        means = moved
        deviations = np.maximum(np.sqrt((r * (used[:, None] - means) ** 2).sum(axis=0) / mass), _NARROWEST)
        shares = mass / mass.sum()
        if done:
            break
    upper = int(means.argmax())
    low, high = means.min(), means.max()
    # beyond the means the wider hill would win again on the wrong side
    trust = _responsibilities(np.clip(margin, low, high), means, deviations, shares)[:, upper]
    order = np.argsort(margin)
    trust[order] = np.maximum.accumulate(trust[order])
    return np.asarray(trust)


def _responsibilities(
    margin: NDArray[np.float64],
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> NDArray[np.float64]:
    logs = np.log(shares) - np.log(deviations) - ((margin[:, None] - means) / deviations) ** 2 / 2
    logs -= logs.max(axis=1, keepdims=True)
    densities = np.exp(logs)
    return np.asarray(densities / densities.sum(axis=1, keepdims=True))
