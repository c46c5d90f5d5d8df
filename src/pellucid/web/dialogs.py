"""Dialogs: beside the page's content, so that they stay while what they were opened from is drawn anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import context, ui

from pellucid.web.parts import Words


@contextmanager
def dialog(title: str, *, wide: bool = False, asks: bool = False) -> Iterator[tuple[ui.dialog, Words]]:
    """An open dialog and its heading; what is put into it comes below. Once closed it is gone.

    Args:
        asks: whether it wants an answer, and is not closed by a click beside it.
    """
    with context.client.content, ui.dialog(value=True) as made, ui.card().classes("dialog") as box:
        made.props["aria-label"] = title
        made.props["persistent"] = asks
        if wide:
            box.classes("wide")
        heading = Words(title, "", "h2")
        yield made, heading
    made.on("hide", made.delete)


def close_button(made: ui.dialog, word: str = "Close") -> None:
    """What closes the dialog."""
    ui.button(word, on_click=made.close, color=None).props("outline no-caps").classes("end")
