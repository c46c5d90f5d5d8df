"""The visible register of rules, and the one that chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from pellucid.errors import UsageError
from pellucid.noise.cutoffs import argmax, percentile
from pellucid.noise.evidence import Evidence, Verdict
from pellucid.noise.instance import instance
from pellucid.noise.mixture import mixture
from pellucid.noise.transition import transition

Rule = Callable[[Evidence], Verdict]


# Two explanations are as good as even below this difference in log likelihood, odds of 20 to 1. On fresh noise 2.3
# did as well; on clean data of weak models it suspected more.
EVEN = 3.0


def auto(evidence: Evidence) -> Verdict:
    """The explanation of the given labels that is worth more: likelier, each free number paid for by one unit.

    Two explanations compete, and both have "no label is wrong" within them: that the rate of wrong labels
    depends on the class (`transition`), or on how unsure the model is (`instance`). Where they are as good as
    even, the one that suspects fewer labels is taken.
    """
    by_class, by_doubt = transition(evidence), instance(evidence)
    lead = (by_class.worth or 0.0) - (by_doubt.worth or 0.0)
    better, other = (by_class, by_doubt) if lead >= 0 else (by_doubt, by_class)
    if abs(lead) >= EVEN:
        why = f"{better.why}; that explains the labels better than {other.rule}, by {abs(lead):.1f} of log likelihood"
        return replace(better, why=why)
    fewer, more = (better, other) if better.suspect.sum() <= other.suspect.sum() else (other, better)
    why = f"{fewer.why}; {more.rule} explains the labels about as well and suspects no fewer of them"
    return replace(fewer, why=why)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "auto": auto,
        "mixture": mixture,
        "argmax": argmax,
        "transition": transition,
        "instance": instance,
        "percentile": percentile,
    }
)


def judge(evidence: Evidence, rule: str) -> Verdict:
    """Apply the named rule. Raises UsageError for a name that nobody has."""
    if rule not in RULES:
        raise UsageError(f"there is no rule {rule!r}; the rules are {', '.join(RULES)}")
    return RULES[rule](evidence)
