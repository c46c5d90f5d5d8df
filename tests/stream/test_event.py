"""Events: what goes through the headers comes back, and what breaks CloudEvents 1.0 is refused with the reason."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError
from pellucid.stream.event import IMAGE, MAX_HEADER_BYTES, Event, from_headers, parse_time

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=40)
EVENTS = st.builds(
    Event,
    id=TEXT.filter(bool),
    source=st.text("abcXYZ019-._~:/?#[]@!$&'()*+,;=", min_size=1, max_size=40),
    type=TEXT.filter(bool),
    time=st.none() | st.datetimes(timezones=st.just(UTC)),
    subject=st.none() | TEXT.filter(bool),
    datacontenttype=st.none() | st.sampled_from(["image/png", "application/json; charset=utf-8", "application/x+json"]),
    data=st.binary(max_size=100),
    extensions=st.dictionaries(st.from_regex(r"x[a-z0-9]{0,19}", fullmatch=True), TEXT, max_size=4),
)
GOOD = (("ce_specversion", b"1.0"), ("ce_id", b"7"), ("ce_source", b"/cameras/3"), ("ce_type", IMAGE.encode()))


@given(EVENTS, st.randoms())
def test_every_event_comes_back_from_its_headers_in_any_order(event: Event, random: Any) -> None:
    headers: list[tuple[str, bytes | None]] = [(name, value.encode()) for name, value in event.headers()]
    random.shuffle(headers)
    found = from_headers([*headers, ("traceparent", b"\xff"), ("Content-Length", None)], event.data)
    assert found == event
    assert hash(found) == hash(event)
    assert found.headers() == event.headers()


@given(
    st.lists(st.tuples(st.sampled_from([name for name, _ in GOOD]) | st.text(), st.none() | st.binary())), st.binary()
)
def test_whatever_comes_is_an_event_or_has_a_reason(headers: list[tuple[str, bytes | None]], data: bytes) -> None:
    for offered in (headers, [*GOOD, *headers]):
        with suppress(DataError):  # and nothing but that
            assert from_headers(offered, data).data == data


@given(st.text())
def test_every_text_is_a_time_or_has_a_reason(text: str) -> None:
    with pytest.raises(DataError, match="RFC 3339"):
        parse_time(f"{text}!")


def test_the_headers_are_those_of_the_kafka_binding() -> None:
    # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md, section 3.2
    event = Event(
        id="1234-1234-1234",
        source="/mycontext/subcontext",
        type="com.example.someevent",
        time=datetime(2018, 4, 5, 3, 56, 24, tzinfo=UTC),
        datacontenttype="application/avro",
        data=b"...",
        extensions={"partitionkey": "k"},
    )
    assert event.headers() == (
        ("content-type", "application/avro"),
        ("ce_specversion", "1.0"),
        ("ce_id", "1234-1234-1234"),
        ("ce_source", "/mycontext/subcontext"),
        ("ce_type", "com.example.someevent"),
        ("ce_time", "2018-04-05T03:56:24Z"),
        ("ce_partitionkey", "k"),
    )


def test_times_are_kept_in_utc() -> None:
    local = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    event = Event("1", "/x", IMAGE, time=local)
    assert event.time == local
    assert event.time is not None
    assert event.time.tzinfo is UTC
    assert parse_time("2026-03-01t10:00:00.123456789z").microsecond == 123456


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-03-01", "2026-03-01 10:00:00Z", "2026-03-01T10:00:00", "2026-02-30T10:00:00Z",
     "2026-03-01T10:00:00+99:00", "0001-01-01T00:00:00+01:00", "٢026-03-01T10:00:00Z", "2026-03-01T10:00:00Z\n"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="wanted is RFC 3339"):
        parse_time(text)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"id": ""}, "id has 0 characters"),
        ({"id": "x" * 257}, "id has 257 characters"),
        ({"id": "a\nb"}, r"U\+000A"),
        ({"id": "\ud800"}, r"U\+D800"),
        ({"id": "\ufdd0"}, r"U\+FDD0"),
        ({"id": "\U0001ffff"}, r"U\+1FFFF"),
        ({"source": "a b"}, "URI reference"),
        ({"source": "/100%"}, "URI reference"),
        ({"type": ""}, "type has 0"),
        ({"subject": ""}, "subject is empty"),
        ({"datacontenttype": "png"}, "media type"),
        ({"time": datetime(2026, 1, 1)}, "without a zone"),
        ({"extensions": {"Upper": "x"}}, "'Upper' cannot name an extension"),
        ({"extensions": {"data": "x"}}, "'data' cannot name"),
        ({"extensions": {"x" * 21: "x"}}, "cannot name an extension"),
        ({"extensions": {"x": "y" * MAX_HEADER_BYTES}}, "at most 65,536"),
    ],
)
def test_an_event_that_breaks_the_rules_is_not_made(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Event(**{"id": "1", "source": "/x", "type": IMAGE, **values})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "no ce_specversion, ce_id, ce_source, ce_type"),
        (GOOD[:3], "no ce_type"),
        ([("ce_specversion", b"2.0"), *GOOD[1:]], "wanted is 1.0"),
        ([*GOOD, GOOD[1]], "ce_id says again"),
        ([*GOOD, ("ce_datacontenttype", b"image/png")], "ce_datacontenttype says again"),
        ([*GOOD, ("ce_subject", b"\xff")], "not UTF-8"),
        ([*GOOD, ("ce_subject", None)], "subject is empty"),
        ([*GOOD, ("content-type", b"application/cloudevents-batch+json")], "binary mode"),
        ([*GOOD, ("ce_time", b"soon")], "RFC 3339"),
        ([("other", bytes(MAX_HEADER_BYTES)), *GOOD], "headers have"),
    ],
)
def test_malformed_headers_are_refused_with_the_reason(headers: list[tuple[str, bytes | None]], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        from_headers(headers, b"")


def test_sizes_are_checked_before_all_else() -> None:
    with pytest.raises(DataError, match="11 bytes; wanted are at most 10"):
        from_headers([("ce_id", b"\xff")], bytes(11), max_data_bytes=10)
    assert from_headers(GOOD, None, max_data_bytes=0).data == b""


def test_nothing_of_an_event_changes() -> None:
    mine = {"x": "1"}
    event = Event("1", "/x", IMAGE, extensions=mine)
    mine["x"] = "2"
    assert event.extensions == {"x": "1"}
    with pytest.raises(TypeError):
        event.extensions["x"] = "3"  # type: ignore[index]
