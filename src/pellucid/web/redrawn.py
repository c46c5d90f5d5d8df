"""What moves on a page: it is looked at again and again, and drawn anew where it has changed, else left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from nicegui import ui

T = TypeVar("T")

_EVERY = 5.0  # seconds between two looks
_SOON = 1.5  # seconds until the second look, for what took longer than the page


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


async def refresh_often(refresh: Callable[[], Awaitable[None]]) -> None:
    """Refreshes now, and again and again as long as the page is open."""
    await refresh()
    ui.timer(_SOON, refresh, once=True)
    ui.timer(_EVERY, refresh)
