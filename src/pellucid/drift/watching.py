"""All that is known of two windows compared at once: features, confidence, predicted classes, trust in labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pellucid.drift.inputs import check_number
from pellucid.drift.window import ALPHA, Shift, WindowTest, build_window_test
from pellucid.errors import DataError, UsageError

# What a window may hold, in the order of reports, and the test that it is compared by.
ASPECTS: Mapping[str, str] = MappingProxyType(
    {
        "features": "domain-classifier",
        "confidence": "kolmogorov-smirnov",
        "classes": "classes",
        "trust": "kolmogorov-smirnov",
    }
)
SHOWN = 5  # images that a summary names


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What was seen in a stretch of time; each aspect, where given, has one row for every image, in one order."""

    features: ArrayLike | None = None  # (n, d) of one extractor
    confidence: ArrayLike | None = None  # (n,) 0..1
    classes: ArrayLike | None = None  # (n,) predicted, whole numbers or strings
    trust: ArrayLike | None = None  # (n,) how far each label is to be believed, on any scale
    images: Sequence[str] | None = None  # (n,) what reports call them; row numbers without

    def __len__(self) -> int:
        """Images of the window. Raises DataError where there are none, or aspects of different lengths."""
        sizes = {
            name: np.shape(values)[0] if np.ndim(values) else 0
            for name in (*ASPECTS, "images")
            if (values := getattr(self, name)) is not None
        }
        if not set(sizes) - {"images"}:
            raise DataError(f"a window without any of {', '.join(ASPECTS)}; give at least one")
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{size} of {name}" for name, size in sizes.items())
            raise DataError(f"a window has {told}; wanted one row for each image throughout")
        return next(iter(sizes.values()))


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What has moved between two windows, and which images."""

    n_reference: int  # images
    n_current: int  # images
    alpha: float  # chance of any false alarm among the aspects, for windows that are alike
    shifts: Mapping[str, Shift]  # by aspect; p-values are Holm's, which allow for the number of aspects
    moved: tuple[int, ...]  # rows of the current window that moved most, over all aspects that drifted, best first
    images: tuple[str, ...] = ()  # their names, where the window has any

    @property
    def drifted(self) -> tuple[str, ...]:
        """The aspects that have moved."""
        return tuple(name for name, shift in self.shifts.items() if shift.drifted)

    @property
    def summary(self) -> str:
        """One line for people."""
        windows = f"{self.n_current} images against {self.n_reference}"
        if not self.drifted:
            return f"No drift in {_listed(list(self.shifts))}: {windows}."
        parts = []
        for name in self.drifted:
            shift = self.shifts[name]
            chance = "p < 0.001" if shift.p_value < 0.001 else f"p = {shift.p_value:.2g}"
            direction = f" {shift.direction}" if shift.direction else ""
            parts.append(f"{name}{direction} (effect {shift.effect:.2f}, {chance}; {shift.detail})")
        names = self.images or tuple(f"row {row}" for row in self.moved)
        most = f" Moved most: {', '.join(names[:SHOWN])}." if names else ""
        return f"Drift in {_listed(parts)}: {windows}.{most}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and finite numbers, ready for ``json.dumps``."""
        shifts = {name: shift.to_dict() for name, shift in self.shifts.items()}
        plain = {key: getattr(self, key) for key in ("n_reference", "n_current", "alpha")}
        told = {"drifted": list(self.drifted), "summary": self.summary}
        return {**plain, "shifts": shifts, "moved": list(self.moved), "images": list(self.images), **told}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DriftReport:
        """Rebuild what :meth:`to_dict` gave. Raises DataError for a key that is missing or unknown."""
        told = {key: value for key, value in data.items() if key not in ("drifted", "summary")}
        try:
            shifts = {name: Shift.from_dict(shift) for name, shift in data["shifts"].items()}
            rows = {"moved": tuple(data["moved"]), "images": tuple(data["images"])}
            return cls(**{**told, **rows, "shifts": shifts})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"this is not a report as DriftReport.to_dict() writes it ({error!r}); watch again"
            ) from error


def watch(
    reference: Window,
    current: Window,
    *,
    alpha: float = ALPHA,
    tests: Mapping[str, WindowTest] | None = None,
    seed: int = 0,
) -> DriftReport:
    """Compare all that both windows have.

    An aspect has drifted where its p-value, by the correction of S. Holm (1979), "A simple sequentially rejective
    multiple test procedure", Scandinavian Journal of Statistics 6, is below ``alpha`` and its effect matters.

    Args:
        reference: what was seen when all was well.
        current: what is seen now.
        alpha: 0.001..0.5, chance of any false alarm where the windows are alike.
        tests: other tests than the usual, by aspect; their own thresholds hold, their own alphas do not.
        seed: equal seeds, equal reports.

    Raises:
        DataError: nothing to compare, an aspect that only one window has, rows that do not fit, or what a test refuses.
        UsageError: an alpha out of range, or a test of no known aspect.

    >>> before = Window(confidence=[0.9] * 50, classes=["cat", "dog"] * 25)
    >>> now = Window(confidence=[0.9] * 20 + [0.4] * 30, classes=["cat", "dog"] * 25)
    >>> watch(before, now).summary
    'Drift in confidence lower (effect 0.60, p < 0.001; 60% of the current values are up to 0.4, 0% of the reference):
    50 images against 50. Moved most: row 20, row 21, row 22, row 23, row 24.'
    """
    check_number("alpha", alpha, low=0.001, high=0.5)
    chosen = dict(tests or {})
    if set(chosen) - set(ASPECTS):
        strange = ", ".join(sorted(set(chosen) - set(ASPECTS)))
        raise UsageError(f"no aspect {strange} to test; there are {', '.join(ASPECTS)}")
    sizes = len(reference), len(current)
    shifts: dict[str, Shift] = {}
    for aspect, spec in ASPECTS.items():
        before, after = getattr(reference, aspect), getattr(current, aspect)
        if (before is None) != (after is None):
            lacking = "reference" if before is None else "current window"
            raise DataError(f"the {lacking} has no {aspect} and the other has; give it to both or to neither")
        if before is not None:
            test = chosen.get(aspect) or build_window_test(spec, {"alpha": alpha}, seed=seed)
            shifts[aspect] = test.compare(before, after)
    corrected = holm({aspect: shift.p_value for aspect, shift in shifts.items()})
    shifts = {aspect: shift.judged(corrected[aspect], alpha) for aspect, shift in shifts.items()}
    moved = _together([shift.moved for shift in shifts.values() if shift.drifted])
    names = current.images
    return DriftReport(*sizes, alpha, shifts, moved, () if names is None else tuple(names[row] for row in moved))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values adjusted by Holm's step-down rule: the smallest of k times k, the next times k - 1, never falling.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p_value * (len(p_values) - place)))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def _together(lists: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Rows in most lists first; of equals, those that stand highest in one of them."""
    best: dict[int, tuple[int, int]] = {}
    for rows in lists:
        for place, row in enumerate(rows):
            count, highest = best.get(row, (0, place))
            best[row] = (count - 1, min(highest, place))
    return tuple(sorted(best, key=lambda row: best[row]))


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
