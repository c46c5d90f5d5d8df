"""Drift in the stream of answers: a detector told the champion's confidences, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pellucid.config import Settings
from pellucid.drift.detector import Detector, build_detector
from pellucid.errors import ConfigError, DataError, UsageError
from pellucid.flow.training.predict import choose_model
from pellucid.flow.workspace import Workspace
from pellucid.store.predictions import newest_answers

STREAM = 2000  # newest answers that the detector is told
_KEYS: Mapping[str, type] = {"stream": str, "settings": dict}


@dataclass(frozen=True, slots=True)
class Alarm:
    """A moment at which the detector called a drift."""

    uid: str  # of the answer
    at: datetime  # UTC, when it was given
    place: int  # of the answer among those told, from 1


@dataclass(frozen=True, slots=True)
class StreamDrift:
    """What a detector says of the confidence of the newest answers, in the order in which they were given."""

    model: str  # "NAME@VERSION"
    detector: str  # its specification
    answers: int  # told
    alarms: tuple[Alarm, ...]  # oldest first; after each the detector began anew


def follow_stream(workspace: Workspace, name: str | None = None, *, most: int = STREAM) -> StreamDrift | None:
    """Tells the detector of [drift] the champion's newest confidences; None where the setting names none.

    Args:
        name: of a model; the only one where None.
        most: newest answers that are told.

    Raises:
        NotFoundError: there is no champion.
        ConfigError: [drift] cannot be used.
        MissingExtraError: the detector is river's, and river is not installed.
    """
    detector = detector_of(workspace.settings)
    if detector is None:
        return None
    model = choose_model(workspace, name)
    with workspace.database.read() as connection:
        answers = newest_answers(connection, model, most)[::-1]
    alarms = []
    for place, answer in enumerate(answers, 1):
        detector.update(answer.confidence)
        if detector.drift_detected:
            alarms.append(Alarm(answer.uid, answer.at, place))
    return StreamDrift(model.ref, str(workspace.settings.drift["stream"]), len(answers), tuple(alarms))


def detector_of(settings: Settings) -> Detector | None:
    """The detector that [drift] names, which has seen nothing yet; None where it names none.

    Raises:
        ConfigError: [drift] cannot be used.
        MissingExtraError: the detector is river's, and river is not installed.
    """
    table = settings.drift
    for key, value in table.items():
        if key not in _KEYS:
            raise ConfigError(f"[drift] has an unknown key '{key}'; known are: {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]):
            wanted = "a table of the detector's settings" if key == "settings" else 'a detector, such as "page-hinkley"'
            raise ConfigError(f"[drift] {key} is {value!r}; wanted is {wanted}")
    if "stream" not in table:
        return None

    def build() -> Detector:
        options: Mapping[str, Any] = table.get("settings", {})
        return build_detector(str(table["stream"]), options, seed=settings.seed)

    try:
        build().update(0.5)  # one that follows errors takes no confidence
    except (UsageError, DataError) as error:
        raise ConfigError(f"[drift] stream cannot follow confidences: {error}") from None
    return build()
