"""The Page-Hinkley test: has the mean of a stream moved?"""

from __future__ import annotations

from typing import Any

from pellucid.drift.inputs import check_number, check_value
from pellucid.errors import UsageError

MODES = ("up", "down", "both")


class PageHinkley:
    """Calls a drift where values stay above, or below, the stream's mean for longer than chance would have it.

    With x_t the value, m_t the mean of all values since the start, the sum U_t = U_(t-1) + x_t - m_t - delta rises
    only while values lie more than ``delta`` above the mean; a drift upwards is U_t - min U > threshold, and
    downwards likewise with the signs turned: E. S. Page (1954), "Continuous inspection schemes", Biometrika 41. A
    change smaller than ``delta`` is never called, however long the stream, and one of size s after about
    ``threshold / (s - delta)`` values. The defaults suit values between 0 and 1, such as confidences.

    Args:
        min_instances: values to be seen before a drift may be called, 1 or more.
        delta: change of the mean that is of no interest, in the values' own unit, 0 or more.
        threshold: sum of deviations that calls a drift, in the values' own unit, above 0; higher is slower and
            has fewer false alarms.
        mode: "up", "down" or "both", the direction that is looked for.

    Raises UsageError for a setting outside its range.

    >>> detector = PageHinkley(min_instances=1, delta=0.0, threshold=1.0)
    >>> detector.update(0.0)
    >>> detector.update(1.0)  # the mean is 0.5, the sum 0.5
    >>> detector.drift_detected
    False
    >>> detector.update(2.0)  # the mean is 1, the sum 1.5
    >>> detector.drift_detected, detector.direction
    (True, 'up')
    """

    def __init__(
        self, *, min_instances: int = 30, delta: float = 0.05, threshold: float = 10.0, mode: str = "both"
    ) -> None:
        self.min_instances = int(check_number("min_instances", min_instances, low=1, whole=True))
        self.delta = check_number("delta", delta, low=0)
        self.threshold = check_number("threshold", threshold, low=0, open_low=True)
        if mode not in MODES:
            raise UsageError(f"mode is {mode!r}; wanted one of {', '.join(MODES)}")
        self.mode = mode
        self._start()

    def _start(self) -> None:
        self.direction = ""  # "up" or "down" while drift_detected, empty otherwise
        self._n = 0
        self._mean = self._up = self._lowest = self._down = self._highest = 0.0

    @property
    def drift_detected(self) -> bool:
        """Whether the value last told called a drift."""
        return bool(self.direction)

    def update(self, value: float) -> None:
        """Tell the next value. Raises DataError for what is no finite number."""
        x = check_value(value)
        if self.direction:
            self._start()
        self._n += 1
        self._mean += (x - self._mean) / self._n
        self._up += x - self._mean - self.delta
        self._down += x - self._mean + self.delta
        # both start at the first sum, since the first value is the mean itself
        self._lowest = min(self._lowest, self._up) if self._n > 1 else self._up
        self._highest = max(self._highest, self._down) if self._n > 1 else self._down
        if self._n < self.min_instances:
            return
        if self.mode != "down" and self._up - self._lowest > self.threshold:
            self.direction = "up"
        elif self.mode != "up" and self._highest - self._down > self.threshold:
            self.direction = "down"

    def __repr__(self) -> str:
        settings: dict[str, Any] = {
            name: getattr(self, name) for name in ("min_instances", "delta", "threshold", "mode")
        }
        return f"PageHinkley({', '.join(f'{name}={value!r}' for name, value in settings.items())})"
