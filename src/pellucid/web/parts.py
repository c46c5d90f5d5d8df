"""The parts that all pages are made of. Words are always text, never HTML."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement


class Words(TextElement):
    """Text in an element of HTML; its ``text`` can be changed."""

    def __init__(self, words: str, classes: str = "", tag: str = "p") -> None:
        super().__init__(tag=tag, text=words)
        self.classes(classes)


def heading(level: int, words: str, classes: str = "") -> Words:
    """A heading of that level, 1 to 6."""
    return Words(words, classes, f"h{level}")


@contextmanager
def card(title: str = "", note: str = "", classes: str = "") -> Iterator[ui.element]:
    """A box, and what is put into it."""
    with ui.element("section").classes(f"card {classes}") as box:
        if title:
            heading(2, title)
        if note:
            Words(note, "note")
        yield box


def tile(name: str, value: str, note: str = "") -> tuple[Words, Words]:
    """A figure with its name; the value and the note can be changed."""
    with ui.element("div").classes("tile"):
        Words(name, "name", "div")
        return Words(value, "value", "div"), Words(note, "note", "div")


def empty(icon: str, title: str, words: str, *commands: str) -> None:
    """What stands where there is nothing yet: why, and what to do next."""
    with ui.element("section").classes("empty"):
        ui.icon(icon).props('aria-hidden="true"')
        heading(2, title)
        Words(words)
        for command in commands:
            Words(command, "command", "code")


def picture(sample: str, words: str, side: int = 192, classes: str = "") -> ui.element:
    """The thumbnail of a stored image.

    Args:
        words: what it shows, for those who cannot see it.
        side: pixels of its longer side at most.
    """
    found = ui.element("img").classes(f"picture {classes}")
    found.props["src"] = f"/ui/pictures/{sample}?side={side}"
    found.props["alt"] = words
    found.props["loading"] = "lazy"
    return found


def meter(share: float, words: str, classes: str = "") -> ui.element:
    """A bar filled to a share of 0 to 1."""
    with ui.element("div").classes(f"meter {classes}") as found:
        found.props["role"] = "meter"
        for name, value in (("label", words), ("valuemin", 0), ("valuemax", 1), ("valuenow", round(share, 4))):
            found.props[f"aria-{name}"] = value
        ui.element("div").style(f"width:{100 * min(max(share, 0.0), 1.0):.1f}%")
    return found
