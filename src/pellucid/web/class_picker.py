"""The picker of a class: one that is known in one act, a new one by an act of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pellucid.web.parts import Words
from pellucid.web.view import told

_CHIPS = 12  # classes that have a button each; the others are in a list

Choose = Callable[[str], Awaitable[None]]  # what is to be done with a class


def class_picker(classes: Sequence[str], chosen: Choose, founded: Choose, *, numbered: bool = False) -> None:
    """Buttons for the classes, the likeliest first; a list for what does not fit; and a field for a new class.

    Args:
        chosen: called with one of the classes.
        founded: called with a new one.
        numbered: shows the digits that choose the first nine, which the caller has to hear.
    """
    with ui.element("div").classes("row classes").props('role="group" aria-label="Classes"'):
        for number, name in enumerate(classes[:_CHIPS], 1):
            _chip(name, str(number) if numbered and number < 10 else "", chosen)
    if len(classes) > _CHIPS:
        rest = {name: name for name in classes[_CHIPS:]}

        @told
        async def picked(event: object) -> None:
            await chosen(str(more.value))

        more = ui.select(rest, label="Another class", with_input=True, on_change=picked)
        more.props("outlined dense").classes("wide")
    with ui.element("div").classes("row newclass"):
        field = ui.input(label="A class that nobody has used yet").props("outlined dense maxlength=200").classes("wide")

        @told
        async def found() -> None:
            await founded(field.value or "")

        ui.button("Add this class", on_click=found).props("outline no-caps").bind_enabled_from(
            field, "value", lambda value: bool((value or "").strip())
        )


def _chip(name: str, digit: str, chosen: Choose) -> None:
    @told
    async def pressed() -> None:
        await chosen(name)

    with ui.element("button").classes("classchip").props('type="button"').on("click", pressed):
        if digit:
            Words(digit, tag="kbd")
        Words(name, tag="span")
