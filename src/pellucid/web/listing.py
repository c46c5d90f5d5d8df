"""A listing: what may be thousands, some at a time, and more of them on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from nicegui import ui

T = TypeVar("T")


class Listing(Generic[T]):
    """Items below each other; the first ones are there at once.

    Args:
        draw: puts what one item looks like into its place.
        classes: of the list.
        at_once: items that are shown, and as many again when more are asked for.
    """

    def __init__(self, items: Sequence[T], draw: Callable[[T], None], classes: str, *, at_once: int) -> None:
        self._left = items
        self._draw = draw
        self._at_once = at_once
        self._list = ui.element("ul").classes(classes)
        self._more = ui.button("Show more", on_click=self._show_more).props("flat no-caps")
        self._show_more()

    def _show_more(self) -> None:
        now, self._left = self._left[: self._at_once], self._left[self._at_once :]
        with self._list:
            for item in now:
                with ui.element("li"):
                    self._draw(item)
        self._more.set_visibility(bool(self._left))
        self._more.text = f"Show more of {len(self._left):,}"
