"""Any detector of river behind this package's contract: ``river:ADWIN``, ``river:KSWIN``, ``river:PageHinkley``."""

from __future__ import annotations

import inspect
from typing import Any

from pellucid.drift.inputs import check_value
from pellucid.errors import DataError, MissingExtraError, UsageError


class RiverDetector:
    """A class of ``river.drift`` or, for streams of errors (0 or 1), of ``river.drift.binary``.

    J. Montiel et al. (2021), "River: machine learning for streaming data in Python", JMLR 22; ADWIN is A. Bifet and
    R. Gavaldà (2007), "Learning from time-changing data with adaptive windowing", SDM.

    Args:
        name: river's own name of the class.
        seed: for those that draw at random (KSWIN); equal seeds, equal verdicts.
        settings: river's own keywords of that class.

    Raises UsageError for a name or a setting that river does not take, MissingExtraError without river.

    >>> detector = RiverDetector("PageHinkley", threshold=2.0)
    >>> for value in [0.1] * 40 + [0.9] * 10:
    ...     detector.update(value)
    ...     if detector.drift_detected:
    ...         break
    >>> detector.drift_detected
    True
    """

    def __init__(self, name: str, *, seed: int = 0, **settings: Any) -> None:
        known = _keywords(_river_class(name))
        for key, value in settings.items():
            _check_setting(name, key, value, known)
        try:
            self._detector = _river_class(name)(**settings, **({"seed": seed} if "seed" in known else {}))
        except (ValueError, TypeError) as error:
            raise UsageError(f"river's {name} does not take {settings}: {error}") from error
        self.name = name

    @classmethod
    def settings(cls, name: str) -> dict[str, Any]:
        """Keywords of river's class with their defaults. Raises as the constructor does."""
        known = _keywords(_river_class(name))
        known.pop("window", None)  # values seen before the stream: a state, not a setting
        return known

    @property
    def drift_detected(self) -> bool:
        """Whether the value last told called a drift."""
        return bool(self._detector.drift_detected)

    def update(self, value: float) -> None:
        """Tell the next value. Raises DataError for what is no finite number, or where 0 or 1 is wanted."""
        from river.base import BinaryDriftDetector

        x = check_value(value)
        if isinstance(self._detector, BinaryDriftDetector):
            if x not in (0.0, 1.0):
                raise DataError(f"value {value!r} is neither 0 nor 1; river's {self.name} follows errors, 1 for each")
            self._detector.update(bool(x))
        else:
            self._detector.update(x)

    def __repr__(self) -> str:
        return f"RiverDetector({self.name!r}: {self._detector!r})"


def _river_class(name: str) -> type[Any]:
    try:
        import river.drift
        from river.base import BinaryDriftDetector, DriftDetector
        from river.drift import binary
    except ImportError as error:
        raise MissingExtraError(
            f"river:{name} needs the extra 'drift': pip install 'pellucid[drift]' ({error})"
        ) from None
    # DummyDriftDetector calls drifts on purpose, for experiments; a class that is wrapped around a model is none
    found = {
        key: value
        for module in (binary, river.drift)
        for key, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, DriftDetector | BinaryDriftDetector) and key not in ("DummyDriftDetector", "NoDrift")
    }
    if name not in found:
        raise UsageError(f"river has no detector {name!r}; it has {', '.join(sorted(found))}")
    return found[name]


def _keywords(river_class: type[Any]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(river_class).parameters.items()}


def _check_setting(name: str, key: str, value: Any, known: dict[str, Any]) -> None:
    if key not in known:
        raise UsageError(f"river's {name} has no setting {key}; it accepts {', '.join(sorted(known))}")
    default = known[key]
    wanted = (int, float) if isinstance(default, float) else type(default)
    if default is not None and (not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool)):
        raise UsageError(
            f"river's {name} takes a {type(default).__name__} for {key}, such as {default!r}, not {value!r}"
        )
