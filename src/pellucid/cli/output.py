"""Data on stdout, remarks on stderr: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_GAP = 2  # spaces between two columns


def put(text: str) -> None:
    """A line of data on stdout, there at once.

    Not by ``typer.echo``, which goes round the stand-in for stdout under a progress bar and so breaks the bar.
    """
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line of stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def print_json(value: Any) -> None:
    """One JSON document on one line, always valid UTF-8."""
    value = plain(value)
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # the undecodable bytes of a file's name; escaped, they survive
        text = json.dumps(value)
    put(text)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, optional: Sequence[str] = (), empty: str = ""
) -> None:
    """A table for people; in a pipe it has its full width, on a terminal the width of the window.

    Args:
        columns: the headings.
        rows: a value for each column; numbers stand to the right.
        optional: columns left out where the window is too narrow, the last one first.
        empty: printed on stderr where there is no row, instead of a table.
    """
    rows = list(rows)
    if not rows and empty:
        note(empty)
        return
    cells = [[_cell(value) for value in row] for row in rows]
    right = [_are_numbers([row[at] for row in rows]) for at in range(len(columns))]
    if not sys.stdout.isatty():
        _print_wide(columns, cells, right)
        return
    dropped = _print_fitted(columns, cells, right, optional)
    if dropped:
        note(f"(no room for: {', '.join(dropped)}; a wider window or --json shows them)")


def plain(value: Any) -> Any:
    """Dataclasses, mappings, paths and times as what JSON has.

    >>> plain({"where": Path("a"), "many": (1, 2)})
    {'where': 'a', 'many': [1, 2]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: plain(getattr(value, item.name))
            for item in dataclasses.fields(value)
            if not item.name.startswith("_") and not isinstance(getattr(value, item.name), bytes)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def one_line(text: str) -> str:
    r"""The text with whatever would break a line or a terminal made visible.

    >>> one_line("two\nlines"), one_line("é ok")
    ('two\\nlines', 'é ok')
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as people write them.

    >>> settings_text({"lambda": 0.1, "epochs": 50})
    'lambda=0.1, epochs=50'
    """
    return ", ".join(f"{key}={value}" for key, value in settings.items())


def _are_numbers(values: Sequence[Any]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, int | float) for value in given)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if hasattr(value, "strftime"):
        return str(value.astimezone().strftime("%Y-%m-%d %H:%M"))
    return one_line((settings_text(value) or "-") if isinstance(value, Mapping) else str(value))


def _print_wide(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.cells import cell_len

    widths = [_width(row[at] for row in (columns, *cells)) for at in range(len(columns))]
    lines = []
    for row in (columns, *cells):
        padding = [" " * (width - cell_len(text)) for width, text in zip(widths, row, strict=True)]
        parts = [gap + text if to else text + gap for text, gap, to in zip(row, padding, right, strict=True)]
        lines.append((" " * _GAP).join(parts).rstrip())
    put("\n".join(lines))


def _print_fitted(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], optional: Sequence[str]
) -> list[str]:
    """Prints as many columns as there is room for, and returns the names of the others."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    # A heading may be broken between words, a value only where all that is optional has gone and it does not help.
    narrow = [max(_width(columns[at].split()), _width(row[at] for row in cells)) for at in range(len(columns))]
    kept = list(range(len(columns)))
    dropped: list[str] = []

    def room_left() -> int:
        return console.width - sum(narrow[at] + _GAP for at in kept) + _GAP

    for name in reversed(optional):
        if room_left() < 0:
            kept.remove(columns.index(name))
            dropped.insert(0, name)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for at in kept:
        own = narrow[at] if room_left() >= 0 else None
        spread = own and own + min(max(len(columns[at]) - own, 0), room_left() // len(kept))
        justify = "right" if right[at] else "left"
        table.add_column(columns[at], justify=justify, overflow="fold", no_wrap=at == 0, width=spread)  # type: ignore[arg-type]
    for row in cells:
        table.add_row(*(Text(row[at]) for at in kept))
    with console.capture() as captured:  # rich, too, would go round the stand-in for stdout
        console.print(table)
    put(captured.get().removesuffix("\n"))
    return dropped


def _width(texts: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, texts), default=0)
