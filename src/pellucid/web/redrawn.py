"""A place on a page that is drawn anew where what it shows has changed, and left alone where it has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from nicegui import ui

T = TypeVar("T")


class Redrawn(Generic[T]):
    """An element whose content follows a value.

    Args:
        draw: puts what the value looks like into the element.
    """

    def __init__(self, draw: Callable[[T], object], classes: str = "", tag: str = "div") -> None:
        self.box = ui.element(tag).classes(classes)
        self._draw = draw
        self._shown: list[T] = []

    def show(self, value: T) -> None:
        """Draws the value, unless it stands there already."""
        if self._shown == [value]:
            return
        self._shown = [value]
        self.box.clear()
        with self.box:
            self._draw(value)
