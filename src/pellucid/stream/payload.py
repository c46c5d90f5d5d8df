"""What the data of Pellucid's own events say: images, feedback and predictions."""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from pellucid.errors import DataError
from pellucid.stream.event import FEEDBACK, IMAGE, PREDICTION, Event
from pellucid.types import Answer

MAX_LABEL = 256  # characters
MAX_VOTER = 256  # characters
MAX_NOTE = 4096  # characters

_JSON = re.compile(r"application/(?:[A-Za-z0-9!#$&^_.+-]+\+)?json(?:\s*;.*)?", re.IGNORECASE)
_IMAGE_TYPE = re.compile(r"image/.+|application/octet-stream", re.IGNORECASE)
_UID = re.compile(r"[0-9A-Za-z_-]{1,32}")
_SAMPLE = re.compile(r"[0-9a-f]{64}")
_ANSWER = ("sample", "label", "confidence", "entropy", "novelty", "model", "ledger", "actor", "name")
_FIELDS = ("prediction", "sample", "image", "label", "voter", "note")


@dataclass(frozen=True, slots=True)
class ImageData:
    """An image that is to be classified."""

    data: bytes = field(repr=False)  # encoded, as the camera gave it; not decoded yet, so nothing is known of it
    name: str  # how people find it again: the event's subject, or its source and id


@dataclass(frozen=True, slots=True)
class Feedback:
    """A label that somebody gives to one image, which is named in exactly one of three ways."""

    label: str
    voter: str  # who says so
    prediction: str | None = None  # uid of the answer that it confirms or corrects
    sample: str | None = None  # sha256 of the image, 64 hexadecimal digits
    image: bytes | None = field(default=None, repr=False)  # the image itself, encoded
    note: str | None = None  # why, in the voter's words

    def __post_init__(self) -> None:
        _check("label", self.label, MAX_LABEL)
        _check("voter", self.voter, MAX_VOTER)
        if self.note is not None:
            _check("note", self.note, MAX_NOTE, lines=True)
        named = [name for name in ("prediction", "sample", "image") if getattr(self, name) is not None]
        if len(named) != 1:
            raise DataError(
                f"the feedback names its image by {' and '.join(named) or 'nothing'}; "
                "wanted is exactly one of prediction, sample and image"
            )
        if self.prediction is not None and not _UID.fullmatch(self.prediction):
            raise DataError(f"the feedback's prediction is {self.prediction[:40]!r}; wanted is the uid of an answer")
        if self.sample is not None and not _SAMPLE.fullmatch(self.sample):
            raise DataError(f"the feedback's sample is {self.sample[:70]!r}; wanted are 64 hexadecimal digits")
        if self.image is not None and not self.image:
            raise DataError("the feedback's image is empty; wanted are the bytes of an image in base64")


def image_of(event: Event) -> ImageData:
    """The image that the event brings.

    >>> image_of(Event("7", "/cameras/3", IMAGE, data=b"GIF89a...")).name
    '/cameras/3#7'

    Raises:
        DataError: it is of another type, or brings none.
    """
    _check_type(event, IMAGE)
    if event.datacontenttype is not None and not _IMAGE_TYPE.fullmatch(event.datacontenttype):
        raise DataError(f"the image event's content type is {event.datacontenttype!r}; wanted is image/...")
    if not event.data:
        raise DataError("the image event has no data; wanted are the bytes of an image")
    return ImageData(event.data, event.subject or f"{event.source}#{event.id}")


def feedback_of(event: Event) -> Feedback:
    """The feedback that the event brings.

    >>> feedback_of(Event("8", "/desk", FEEDBACK, data=b'{"prediction": "p1", "label": "cat", "voter": "ann"}'))
    Feedback(label='cat', voter='ann', prediction='p1', sample=None, note=None)

    Raises:
        DataError: it is of another type, or what it says cannot be used; the message says why.
    """
    _check_type(event, FEEDBACK)
    if event.datacontenttype is not None and not _JSON.fullmatch(event.datacontenttype):
        raise DataError(f"the feedback's content type is {event.datacontenttype!r}; wanted is application/json")
    said = _parse(event.data)
    unknown = sorted(set(said) - set(_FIELDS))
    if unknown:
        raise DataError(f"the feedback has the unknown field {unknown[0][:40]!r}; wanted are {', '.join(_FIELDS)}")
    said = {name: value for name, value in said.items() if value is not None}
    for name, value in said.items():
        if not isinstance(value, str):
            raise DataError(f"the feedback's {name} is {json.dumps(value)[:40]}; wanted is a string")
    for name in ("label", "voter"):
        if name not in said:
            raise DataError(f"the feedback has no {name}; wanted is one")
    image = said.pop("image", None)
    return Feedback(**said, image=None if image is None else _decode(image))


