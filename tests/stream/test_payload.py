"""The data of Pellucid's own events: what is built is read back, what cannot be used is refused with the reason."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError
from pellucid.stream.event import FEEDBACK, IMAGE, PREDICTION, Event
from pellucid.stream.payload import (
    Feedback,
    ImageData,
    feedback_event,
    feedback_of,
    image_event,
    image_of,
    prediction_event,
    prediction_of,
)
from pellucid.types import Answer

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60).filter(str.strip)
NAMED = st.one_of(
    st.fixed_dictionaries({"prediction": st.from_regex(r"[0-9A-Za-z_-]{1,32}", fullmatch=True)}),
    st.fixed_dictionaries({"sample": st.from_regex(r"[0-9a-f]{64}", fullmatch=True)}),
    st.fixed_dictionaries({"image": st.binary(min_size=1, max_size=60)}),
)


def said(text: str | bytes) -> Event:
    return Event("1", "/desk", FEEDBACK, data=text.encode() if isinstance(text, str) else text)


@given(TEXT, TEXT, st.none() | TEXT, NAMED)
def test_feedback_comes_back_from_its_event(label: str, voter: str, note: str | None, named: dict[str, str]) -> None:
    feedback = Feedback(label, voter, note=note, **named)  # type: ignore[arg-type]
    event = feedback_event(feedback, id="1", source="/desk", subject="s")
    assert feedback_of(event) == feedback
    assert (event.type, event.datacontenttype, event.subject) == (FEEDBACK, "application/json", "s")


@given(st.binary() | st.text().map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["label", "voter", "image", "sample", "prediction", "note"]) | st.text(), inner)
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_is_said_is_feedback_or_has_a_reason(data: bytes) -> None:
    with suppress(DataError):  # and nothing but that
        assert feedback_of(said(data)).label


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON"),
        ("[]", "JSON of a list"),
        ("{", "no JSON"),
        (b'{"label": "\xff"}', "not UTF-8"),
        ("[" * 100_000, "no JSON|nested too deeply"),
        ('{"label": NaN}', "NaN is no number"),
        ('{"label": "a", "label": "b"}', "a name stands twice"),
        ('{"lable": "a"}', "unknown field 'lable'"),
        ('{"label": 3, "voter": "v", "prediction": "p"}', "label is 3; wanted is a string"),
        ('{"voter": "v", "prediction": "p"}', "no label"),
        ('{"label": "a", "prediction": "p"}', "no voter"),
        ('{"label": "a", "voter": null, "prediction": "p"}', "no voter"),
        ('{"label": "a", "voter": "v"}', "by nothing; wanted is exactly one"),
        ('{"label": "a", "voter": "v", "prediction": "p", "image": "eA=="}', "by prediction and image"),
        ('{"label": " ", "voter": "v", "prediction": "p"}', "label has 0 characters"),
        ('{"label": "a\\u0000", "voter": "v", "prediction": "p"}', r"U\+0000"),
        ('{"label": "\\ud800", "voter": "v", "prediction": "p"}', r"U\+D800"),
        ('{"label": "a", "voter": "v", "prediction": "p q"}', "uid of an answer"),
        ('{"label": "a", "voter": "v", "sample": "ABC"}', "64 hexadecimal"),
        ('{"label": "a", "voter": "v", "image": "e"}', "no base64"),
        ('{"label": "a", "voter": "v", "image": "é"}', "no base64"),
        ('{"label": "a", "voter": "v", "image": ""}', "image is empty"),
    ],
)
def test_feedback_that_cannot_be_used_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        feedback_of(said(text))


def test_limits_are_those_that_are_named() -> None:
    Feedback("l" * 256, "v" * 256, prediction="p" * 32, note="n\n" * 2048)
    for label, voter, note in (("l" * 257, "v", "n"), ("l", "v" * 257, "n"), ("l", "v", "n" * 4097), ("l", "v", "")):
        with pytest.raises(DataError, match="wanted are 1 to"):
            Feedback(label, voter, prediction="p", note=note)


def test_an_image_has_the_name_that_people_find_it_by() -> None:
    event = image_event(b"GIF", id="7", source="/cameras/3", media_type="image/gif", subject="line 3")
    assert (event.type, event.datacontenttype) == (IMAGE, "image/gif")
    assert image_of(event) == ImageData(b"GIF", "line 3")
    assert image_of(image_event(b"GIF", id="7", source="/cameras/3")).name == "/cameras/3#7"


def test_what_is_no_image_is_refused() -> None:
    for event, reason in (
        (image_event(b"", id="7", source="/x"), "no data"),
        (image_event(b"{}", id="7", source="/x", media_type="application/json"), "wanted is image/"),
        (said("{}"), "of type"),
    ):
        with pytest.raises(DataError, match=reason):
            image_of(event)
    with pytest.raises(DataError, match=f"wanted is {FEEDBACK}"):
        feedback_of(image_event(b"GIF", id="7", source="/x"))
    with pytest.raises(DataError, match="content type is 'text/plain'"):
        feedback_of(Event("1", "/x", FEEDBACK, datacontenttype="text/plain", data=b"{}"))


ANSWER = Answer(
    uid="p1",
    sample="a" * 64,
    label="cat",
    confidence=0.75,
    probabilities={"cat": 0.75, "dog": 0.25},
    likely=("cat", "dog"),
    entropy=0.5,
    novelty=None,
    model="pets@2",
    ledger=7,
    at=datetime(2026, 1, 1, tzinfo=UTC),
    actor="/cameras/3",
    name="line 3",
)


def test_a_prediction_comes_back_from_its_event_and_can_be_answered_by_its_id() -> None:
    event = prediction_event(ANSWER, source="/pellucid/pets")
    assert (event.id, event.type, event.datacontenttype) == ("p1", PREDICTION, "application/json")
    assert prediction_of(event) == ANSWER
    found = json.loads(event.data)
    assert found["prediction"] == event.id
    assert (found["label"], found["confidence"], found["model"]) == ("cat", 0.75, "pets@2")
    reply = Feedback("dog", "ann", prediction=found["prediction"])
    assert feedback_of(feedback_event(reply, id="f1", source="/desk")) == reply


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": None, "confidence": "high"}, "not as `prediction_event` writes it"),
        ({"probabilities": [1]}, "not as `prediction_event` writes it"),
        ({"likely": None}, "not as `prediction_event` writes it"),
    ],
)
def test_a_prediction_that_cannot_be_used_is_refused(change: dict[str, object], reason: str) -> None:
    said = json.loads(prediction_event(ANSWER, source="/x").data)

    def event(data: object, **more: object) -> Event:
        return Event("1", "/x", PREDICTION, data=json.dumps(data).encode(), **{"time": ANSWER.at, **more})  # type: ignore[arg-type]

    with pytest.raises(DataError, match=reason):
        prediction_of(event(said | change))
    with pytest.raises(DataError, match="has no likely"):
        prediction_of(event({name: value for name, value in said.items() if name != "likely"}))
    with pytest.raises(DataError, match="has no time"):
        prediction_of(event(said, time=None))
