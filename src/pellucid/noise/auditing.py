"""The audit: which labels to believe, and what the others should have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import DataError
from pellucid.heads.temperature import fit_temperature, probabilities
from pellucid.noise.evidence import Evidence, Verdict, margins
from pellucid.noise.heldout import held_out, once
from pellucid.noise.inputs import (
    check_codes,
    check_features,
    check_labels,
    check_probabilities,
    check_trusted,
    check_weight,
    column_labels,
)
from pellucid.noise.rules import judge
from pellucid.noise.voters import credence, with_records

if TYPE_CHECKING:
    import pandas as pd

_PASSES = 4  # at most so often the labels are corrected and learnt again
# What the first of these passes has to gain, in units of log likelihood a row. The corrected labels of a row's
# neighbours were corrected with a view to its own label, and so a pass gains a little even where it does no good:
# 0.01 to 0.04 on the features of trashnet, sugarcane and malaria with few wrong labels or none, and 0.05 to 0.12
# where it found more of them. What later passes have to gain is a unit in all.
_GAIN_A_ROW = 0.04
_OTHERS = 2  # rows of its class, beside itself, that it takes to judge a row
_FITTINGS = 100  # of the classes' shares, at most


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What an audit found; all arrays are in the order of the rows that came in."""

    given: NDArray[Any]  # (n,) the labels that were audited
    margin: NDArray[np.float64]  # (n,) out-of-sample score of the given label less the best other; low is bad
    trust: NDArray[np.float64]  # (n,) 0..1, P(the label is right)
    posterior: NDArray[np.float64]  # (n, K) P(true class | model, given label), columns as `classes`; rows sum to 1
    suspect: NDArray[np.bool_]  # (n,) True where the label is rather wrong than right
    suggested: NDArray[Any]  # (n,) the given label, or for a suspect the most probable of the others
    noise_rate: float  # 0..1, the share of wrong labels among those not trusted beforehand
    noise_matrix: NDArray[np.float64]  # (K, K) P(given = column | true = row); rows sum to 1
    classes: NDArray[Any]  # (K,) the order of the matrix
    rule_used: str  # the rule that judged, never "auto"
    why: str  # why that rule, in a sentence
    credence: NDArray[np.float64]  # (n,) 0..1, how far doubts of the label are to be acted on; see `believe`
    look: int = 0  # through which features it judged: 0 for X, else the number of the look, from 1

    def to_frame(self) -> pd.DataFrame:
        """One line for each row: given, suggested, suspect, trust, margin."""
        import pandas as pd

        names = ("given", "suggested", "suspect", "trust", "margin")
        return pd.DataFrame({name: getattr(self, name) for name in names})


