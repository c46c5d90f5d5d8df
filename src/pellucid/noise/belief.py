"""From an audit to what a learner is given: one label and one weight for each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.noise.auditing import Audit

KEPT, RELABELLED, DROPPED = "kept", "relabelled", "dropped"
DEFAULT_ACTION = "relabel"


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What to learn from, in the order of the audited rows."""

    labels: NDArray[Any]  # (n,)
    weight: NDArray[np.float64]  # (n,) 0..1, how far the label is to be believed
    fate: NDArray[np.str_]  # (n,) "kept", "relabelled" or "dropped": what became of the given label


def believe(audit: Audit, *, action: str = DEFAULT_ACTION) -> Belief:
    """Turn an audit into labels and weights.

    - ``relabel``: a suspect gets the most probable class, and every row the probability of its label as weight.
      A suspect whose most probable class is the given one after all keeps it;
    - ``weigh``: every row keeps its label, with its trust as weight; nothing is lost that might be right;
    - ``drop``: suspects weigh nothing, all others weigh 1.

    The first two take the doubts for what the audit's ``credence`` makes of them. Scores contradict labels that are
    wrong, and some that are right: where less than half of what they contradict is wrong, as far as the audit can tell,
    each posterior moves towards the given label (`pellucid.noise.voters.credence`). Where nothing is wrong hardly
    anything changes.

    The weights are probabilities. `pellucid.heads.head.learn_trusting` teaches them to a head in the best way that it
    has, which for ridge and kernel is not to weigh the row by them.

    Benchmarks in docs/benchmarks.md compare them; no action is best for all kinds of noise.

    Raises:
        UsageError: an unknown action.

    >>> from pellucid.noise import audit
    >>> X = np.repeat(np.eye(3), 6, axis=0) + np.arange(18)[:, None] / 1000
    >>> found = audit(X, ["cat"] * 5 + ["dog"] + ["dog"] * 6 + ["eel"] * 6)
    >>> belief = believe(found, action="relabel")
    >>> belief.labels[5], belief.fate[5], bool(belief.weight[5] > 0.9)
    (np.str_('cat'), np.str_('relabelled'), True)
    """
    if action not in ACTIONS:
        raise UsageError(f"there is no action {action!r}; the actions are {', '.join(ACTIONS)}")
    return ACTIONS[action](audit)


def _relabel(audit: Audit) -> Belief:
    given, credence = audit.classes == audit.given[:, None], audit.credence[:, None]
    posterior = credence * audit.posterior + (1 - credence) * given
    likeliest = posterior.argmax(axis=1)
    changed = audit.suspect & ~given[np.arange(len(given)), likeliest]
    labels = np.where(changed, audit.classes[likeliest], audit.given)
    weight = np.where(changed, posterior.max(axis=1), _doubted(audit))
    return Belief(labels, weight, np.where(changed, RELABELLED, KEPT))


def _weigh(audit: Audit) -> Belief:
    return Belief(audit.given, _doubted(audit), np.full(len(audit.trust), KEPT))


def _doubted(audit: Audit) -> NDArray[np.float64]:
    """The trust, (n,), with doubts that count as far as the audit's credence."""
    return np.asarray(audit.credence * audit.trust + (1 - audit.credence))


def _drop(audit: Audit) -> Belief:
    return Belief(audit.given, (~audit.suspect).astype(np.float64), np.where(audit.suspect, DROPPED, KEPT))


ACTIONS: Mapping[str, Callable[[Audit], Belief]] = MappingProxyType(
    {"relabel": _relabel, "weigh": _weigh, "drop": _drop}
)
