"""Columns by their names, and values as text."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import SourceError
from pellucid.store.sources.columns import (
    ANNOTATOR,
    FILE,
    LABEL,
    SPLIT,
    Columns,
    as_metadata,
    as_text,
    recognise_columns,
)


@pytest.mark.parametrize("file", FILE)
@pytest.mark.parametrize("label", LABEL)
def test_every_accepted_name(file: str, label: str) -> None:
    for split, annotator in zip((*SPLIT, *SPLIT), ANNOTATOR, strict=False):
        columns = recognise_columns("t", [split.title(), "site", file.upper(), annotator, label.replace("_", "-")])
        assert columns == Columns(file.upper(), label, split.title(), annotator, {"site": "site"})


def test_the_first_of_the_accepted_names_wins_and_the_others_are_metadata() -> None:
    columns = recognise_columns("t", ["image_path", "class", "file", "label", "File"])
    assert columns == Columns(
        "file", "label", None, None, {"image_path": "image_path", "class": "class", "File": "File"}
    )


def test_a_missing_column_is_named_with_what_was_seen_and_what_is_accepted() -> None:
    with pytest.raises(SourceError, match=r"'t' has no label column; seen: 'file', 'x'; accepted: label, class, cat"):
        recognise_columns("t", ["file", "x"])


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_one_label_in_every_format(number: int) -> None:
    assert as_text(number) == as_text(float(number)) == as_text(str(number)) == str(number)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()))
def test_text_is_none_or_something_that_every_database_stores(value: object) -> None:
    text = as_text(value)
    assert text is None or (text.encode() and "\0" not in text and text == text.strip())


def test_metadata_keeps_types_and_drops_what_says_nothing() -> None:
    record: dict[str, object] = {
        "site": " A ",
        "age": 7,
        "score": 0.5,
        "sick": False,
        "at": datetime(2024, 5, 1, tzinfo=UTC),
        "price": Decimal("1.50"),
        "box": {"x": [1, 2]},
        "empty": "",
        "nan": float("nan"),
        "inf": float("inf"),
        "none": None,
    }
    assert as_metadata(record, {name: name for name in [*record, "absent"]}, {}) == {
        "site": "A",
        "age": 7,
        "score": 0.5,
        "sick": False,
        "at": "2024-05-01T00:00:00+00:00",
        "price": "1.50",
        "box": '{"x": [1, 2]}',
    }


def test_repeated_text_is_held_once() -> None:
    pool: dict[str, str] = {}
    first, second = (as_metadata({"site": "".join(["north", "east"])}, {"site": "site"}, pool) for _ in range(2))
    assert first["site"] is second["site"]