def audit(
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    voter: ArrayLike | None = None,
    trusted: ArrayLike | None = None,
    looks: Sequence[ArrayLike] = (),
    rule: str = "auto",
) -> Audit:
    """Audit labels ``y`` (n,) by features ``X`` (n, d), by what ridge learns from all the other rows.

    Held-out scores come from one factorisation, nothing is cross-validated. Where the rule is a model of the
    wrong labels (``auto``, ``transition``, ``instance``, ``compound``) its posterior is learnt in place of the labels
    and they are judged again, as long as that explains them better. Up to 256 features are also tried through a
    random lift, which makes the learner non-linear. Time n d^2 + d^3, memory d^2 and a copy of the rows.

    ``sample_weight`` (n,), 0 or more: a row of weight 0 is judged, but nothing is learnt from it. ``groups``
    (n,) names what shows the same thing (a burst, a patient): the rows of a group are held out together, since
    near-copies would vouch for each other, and they weigh as much together as they differ: copies of one picture count
    once, as do their labels. ``voter`` (n,) says who gave each label: the voter's record becomes
    the prior of the voter's votes. ``trusted`` (n,) is True where the label is known to be right: it is never
    suspected, and anchors the rest. ``looks`` are other features of the same rows, each (n, d): the audit judges by
    those, of ``X`` and them, from which the labels are best foretold. The rules are those of
    ``pellucid.noise.rules.RULES``.

    A class that fewer than two other rows (or groups) have is unknown to the rest: its labels are given the
    trust of the average label and are not suspected. The outcome does not depend on the order of rows, up to
    rounding.

    Raises:
        DataError: features that are not finite or not (n, d), labels that cannot be used or of one class only,
            lengths that do not agree, weights that are negative or all zero.
        UsageError: an unknown rule.

    >>> X = np.repeat(np.eye(3), 6, axis=0) + np.arange(18)[:, None] / 1000
    >>> y = ["cat"] * 5 + ["dog"] + ["dog"] * 6 + ["eel"] * 6
    >>> found = audit(X, y)
    >>> np.flatnonzero(found.suspect).tolist(), found.suggested[5]
    ([5], np.str_('cat'))
    """
    features = check_features(X)
    n = len(features)
    seen = [features, *(check_features(look) for look in looks)]
    for number, look in enumerate(seen):
        if len(look) != n:
            raise DataError(f"look {number} has {len(look)} rows and X has {n}; give one for each row of X")
    labels = check_labels(y)
    if len(labels.index) != n:
        raise DataError(f"there are {len(labels.index)} labels for {n} rows of features; give one for each")
    weight = check_weight(sample_weight, n)
    if len(np.unique(labels.index[weight > 0])) < 2:
        raise DataError("the labels that count are all of one class; a wrong label needs a second one")
    K = len(labels.classes)
    known = check_trusted(trusted, n)
    codes = None if groups is None else check_codes(groups, n, "groups")
    if codes is not None:
        weight = weight * once(features, codes)
    voters = None if voter is None else check_codes(voter, n, "voter")
    targets = np.eye(K)[labels.index]
    machine, scores, look_taken = held_out(seen, weight, codes, targets)
    evidence = Evidence(_calibrated(scores, targets, weight), labels.index, weight, known, taught_back=True)
    unknown = _unknown(labels.index, np.arange(n) if codes is None else codes, weight) & ~known
    verdict = _judged(evidence, rule, voters, unknown)
    gain = _GAIN_A_ROW * weight.sum()
    for _ in range(_PASSES if verdict.worth is not None else 0):
        corrected, _error = machine.scores(verdict.posterior)
        p = _calibrated(corrected, verdict.posterior, weight)
        again = _judged(replace(evidence, p=p, learnt_given=False), rule, voters, unknown)
        if again.worth is None or verdict.worth is None or again.worth < verdict.worth + gain:
            break
        verdict, scores, gain = again, corrected, 1.0
    found = _report(labels.classes, evidence, verdict, margins(scores, labels.index), voters, unknown)
    return replace(found, look=look_taken)


def audit_probabilities(
    y: ArrayLike, pred_probs: ArrayLike, *, rule: str = "auto", classes: ArrayLike | None = None
) -> Audit:
    """Audit labels ``y`` (n,) by anybody's out-of-sample probabilities ``pred_probs`` (n, K).

    The model must not have learnt the label of the row it judges (cross-validation does it); it may have learnt
    the other rows' wrong labels. ``classes`` (K,) names the columns; without it they are 0..K-1 where ``y`` are
    whole numbers, and the labels in sorted order where they are not.

    Raises:
        DataError: probabilities that are not (n, K), negative, missing, or do not sum to 1 (within 0.001),
            fewer than two columns, labels that fit no column.
        UsageError: an unknown rule.

    >>> p = np.repeat([[0.95, 0.05], [0.05, 0.95]], 20, axis=0)
    >>> y = np.repeat([0, 1], 20)
    >>> y[3] = 1
    >>> np.flatnonzero(audit_probabilities(y, p).suspect)
    array([3])
    """
    p = check_probabilities(pred_probs)
    if p.shape[1] < 2:
        raise DataError("pred_probs has one column; a wrong label needs a second class")
    labels = column_labels(y, p.shape[1], classes)
    n = len(labels.index)
    if len(p) != n:
        raise DataError(f"pred_probs has {len(p)} rows for {n} labels; give one for each")
    evidence = Evidence(p, labels.index, np.ones(n), np.zeros(n, dtype=bool))
    return _report(labels.classes, evidence, judge(evidence, rule), evidence.margin, None, np.zeros(n, np.bool_))