def image_event(data: bytes, *, id: str, source: str, media_type: str | None = None, **attributes: Any) -> Event:
    """An event that asks for the image to be classified; further ``attributes`` are the event's."""
    return Event(id, source, IMAGE, data=data, datacontenttype=media_type, **attributes)


def feedback_event(feedback: Feedback, *, id: str, source: str, **attributes: Any) -> Event:
    """An event that gives the label; further ``attributes`` are the event's."""
    said: dict[str, str] = {
        name: value for name in _FIELDS if name != "image" and (value := getattr(feedback, name)) is not None
    }
    if feedback.image is not None:
        said["image"] = base64.b64encode(feedback.image).decode()
    return Event(id, source, FEEDBACK, data=_dump(said), datacontenttype="application/json", **attributes)


def prediction_event(answer: Answer, *, source: str, **attributes: Any) -> Event:
    """An event that tells what a model answered; its id is the uid that feedback names the answer by."""
    said = {name: getattr(answer, name) for name in _ANSWER} | {
        "prediction": answer.uid,
        "probabilities": dict(answer.probabilities),
        "likely": list(answer.likely),
    }
    kind = "application/json"
    return Event(answer.uid, source, PREDICTION, time=answer.at, data=_dump(said), datacontenttype=kind, **attributes)


def prediction_of(event: Event) -> Answer:
    """The answer that the event tells.

    Raises:
        DataError: it is of another type, or what it says cannot be used; the message says why.
    """
    _check_type(event, PREDICTION)
    said = _parse(event.data)
    missing = [name for name in ("prediction", *_ANSWER, "probabilities", "likely") if name not in said]
    if missing or event.time is None:
        raise DataError(f"the prediction has no {(missing or ['time'])[0]}; wanted is what `prediction_event` writes")
    try:
        return Answer(
            uid=str(said["prediction"]),
            sample=str(said["sample"]),
            label=str(said["label"]),
            confidence=float(said["confidence"]),
            probabilities={str(name): float(share) for name, share in said["probabilities"].items()},
            likely=tuple(map(str, said["likely"])),
            entropy=float(said["entropy"]),
            novelty=None if said["novelty"] is None else float(said["novelty"]),
            model=str(said["model"]),
            ledger=int(said["ledger"]),
            at=event.time,
            actor=None if said["actor"] is None else str(said["actor"]),
            name=str(said["name"]),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the prediction is not as `prediction_event` writes it: {error}") from None


def _check_type(event: Event, wanted: str) -> None:
    if event.type != wanted:
        raise DataError(f"the event is of type {event.type!r}; wanted is {wanted}")


def _parse(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise DataError(f"what it says is not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise DataError("what it says is nested too deeply; wanted is one flat JSON object") from None
    except ValueError as error:
        raise DataError(f"what it says is no JSON: {error}; wanted is one JSON object") from None
    if not isinstance(found, dict):
        raise DataError(f"what it says is the JSON of a {type(found).__name__}; wanted is one object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"the feedback's image is no base64: {error}") from None


def _dump(said: Any) -> bytes:
    return json.dumps(said, ensure_ascii=False, allow_nan=False).encode()


def _check(name: str, text: str, most: int, *, lines: bool = False) -> None:
    if not 1 <= len(text) <= most or not text.strip():
        raise DataError(f"the feedback's {name} has {len(text.strip())} characters; wanted are 1 to {most}")
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs"} and not (lines and character in "\n\r\t"):
            raise DataError(f"the feedback's {name} holds the control character U+{ord(character):04X}; leave it out")
