"""Tables of text and buttons, cell by cell. Long ones scroll by themselves, also by keyboard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nicegui import ui

from pellucid.web.parts import Words

NUMBER = "num"  # the class of cells with numbers, which stand at the right


@contextmanager
def table(
    label: str, columns: Sequence[str], *, numbers: Sequence[str] = (), classes: str = ""
) -> Iterator[ui.element]:
    """A table whose rows are put into it.

    Args:
        label: what it holds, for those who hear it.
        columns: headings; an empty one stands over buttons.
        numbers: those of the columns that hold numbers.
    """
    with ui.element("div").classes(f"scroll {classes}").props('tabindex="0" role="region"') as box:
        box.props["aria-label"] = label
        with ui.element("table").classes("plain"):
            with ui.element("thead"), ui.element("tr"):
                for name in columns:
                    if name:
                        Words(name, NUMBER if name in numbers else "", "th").props('scope="col"')
                    else:
                        ui.element("td")
            with ui.element("tbody") as body:
                yield body


@contextmanager
def row(classes: str = "") -> Iterator[ui.element]:
    """A row whose cells are put into it."""
    with ui.element("tr").classes(classes) as found:
        yield found


@contextmanager
def cell(classes: str = "") -> Iterator[ui.element]:
    """A cell with whatever is put into it."""
    with ui.element("td").classes(classes) as found:
        yield found


def text(words: str, classes: str = "") -> Words:
    """A cell of text."""
    return Words(words, classes, "td")


def head(words: str, classes: str = "") -> Words:
    """The cell that names its row."""
    return Words(words, classes, "th").props('scope="row"')


def number(words: str) -> Words:
    """A cell with a number."""
    return Words(words, NUMBER, "td")
