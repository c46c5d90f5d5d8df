"""Markdown, as a model card has it, in elements of the page: headings, paragraphs, tables. What it says stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nicegui import ui

from pellucid.web import tables
from pellucid.web.parts import Words, heading

_PIECE = re.compile(r"\*\*(.+?)\*\*|`([^`]+)`", re.DOTALL)
_TAGS = (None, "strong", "code")


def markdown(text: str) -> None:
    """Puts Markdown on the page; of its means those that a model card uses, and all else as it stands."""
    for block in blocks(text):
        if block[0].startswith("#"):
            marks, _, words = block[0].partition(" ")
            heading(min(len(marks) + 1, 6), words)
        elif block[0].startswith("|"):
            _table([_cells(line) for line in block])
        else:
            with ui.element("p"):
                for tag, words in pieces(" ".join(block)):
                    Words(words, tag=tag)


def blocks(text: str) -> list[list[str]]:
    """The lines between empty lines; a heading stands for itself.

    >>> blocks("# A" + chr(10) + "b" + chr(10) + "c" + 2 * chr(10) + "d")
    [['# A'], ['b', 'c'], ['d']]
    """
    found: list[list[str]] = [[]]
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#"):
            found += [[line], []]
        elif line:
            found[-1].append(line)
        else:
            found.append([])
    return [block for block in found if block]


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """The text in pieces, each with the element that it stands in.

    >>> list(pieces("**What.** `ridge` <b>"))
    [('strong', 'What.'), ('span', ' '), ('code', 'ridge'), ('span', ' <b>')]
    """
    end = 0
    for found in _PIECE.finditer(text):
        if found.start() > end:
            yield "span", _plain(text[end : found.start()])
        yield str(_TAGS[found.lastindex or 0]), _plain(str(found[found.lastindex or 0]))
        end = found.end()
    if end < len(text):
        yield "span", _plain(text[end:])


def _plain(text: str) -> str:
    return text.replace("\\|", "|").replace("&lt;", "<")


def _cells(line: str) -> list[str]:
    return [_plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _table(rows: Sequence[Sequence[str]]) -> None:
    head, body = rows[0], [row for row in rows[1:] if not all(set(cell) <= set("-: ") for cell in row)]
    with tables.table(f"Table of {head[0]}", head):
        for row in body:
            with tables.row():
                tables.head(row[0])
                for cell in row[1:]:
                    tables.text(cell, "number")