def _calibrated(
    scores: NDArray[np.float64], targets: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probabilities (n, K) of the classes that were learnt, as ``targets`` (n, K), rows that sum to 1.

    Their temperature is that of the held-out scores. Each class is then given as much probability in all as it
    has targets, or ridge, which shrinks towards nothing, would say less of rare classes than there is of them,
    and the audit would sweep them out (the fixed point is that of iterative proportional fitting, Deming and
    Stephan 1940).
    """
    p = probabilities(scores, fit_temperature(scores, targets.argmax(axis=1), weight))
    wanted, ones = weight @ targets, np.ones(targets.shape[1])
    for _ in range(_FITTINGS):
        factor = np.where(wanted > 0, wanted / np.maximum(weight @ p, 1e-300), 1.0)
        p *= factor
        p /= (p @ ones)[:, None]  # a sum over few columns is several times slower
        if np.abs(factor - 1).max() < 1e-3:
            break
    return p


def _unknown(index: NDArray[np.intp], codes: NDArray[np.intp], weight: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows whose class fewer than two other groups have: nobody can say what the class looks like, (n,)."""
    learnt = weight > 0
    pairs = np.unique(np.stack([index[learnt], codes[learnt]]), axis=1)
    return np.asarray(np.bincount(pairs[0], minlength=index.max() + 1)[index] - learnt < _OTHERS)


def _judged(evidence: Evidence, rule: str, voters: NDArray[np.intp] | None, unknown: NDArray[np.bool_]) -> Verdict:
    """The rule's verdict, the voters' records and what is known beforehand put together."""
    verdict = judge(evidence, rule)
    posterior, suspect = verdict.posterior, verdict.suspect
    if evidence.trusted.any():
        posterior = posterior.copy()
        posterior[evidence.trusted] = np.eye(posterior.shape[1])[evidence.index[evidence.trusted]]
        suspect = suspect & ~evidence.trusted
    if unknown.any():
        rows, K = np.arange(len(posterior)), posterior.shape[1]
        judged = ~unknown & ~evidence.trusted & (evidence.weight > 0)
        average = float(posterior[rows, evidence.index][judged].mean()) if judged.any() else 1.0
        posterior = np.where(unknown[:, None], (1 - average) / (K - 1), posterior)
        posterior[unknown, evidence.index[unknown]] = average
        suspect = suspect & ~unknown
    if voters is not None:
        posterior = with_records(posterior, evidence.index, voters, evidence.weight)
        if not verdict.counted:
            suspect = (posterior[np.arange(len(suspect)), evidence.index] < 0.5) & ~unknown
    return replace(verdict, posterior=posterior, suspect=suspect)


def _report(
    classes: NDArray[Any],
    evidence: Evidence,
    verdict: Verdict,
    margin: NDArray[np.float64],
    voters: NDArray[np.intp] | None,
    unknown: NDArray[np.bool_],
) -> Audit:
    index, K = evidence.index, len(classes)
    rows = np.arange(len(index))
    trust = verdict.posterior[rows, index]
    others = verdict.posterior.copy()
    others[rows, index] = -1
    best = np.where(verdict.suspect, others.argmax(axis=1), index)
    truth = np.eye(K)[best] if verdict.counted else verdict.posterior
    judged = np.where(evidence.trusted, 0.0, evidence.weight)
    counts = (truth * judged[:, None]).T @ np.eye(K)[index]
    acted_on = np.ones(len(index))
    if not verdict.counted:
        tellable = np.where(unknown, 0.0, judged)  # the scores contradict every label of a class that nobody knows
        acted_on = credence(tellable * (1 - trust), tellable * (margin < 0), voters)
    sums = counts.sum(axis=1)
    matrix = np.where(sums[:, None] > 0, counts, np.eye(K)) / np.where(sums > 0, sums, 1)[:, None]
    total = counts.sum()
    return Audit(
        given=classes[index],
        margin=margin,
        trust=trust,
        posterior=verdict.posterior,
        suspect=verdict.suspect,
        suggested=classes[best],
        noise_rate=float(1 - np.trace(counts) / total) if total > 0 else 0.0,
        noise_matrix=matrix,
        classes=classes,
        rule_used=verdict.rule,
        why=verdict.why,
        credence=acted_on,
    )
