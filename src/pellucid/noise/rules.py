"""The visible register of rules, and the one that chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError
from pellucid.noise.cutoffs import argmax, percentile
from pellucid.noise.evidence import DOUBT, Evidence, Verdict, by_trust, entropy
from pellucid.noise.instance import fit_instance, instance
from pellucid.noise.mixture import mixture
from pellucid.noise.transition import fit_transition, transition

Rule = Callable[[Evidence], Verdict]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "mixture": mixture,
        "argmax": argmax,
        "transition": transition,
        "instance": instance,
        "percentile": percentile,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Which rule judged, and what it said."""

    rule: str
    verdict: Verdict
    log_likelihood: float | None = None  # of the given labels; None where the rule is no model of them


def judge(evidence: Evidence, rule: str) -> Choice:
    """Apply the named rule, or let ``auto`` choose. Raises UsageError for a name that nobody has."""
    if rule == "auto":
        return auto(evidence)
    if rule not in RULES:
        raise UsageError(f"there is no rule {rule!r}; the rules are auto, {', '.join(RULES)}")
    return Choice(rule, RULES[rule](evidence))


def auto(evidence: Evidence) -> Choice:
    """The explanation of the given labels that is the more likely, each free number paid for by one unit.

    Two explanations compete, and both have "no label is wrong" within them: that the rate of wrong labels
    depends on the class (`transition`) or on how unsure the model is (`instance`). The price is that of Akaike
    (1974); of a transition matrix the cells count into which at least one label went.
    """
    by_class, by_doubt = fit_transition(evidence), fit_instance(evidence)
    joints = {"transition": by_class.joint(evidence), "instance": by_doubt.joint(evidence)}
    likelihoods = {
        "transition": _worth(joints["transition"], by_class.beliefs(evidence), evidence),
        "instance": _worth(joints["instance"], by_doubt.beliefs(evidence), evidence),
    }
    value = {"transition": likelihoods["transition"] - by_class.moved - 1, "instance": likelihoods["instance"] - 4}
    rule = max(value, key=lambda name: value[name])
    other = min(value, key=lambda name: value[name])
    posterior = joints[rule] / joints[rule].sum(axis=1, keepdims=True)
    verdict = Verdict(posterior, by_trust(posterior, evidence.index), _reason(rule, value[rule] - value[other]))
    return Choice(rule, verdict, likelihoods[rule])


def _worth(joint: NDArray[np.float64], beliefs: NDArray[np.float64], evidence: Evidence) -> float:
    """Weighted sum of log P(given label), from P(true class, given label) (n, K), less the price of doubt."""
    likelihood = np.log(np.maximum(joint.sum(axis=1), 1e-300))
    return float(evidence.weight @ (likelihood - DOUBT * entropy(beliefs)))


def _reason(rule: str, lead: float) -> str:
    explained = {
        "transition": "labels that depend on the class alone, not on the image, explain the data better",
        "instance": "labels that go wrong where the model is unsure explain the data better",
    }
    return f"{explained[rule]} (by {lead:.1f} units of log likelihood)"
