"""The contract of a test of two windows, what it answers, and the visible register of its kinds.

A window is what was seen in a stretch of time, the reference what was seen when all was well. Two samples of
thousands of images always differ significantly, by something that matters to nobody; so a test calls a drift only
where the p-value says that chance would hardly do it *and* the effect, which does not grow with the windows, is large
enough to matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pellucid.drift.inputs import check_number
from pellucid.drift.register import Register
from pellucid.errors import DataError

ALPHA = 0.01  # a comparison of windows that are alike alarms once in a hundred
MOST = 20  # moved rows that are named

WINDOW_TESTS = Register(
    noun="window test",
    group="pellucid.window_tests",
    contract="pellucid.drift.window.WindowTest",
    methods=("compare",),
    built_in=MappingProxyType(
        {
            "classes": "pellucid.drift.class_shares:ClassShares",
            "domain-classifier": "pellucid.drift.domain_classifier:DomainClassifier",
            "kolmogorov-smirnov": "pellucid.drift.kolmogorov_smirnov:KolmogorovSmirnov",
        }
    ),
)


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one thing has moved from the reference window to the current one."""

    statistic: float  # of the test, on its own scale
    p_value: float  # 0..1: small where chance alone would hardly part the windows so
    effect: float  # 0..1, whatever the number of rows: 0 the same, 1 nothing in common
    alpha: float  # p-values below this count
    threshold: float  # effects from here on matter
    drifted: bool  # p_value < alpha and effect >= threshold
    direction: str  # "lower", "higher", "more cat, less dog"; empty where it has none
    detail: str  # the same in words
    moved: tuple[int, ...]  # rows of the current window that moved most, best first; no more than effect * n

    def judged(self, p_value: float, alpha: float) -> Shift:
        """The same shift under a p-value that allows for other tests beside it."""
        return Shift(
            **{
                **asdict(self),
                "p_value": p_value,
                "alpha": alpha,
                "drifted": p_value < alpha and self.effect >= self.threshold,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, strings and finite numbers, ready for ``json.dumps``."""
        return {**asdict(self), "moved": list(self.moved)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Shift:
        """Rebuild what :meth:`to_dict` gave. Raises DataError for a key that is missing or unknown."""
        try:
            return cls(**{**data, "moved": tuple(data["moved"])})
        except (KeyError, TypeError) as error:
            raise DataError(f"this is not a shift as Shift.to_dict() writes it ({error!r}); compare again") from error


class WindowTest(Protocol):
    """What every test of two windows can do; ``tests/contracts/test_drift.py`` is the contract in full."""

    def compare(self, reference: ArrayLike, current: ArrayLike) -> Shift:
        """Compare two windows, of as many rows as each has; equal seeds give equal answers.

        Raises DataError for what cannot be compared: empty, missing or infinite, shapes or kinds that do not fit.
        """
        ...


def build_window_test(spec: str, settings: Mapping[str, Any], *, seed: int = 0) -> WindowTest:
    """A test of two windows by its name.

    Raises UsageError for an unknown specification or setting, naming what is accepted, and for a bad value.

    >>> build_window_test("kolmogorov-smirnov", {}).compare([0.9, 0.8, 0.9, 0.7], [0.9, 0.8, 0.9, 0.7]).effect
    0.0
    """
    return cast(WindowTest, WINDOW_TESTS.build(spec, settings, seed=seed))


def check_settings(alpha: float, threshold: float, most: int) -> None:
    """Raises UsageError for settings that every test has and that lie outside their range."""
    check_number("alpha", alpha, low=0.001, high=0.5)
    check_number("threshold", threshold, low=0, high=1)
    check_number("most", most, low=0, whole=True)


def draws_for(alpha: float) -> int:
    """Random draws that give a p-value steps of a tenth of alpha, enough for several tests side by side.

    >>> draws_for(0.01)
    999
    """
    return math.ceil(10 / alpha) - 1


def most_moved(score: NDArray[np.floating[Any]], effect: float, most: int) -> tuple[int, ...]:
    """The rows of the highest scores (n,), best first: as many as the effect says have moved, at most ``most``.

    Rows of score minus infinity have not moved. Of equals the first come first.

    >>> most_moved(np.array([0.1, 0.9, 0.5, 0.7]), effect=0.5, most=20)
    (1, 3)
    """
    count = min(int(most), math.ceil(round(effect * len(score), 9)))
    order = np.argsort(-score, kind="stable")[:count]
    return tuple(int(row) for row in order if score[row] > -np.inf)
