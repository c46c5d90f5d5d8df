"""The promotion gate: may the candidate take the champion's place?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.errors import UsageError
from pellucid.evaluate.compare import Comparison, compare
from pellucid.evaluate.inputs import check_groups, check_outcomes

MARGIN = 0.05  # share: a candidate that may be worse by more than this is refused
FALL = 0.1  # share: a class whose recall has demonstrably fallen by more than this is refused


@dataclass(frozen=True, slots=True)
class ClassRecall:
    """What becomes of one class's recall."""

    name: str
    n: int  # images of the class
    candidate: float | None  # 0..1, the share of them that the candidate gets right; None where there are none
    champion: float | None  # 0..1
    floor: float | None  # 0..1, what the candidate has to reach; None where none was asked for
    fallen: bool  # whether the paired interval shows a fall, and it is larger than allowed


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate found, and whether the candidate may pass."""

    n: int  # images
    n_groups: int | None  # groups that the interval resamples; None where every image is its own
    comparison: Comparison | None  # of the candidate (a) with the champion (b); None where there was no image
    classes: tuple[ClassRecall, ...]  # in index order
    margin: float  # share of accuracy
    fall: float  # share of recall
    passed: bool
    reasons: tuple[str, ...]  # why it was refused; empty where it passed

    @property
    def summary(self) -> str:
        """The figures in one line."""
        if self.comparison is None:
            return "not judged"
        found = self.comparison.difference
        low, value, high = (100 * part for part in (found.low, found.value, found.high))
        return f"{value:+.1f} points of accuracy on {self.n} images (95 % interval {low:+.1f} to {high:+.1f})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and finite numbers, ready for ``json.dumps``."""
        return {**asdict(self), "summary": self.summary}


def judge(
    candidate_probs: ArrayLike,
    champion_probs: ArrayLike,
    y: ArrayLike,
    classes: Sequence[str],
    groups: ArrayLike | None = None,
    *,
    floors: Mapping[str, float] | None = None,
    margin: float = MARGIN,
    fall: float = FALL,
    resamples: int = 2000,
    seed: int = 0,
) -> GateReport:
    """Judge a candidate against the champion on images that neither has learnt.

    The candidate passes where all of this holds:

    - *not worse*: the 95 % interval of the paired difference in accuracy has its lower end above ``-margin``, as in a
      test of non-inferiority (Blackwelder, 1982), and does not lie wholly below 0. Few images make a wide interval:
      what cannot be told is refused, and the reason says so.
    - *floors*: no class that has a floor has a lower recall. A floor is a demand and is held against the bare share;
      a class with a floor and no image cannot be shown to reach it.
    - *falls*: no class has lost more than ``fall`` of its recall against the champion, as far as the paired interval on
      the class's images shows a loss at all, so that one image of a rare class decides nothing.

    Args:
        candidate_probs: (n, K) probabilities, rows summing to 1.
        champion_probs: (n, K) the champion's, of the same images.
        y: (n,) true class indices.
        classes: the K names, in index order.
        groups: (n,) images of one group are drawn together. None: every image by itself.
        floors: least recall, 0..1, by class name; ``"*"`` for every class that is not named.
        margin: 0..1, by how much less accurate a candidate may at most be.
        fall: 0..1, by how much a class's recall may at most fall.
        resamples: bootstrap draws.
        seed: equal seeds, equal intervals.

    Raises:
        UsageError: a floor names no class, or a number is outside 0..1.
        DataError: what :func:`~pellucid.evaluate.inputs.check_outcomes` refuses, save that no image at all is a report
            that did not pass.

    >>> good, bad = [[0.9, 0.1]] * 80 + [[0.1, 0.9]] * 80, [[0.6, 0.4]] * 160
    >>> y = [0] * 80 + [1] * 80
    >>> report = judge(good, bad, y, ["cat", "dog"], floors={"*": 0.5})
    >>> report.passed, report.summary
    (True, '+50.0 points of accuracy on 160 images (95 % interval +41.9 to +57.5)')
    >>> judge(bad, good, y, ["cat", "dog"], floors={"dog": 0.5}).reasons[-2:]
    ('dog: recall 0.000 is below its floor 0.500', 'dog: recall falls from 1.000 to 0.000, more than 0.100 is allowed')
    """
    wanted = _check(classes, floors or {}, margin, fall)
    if np.size(y) == 0:
        reason = "there is no trusted image to judge on"
        return GateReport(0, None, None, (), margin, fall, passed=False, reasons=(reason,))
    truth, candidate = check_outcomes(y, candidate_probs)
    _, champion = check_outcomes(y, champion_probs)
    codes = check_groups(groups, len(truth))
    names = ("the candidate", "the champion")
    comparison = compare(truth, candidate, champion, names=names, groups=codes, resamples=resamples, seed=seed)
    reasons = _not_worse(comparison, margin)
    found = []
    for index, name in enumerate(classes):
        rows = np.flatnonzero(truth == index)
        item, faults = _recall(name, wanted.get(name), rows, truth, candidate, champion, codes, fall, resamples, seed)
        found.append(item)
        reasons += faults
    return GateReport(
        n=len(truth),
        n_groups=comparison.n_groups,
        comparison=comparison,
        classes=tuple(found),
        margin=margin,
        fall=fall,
        passed=not reasons,
        reasons=tuple(reasons),
    )


def _check(classes: Sequence[str], floors: Mapping[str, float], margin: float, fall: float) -> dict[str, float]:
    """The floor of each class that has one."""
    for name, value in {
        "margin": margin,
        "fall": fall,
        **{f"the floor of {key}": floors[key] for key in floors},
    }.items():
        if not 0 <= value <= 1:
            raise UsageError(f"{name} is {value}; wanted is a share from 0 to 1")
    unknown = sorted(set(floors) - {*classes, "*"})
    if unknown:
        raise UsageError(
            f"a floor is set for {unknown[0]!r}, which is no class; there are {', '.join(classes)}, and '*'"
        )
    every = floors.get("*")
    return {name: floor for name in classes if (floor := floors.get(name, every)) is not None}


def _not_worse(comparison: Comparison, margin: float) -> list[str]:
    found = comparison.difference
    if found.high < 0:
        return ["less accurate than the champion: the whole interval lies below 0"]
    if found.low <= -margin:
        return [
            f"may be less accurate by more than the {100 * margin:g} points allowed; more trusted images narrow the "
            "interval"
        ]
    return []


def _recall(
    name: str,
    floor: float | None,
    rows: NDArray[np.intp],
    truth: NDArray[np.int64],
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64],
    codes: NDArray[np.int64] | None,
    fall: float,
    resamples: int,
    seed: int,
) -> tuple[ClassRecall, list[str]]:
    if not len(rows):
        missing = [f"{name}: has a floor, and no image to hold it against"] * (floor is not None)
        return ClassRecall(name, 0, None, None, floor, fallen=False), missing
    y, a, b = truth[rows], candidate[rows], champion[rows]
    now, before = (float(np.mean(answers.argmax(axis=1) == y)) for answers in (a, b))
    groups = None if codes is None else codes[rows]
    fallen = before - now > fall and compare(y, a, b, groups=groups, resamples=resamples, seed=seed).difference.high < 0
    faults = []
    if floor is not None and now < floor:
        faults.append(f"{name}: recall {now:.3f} is below its floor {floor:.3f}")
    if fallen:
        faults.append(f"{name}: recall falls from {before:.3f} to {now:.3f}, more than {fall:.3f} is allowed")
    return ClassRecall(name, len(rows), now, before, floor, fallen=fallen), faults
