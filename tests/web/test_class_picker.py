"""Which key chooses which class."""

from __future__ import annotations

from pellucid.web.class_picker import found_among, in_order, keys_of, told_of_name


def test_the_digit_that_is_a_class_never_chooses_another_one() -> None:
    digits = [*"12456789", "0", "3"]
    assert keys_of(digits) == {name: name for name in digits}
    assert keys_of([*"abc", "2", "other"]) == {"a": "a", "b": "b", "c": "c", "2": "2", "other": "1"}


def test_names_that_differ_by_case_only_are_chosen_by_position() -> None:
    assert keys_of(["a", "A", "b"]) == {"a": "1", "A": "2", "b": "b"}


def test_what_has_no_key_is_found_by_a_part_of_its_name() -> None:
    classes = [f"class {number}" for number in range(30)]
    assert list(keys_of(classes).values()) == list("123456789")
    assert found_among(classes, " CLASS 2")[:2] == ["class 2", "class 20"]
    assert found_among(classes, "eel") == []
    assert found_among(classes, "") == classes


def test_classes_stand_as_people_count() -> None:
    assert in_order([*"1235678940"]) == [*"0123456789"]
    assert in_order(["b2", "B10", "b1", "10", "9", "", "a"]) == ["", "9", "10", "a", "b1", "b2", "B10"]


def test_a_name_that_is_too_long_or_a_slip_is_told() -> None:
    assert told_of_name(["cat"], " " + 60 * "x") == "At most 60 characters."
    assert told_of_name(["cat"], 300 * "x").startswith("That is 300 characters long")
    assert told_of_name(["cardboard", "cat"], "Cardbord") == "Did you mean cardboard?"
    assert told_of_name(["cat"], "") == "At most 60 characters."
