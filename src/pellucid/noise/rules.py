"""The visible register of rules, and the one that chooses among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from pellucid.errors import UsageError
from pellucid.noise.compound import Compound, compound, fit_compound
from pellucid.noise.cutoffs import argmax, percentile
from pellucid.noise.evidence import Evidence, Verdict
from pellucid.noise.instance import Instance, fit_instance, instance
from pellucid.noise.mixture import mixture
from pellucid.noise.transition import Transition, fit_transition, transition

Rule = Callable[[Evidence], Verdict]


# Two explanations are as good as even below this difference in log likelihood, odds of 20 to 1. On fresh noise 2.3
# did as well; on clean data of weak models it suspected more.
EVEN = 3.0
# `compound` contains the other two, and its numbers are paid for: the worth of one number more is enough for it.
CONTAINED = 1.0


def auto(evidence: Evidence) -> Verdict:
    """The explanation of the given labels that is worth most: likelier, each free number paid for by one unit.

    Three explanations compete, and all have "no label is wrong" within them: that the rate of wrong labels depends
    on the class (`transition`), on how unsure the model is (`instance`), or on both (`compound`, unless the model is
    overconfident). Of those that are as good as even with the best, the one that suspects fewest labels is taken.

    `compound` does not compete where the answer is learnt back: it ranks as well or better there too, but what is then
    learnt is no more accurate, and it takes its time.
    """
    by_class, by_doubt = fit_transition(evidence), fit_instance(evidence)
    fits: list[Transition | Instance | Compound] = [by_class, by_doubt]
    if not evidence.taught_back:
        both = fit_compound(evidence, by_class, by_doubt)
        fits += [] if both.flattened else [both]
    best, *others = sorted((fit.verdict(evidence) for fit in fits), key=_worth, reverse=True)
    enough = CONTAINED if best.rule == "compound" else EVEN
    even = [other for other in others if _worth(best) - _worth(other) < enough]
    chosen = min((best, *even), key=lambda verdict: int(verdict.suspect.sum()))
    if chosen is not best:
        why = f"{chosen.why}; {best.rule} explains the labels about as well and suspects no fewer of them"
    else:
        lead = _worth(best) - _worth(others[0])
        why = f"{best.why}; that explains the labels better than {others[0].rule}, by {lead:.1f} of log likelihood"
    return replace(chosen, why=why)


def _worth(verdict: Verdict) -> float:
    return -math.inf if verdict.worth is None else verdict.worth


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "auto": auto,
        "mixture": mixture,
        "argmax": argmax,
        "transition": transition,
        "instance": instance,
        "compound": compound,
        "percentile": percentile,
    }
)


def judge(evidence: Evidence, rule: str) -> Verdict:
    """Apply the named rule. Raises UsageError for a name that nobody has."""
    if rule not in RULES:
        raise UsageError(f"there is no rule {rule!r}; the rules are {', '.join(RULES)}")
    return RULES[rule](evidence)
