"""The contract of a stream detector, and the visible register of its kinds.

A detector is told one number after another, a confidence, a loss, a mean of features, and says at which of them the
stream is no longer what it was. It is named by a specification: ``page-hinkley``, ``river:ADWIN`` for any detector of
river, or ``package.module:Class`` for a class of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, cast

from pellucid.drift.register import Register

DETECTORS = Register(
    noun="detector",
    group="pellucid.detectors",
    contract="pellucid.drift.detector.Detector",
    methods=("update", "drift_detected"),
    built_in=MappingProxyType(
        {
            "page-hinkley": "pellucid.drift.page_hinkley:PageHinkley",
            "river": "pellucid.drift.river_detector:RiverDetector",
        }
    ),
)


class Detector(Protocol):
    """What every detector can do; ``tests/contracts/test_drift.py`` is the contract in full.

    Its memory is bounded, however long the stream. Equal settings, seeds and values give equal verdicts.
    """

    @property
    def drift_detected(self) -> bool:
        """Whether the value last told made the detector call a drift; it starts anew with the next one."""
        ...

    def update(self, value: float) -> None:
        """Tell the next value. Raises DataError for what is no finite number, which leaves all as it was."""
        ...


def build_detector(spec: str, settings: Mapping[str, Any], *, seed: int = 0) -> Detector:
    """A detector that has seen nothing yet.

    Raises:
        UsageError: an unknown specification or setting, naming what is accepted, or a bad value.
        MissingExtraError: ``river:`` where river is not installed.

    >>> detector = build_detector("page-hinkley", {"threshold": 2.0})
    >>> for index, confidence in enumerate([0.9] * 40 + [0.3] * 40):
    ...     detector.update(confidence)
    ...     if detector.drift_detected:
    ...         print("drift at", index)
    drift at 43
    """
    return cast(Detector, DETECTORS.build(spec, settings, seed=seed))
