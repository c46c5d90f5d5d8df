"""The picker of a class: one that is known in one act, a new one by an act of its own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui
from nicegui.events import KeyEventArguments

from pellucid.web.parts import Words
from pellucid.web.view import told

_CHIPS = 12  # classes that have a button each at a time
_FEW = 9  # classes that are found without typing
_DIGITS = "123456789"
_LONGEST = 60  # characters of a class's name that a person may type
_LIKE = 0.75  # likeness from which on a name may be a slip of another one

Choose = Callable[[str], Awaitable[None]]  # what is to be done with a class


def keys_of(classes: Sequence[str]) -> dict[str, str]:
    """The key that chooses each class, by class: a name of one letter or digit is its own, the others have digits.

    A digit that is the name of a class never stands for another one.

    >>> keys_of(["glass", "metal"])
    {'glass': '1', 'metal': '2'}
    >>> keys_of(["2", "0", "1"])
    {'2': '2', '0': '0', '1': '1'}
    >>> keys_of(["cat", "1", "dog"])
    {'cat': '2', '1': '1', 'dog': '3'}
    """
    own = {name: name.lower() for name in classes if len(name) == 1 and name.isalnum()}
    taken = list(own.values())
    own = {name: key for name, key in own.items() if taken.count(key) == 1}  # not those that differ by case only
    free = (digit for digit in _DIGITS if digit not in taken)
    keys = {name: own.get(name) or next(free, "") for name in classes}
    return {name: key for name, key in keys.items() if key}


def in_order(classes: Sequence[str]) -> list[str]:
    """The classes as people count and spell: numbers by value, letters whatever their case.

    >>> in_order(["class 10", "Class 9", "cat"])
    ['cat', 'Class 9', 'class 10']
    """

    def place(name: str) -> tuple[list[str | int], str]:
        parts = re.split(r"(\d+)", name)  # text and numbers in turn
        return [int(part) if at % 2 else part.casefold() for at, part in enumerate(parts)], name

    return sorted(classes, key=place)


def told_of_name(classes: Sequence[str], typed: str) -> str:
    """What is to be said of the name of a new class while it is typed.

    >>> told_of_name(["seven", "eight"], "Sevn"), told_of_name(["seven"], "nine")
    ('Did you mean seven?', 'At most 60 characters.')
    >>> told_of_name(["seven"], 61 * "x")
    'That is 61 characters long; a name has 60 at most.'
    """
    name = typed.strip()
    if len(name) > _LONGEST:
        return f"That is {len(name):,} characters long; a name has {_LONGEST} at most."
    known = {item.casefold(): item for item in classes}
    alike = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=_LIKE)
    return f"Did you mean {known[alike[0]]}?" if alike else f"At most {_LONGEST} characters."


def found_among(classes: Sequence[str], typed: str) -> list[str]:
    """The classes that what was typed is a part of, those first that begin with it.

    >>> found_among(["tram", "cat", "Carp"], "ca")
    ['cat', 'Carp']
    >>> found_among(["tram", "ram"], "ra")
    ['ram', 'tram']
    """
    word = typed.strip().casefold()
    fits = [name for name in classes if word in name.casefold()]
    return sorted(fits, key=lambda name: not name.casefold().startswith(word))


def class_picker(classes: Sequence[str], chosen: Choose, founded: Choose, *, keyed: bool = False) -> None:
    """Buttons for the classes, in order; a field to find what has none; and a field for a new class.

    Args:
        classes: of which the first ones have the buttons where they are many.
        chosen: called with one of the classes.
        founded: called with a new one.
        keyed: whether keys choose too (`keys_of`); any other letter begins to find.
    """
    shown = in_order(classes[:_CHIPS])
    keys = keys_of([*shown, *classes[_CHIPS:]]) if keyed else {}
    find = ui.input(label=f"Find one of {len(classes):,} classes")
    find.props("outlined dense maxlength=200").classes("wide").set_visibility(len(classes) > _FEW)
    chips = ui.element("div").classes("row classes").props('role="group" aria-label="Classes"')

    def draw() -> None:
        found = found_among([*shown, *classes[_CHIPS:]], find.value or "")
        chips.clear()
        with chips:
            for name in found[:_CHIPS]:
                _chip(name, keys.get(name, ""), chosen)
            if not found:
                Words("No class is called that.", "note")
            elif len(found) > _CHIPS:
                Words(f"and {len(found) - _CHIPS:,} more: type a part of the name", "note")

    @told
    async def first() -> None:
        found = found_among(classes, find.value or "")
        if find.value and found:
            await chosen(found[0])

    @told
    async def pressed(event: KeyEventArguments) -> None:
        key = str(event.key)
        if not event.action.keydown or any((event.modifiers.ctrl, event.modifiers.alt, event.modifiers.meta)):
            return
        name = {other: name for name, other in keys.items()}.get(key.lower())
        if name is not None:
            await chosen(name)
        elif len(key) == 1 and key.isalpha() and find.visible:
            find.value = (find.value or "") + key
            find.run_method("focus")

    draw()
    find.on_value_change(draw)
    find.on("keydown.enter", first)
    if keyed:
        ui.keyboard(on_key=pressed, repeating=False, ignore=["input", "select", "textarea"])
    with ui.element("div").classes("row newclass"):
        field = ui.input(label="A class that nobody has used yet")
        field.props("outlined dense maxlength=1000").classes("wide")

        @told
        async def found() -> None:
            await founded(field.value or "")

        ui.button("Add this class", on_click=found).props("outline no-caps").bind_enabled_from(
            field, "value", lambda value: 0 < len((value or "").strip()) <= _LONGEST
        )
    Words("", "note").props('role="status"').bind_text_from(
        field, "value", lambda value: told_of_name(classes, value or "")
    )


def _chip(name: str, key: str, chosen: Choose) -> None:
    @told
    async def pressed() -> None:
        await chosen(name)

    with ui.element("button").classes("classchip").props('type="button"').on("click", pressed):
        if key:
            Words(key, tag="kbd")
        Words(name, tag="span")
